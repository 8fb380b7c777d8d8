//! What a caller asks of an image service, the same for both wire formats.

use serde_json::{Map, Value};
use types::ModelSpec;

/// Aspect ratio where neither the caller nor the model names one.
const SIZE: &str = "1:1";
/// One provider insists on a callback although it can be asked. `.invalid` never resolves
/// (RFC 6761), so nobody else learns of the images.
const NO_CALLBACK: &str = "https://callback.invalid/";

/// What the model's configuration adds to every order.
#[derive(Debug)]
pub(super) struct Defaults {
    size: String,
    model: Option<String>,
    callback_url: String,
}

impl Defaults {
    pub(super) fn of(spec: &ModelSpec) -> Self {
        let size = spec.metadata.get("default_size").and_then(Value::as_str);
        Self {
            size: size.filter(|size| !size.is_empty()).unwrap_or(SIZE).to_owned(),
            model: spec.upstream_model.clone(),
            callback_url: spec.callback_url.clone().unwrap_or_else(|| NO_CALLBACK.to_owned()),
        }
    }
}

/// One order. Lengths, sizes and counts are left to the provider to judge: it knows its limits
/// of today.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) prompt: String,
    pub(super) image_urls: Vec<String>,
    /// Aspect ratio, for example `3:4`.
    pub(super) size: String,
    /// Images wanted.
    pub(super) count: u64,
    pub(super) watermark: Option<String>,
    /// The provider's own model, if the configuration names one.
    pub(super) model: Option<String>,
    pub(super) callback_url: String,
}

impl Order {
    /// Reads a payload. Fields are understood in the spelling of either provider.
    ///
    /// # Errors
    /// The name of the field that is missing.
    pub(super) fn read(
        payload: &Map<String, Value>,
        defaults: &Defaults,
        needs_images: bool,
    ) -> Result<Self, &'static str> {
        let text = |names: &[&str]| {
            let found = names.iter().find_map(|&name| payload.get(name)?.as_str());
            found.filter(|text| !text.trim().is_empty()).map(str::to_owned)
        };
        let prompt = text(&["prompt"]).ok_or("prompt")?;
        let image_urls = payload.get("image_urls").or_else(|| payload.get("imageUrls"));
        let image_urls = image_urls.map(urls).unwrap_or_default();
        if needs_images && image_urls.is_empty() {
            return Err("image_urls");
        }
        let count = ["n", "num_images", "numImages"].iter().find_map(|&name| payload.get(name));
        Ok(Self {
            prompt,
            image_urls,
            size: text(&["size", "image_size"]).unwrap_or_else(|| defaults.size.clone()),
            count: count.and_then(Value::as_u64).unwrap_or(1),
            watermark: text(&["watermark"]),
            model: defaults.model.clone(),
            callback_url: defaults.callback_url.clone(),
        })
    }
}

/// A list of addresses, or a single one.
fn urls(value: &Value) -> Vec<String> {
    let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let texts = items.iter().filter_map(Value::as_str).filter(|url| !url.trim().is_empty());
    texts.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(payload: &Value, needs_images: bool) -> Result<Order, &'static str> {
        let defaults = Defaults::of(&ModelSpec::default());
        Order::read(payload.as_object().unwrap(), &defaults, needs_images)
    }

    #[test]
    fn a_bare_string_is_a_list_of_one() {
        let order = read(&json!({"prompt": "p", "image_urls": "https://a"}), true).unwrap();
        assert_eq!(order.image_urls, ["https://a"]);
        assert_eq!((order.size.as_str(), order.count), ("1:1", 1));
    }

    #[test]
    fn what_is_missing_is_named_prompt_first() {
        for (payload, missing) in [
            (json!({}), "prompt"),
            (json!({"prompt": " ", "image_urls": ["u"]}), "prompt"),
            (json!({"prompt": 7}), "prompt"),
            (json!({"payload": {"prompt": "p"}}), "prompt"),
            (json!({"prompt": "p"}), "image_urls"),
            (json!({"prompt": "p", "image_urls": []}), "image_urls"),
            (json!({"prompt": "p", "image_urls": ""}), "image_urls"),
            (json!({"prompt": "p", "image_urls": [null]}), "image_urls"),
        ] {
            assert_eq!(read(&payload, true).unwrap_err(), missing, "{payload}");
        }
        assert!(read(&json!({"prompt": "p"}), false).unwrap().image_urls.is_empty());
    }
}

//! The wire format of apimart.ai, which the "NanoBanana" adapter of `ray-service` really speaks.

use serde_json::{Value, json};

use super::{
    order::Order,
    wire::{Progress, Wire, encoded, id, words},
};

/// What the seed orders; `upstream_model` changes it.
const MODEL: &str = "gemini-2.5-flash-image-preview";

pub(super) struct Apimart;

impl Wire for Apimart {
    fn default_base(&self) -> &'static str {
        "https://api.apimart.ai"
    }

    fn needs_images(&self) -> bool {
        true
    }

    fn order_path(&self) -> &'static str {
        "/v1/images/generations"
    }

    fn order(&self, order: &Order) -> Value {
        json!({
            "model": order.model.as_deref().unwrap_or(MODEL),
            "prompt": order.prompt,
            "size": order.size,
            "n": order.count,
            "image_urls": order.image_urls,
        })
    }

    fn task_id(&self, answer: &Value) -> Option<String> {
        id(answer.pointer("/data/0/task_id")?)
    }

    fn poll(&self, task_id: &str) -> (String, String) {
        (format!("/v1/tasks/{}", encoded(task_id)), String::new())
    }

    fn progress(&self, answer: &Value) -> Option<Progress> {
        let data = answer.get("data")?;
        match data.get("status")?.as_str()? {
            "completed" => {
                let url = data.pointer("/result/images/0/url")?;
                let url = words(Some(url)).or_else(|| words(url.get(0)));
                url.map(|image_url| Progress::Completed { image_url })
            }
            // The seed kept asking about a cancelled task until its time was up.
            status @ ("cancelled" | "canceled") => {
                Some(Progress::Ended { message: reason(answer, status) })
            }
            "failed" => Some(Progress::Ended { message: reason(answer, "unknown error") }),
            // `pending`, `processing`, and whatever word comes next.
            _ => Some(Progress::Running),
        }
    }
}

/// The provider's words: `error` as text or object, else `message`.
fn reason(answer: &Value, otherwise: &str) -> String {
    let error = answer.pointer("/data/error");
    words(error)
        .or_else(|| words(error?.get("message")))
        .or_else(|| words(answer.get("message")))
        .unwrap_or_else(|| otherwise.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(data: &Value) -> Option<Progress> {
        Apimart.progress(&json!({"code": 200, "data": data}))
    }

    fn ended(message: &str) -> Option<Progress> {
        Some(Progress::Ended { message: message.into() })
    }

    #[test]
    fn every_status_is_understood() {
        let mut table = vec![
            (
                json!({"status": "completed", "result": {"images": [{"url": ["https://i"]}]}}),
                Some(Progress::Completed { image_url: "https://i".into() }),
            ),
            (json!({"status": "failed", "error": {"message": "no"}}), ended("no")),
            (json!({"status": "failed", "error": "no"}), ended("no")),
            (json!({"status": "failed", "error": null}), ended("unknown error")),
            (json!({"status": "cancelled"}), ended("cancelled")),
        ];
        for status in ["submitted", "pending", "processing"] {
            table.push((json!({"status": status}), Some(Progress::Running)));
        }
        for (data, expected) in table {
            assert_eq!(progress(&data), expected, "{data}");
        }
    }

    #[test]
    fn an_answer_without_its_parts_is_not_understood() {
        for data in [
            json!({}),
            json!({"status": 7}),
            json!({"status": "completed", "result": {"images": []}}),
        ] {
            assert_eq!(progress(&data), None, "{data}");
        }
    }
}

//! The wire format of nanobananaapi.ai.

use serde_json::{Map, Value, json};

use super::{
    order::Order,
    wire::{Progress, Wire, encoded, id, words},
};

pub(super) struct Nanobananaapi;

impl Wire for Nanobananaapi {
    fn default_base(&self) -> &'static str {
        "https://api.nanobananaapi.ai"
    }

    fn needs_images(&self) -> bool {
        false
    }

    fn order_path(&self) -> &'static str {
        "/api/v1/nanobanana/generate"
    }

    fn order(&self, order: &Order) -> Value {
        let mut body = Map::new();
        body.insert("prompt".into(), order.prompt.clone().into());
        // Misspelt on the wire, too.
        let kind = if order.image_urls.is_empty() { "TEXTTOIAMGE" } else { "IMAGETOIAMGE" };
        body.insert("type".into(), kind.into());
        body.insert("callBackUrl".into(), order.callback_url.clone().into());
        body.insert("numImages".into(), order.count.into());
        // `auto` is a word of the other provider; here it is said by saying nothing.
        if order.size != "auto" {
            body.insert("image_size".into(), order.size.clone().into());
        }
        if !order.image_urls.is_empty() {
            body.insert("imageUrls".into(), json!(order.image_urls));
        }
        if let Some(watermark) = &order.watermark {
            body.insert("watermark".into(), watermark.clone().into());
        }
        Value::Object(body)
    }

    fn task_id(&self, answer: &Value) -> Option<String> {
        id(answer.pointer("/data/taskId")?)
    }

    fn poll(&self, task_id: &str) -> (String, String) {
        ("/api/v1/nanobanana/record-info".into(), format!("taskId={}", encoded(task_id)))
    }

    fn progress(&self, answer: &Value) -> Option<Progress> {
        let data = answer.get("data")?;
        let ended = |otherwise: &str| {
            let message = words(data.get("errorMessage"));
            Progress::Ended { message: message.unwrap_or_else(|| otherwise.to_owned()) }
        };
        match data.get("successFlag")?.as_u64()? {
            0 => Some(Progress::Running),
            1 => words(data.pointer("/response/resultImageUrl"))
                .map(|image_url| Progress::Completed { image_url }),
            2 => Some(ended("CREATE_TASK_FAILED")),
            3 => Some(ended("GENERATE_FAILED")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(data: &Value) -> Option<Progress> {
        Nanobananaapi.progress(&json!({"code": 200, "data": data}))
    }

    fn ended(message: &str) -> Option<Progress> {
        Some(Progress::Ended { message: message.into() })
    }

    #[test]
    fn every_flag_is_understood() {
        for (data, expected) in [
            (json!({"successFlag": 0}), Some(Progress::Running)),
            (
                json!({"successFlag": 1, "response": {"resultImageUrl": "https://i"}}),
                Some(Progress::Completed { image_url: "https://i".into() }),
            ),
            (json!({"successFlag": 2}), ended("CREATE_TASK_FAILED")),
            (json!({"successFlag": 3, "errorMessage": "unsafe"}), ended("unsafe")),
        ] {
            assert_eq!(progress(&data), expected, "{data}");
        }
    }

    #[test]
    fn an_answer_without_its_parts_is_not_understood() {
        for data in
            [Value::Null, json!({"successFlag": 9}), json!({"successFlag": 1, "response": null})]
        {
            assert_eq!(progress(&data), None, "{data}");
        }
    }
}

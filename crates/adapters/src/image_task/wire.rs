//! What the two wire formats have in common. Pure: values in, values out.

use serde_json::Value;

use super::order::Order;

/// Where a task stands.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    /// Ask again.
    Running,
    /// Here it is.
    Completed { image_url: String },
    /// It failed or was cancelled, and will not change any more.
    Ended { message: String },
}

/// One provider's way of saying things.
pub(super) trait Wire: Send + Sync {
    /// Where the provider is, unless the model says otherwise.
    fn default_base(&self) -> &'static str;
    /// Whether every order needs an image to start from.
    fn needs_images(&self) -> bool;
    /// Where orders are placed.
    fn order_path(&self) -> &'static str;
    /// The body of an order.
    fn order(&self, order: &Order) -> Value;
    /// The task's id in the answer to an order.
    fn task_id(&self, answer: &Value) -> Option<String>;
    /// Path and query of the question how a task goes.
    fn poll(&self, task_id: &str) -> (String, String);
    /// What the answer to that question says; `None` if it cannot be understood.
    fn progress(&self, answer: &Value) -> Option<Progress>;
}

/// An id as text, whether it came as text or as a number.
pub(super) fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Text that says something.
pub(super) fn words(value: Option<&Value>) -> Option<String> {
    value?.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

/// Text as one segment of a path or one value of a query.
pub(super) fn encoded(text: &str) -> String {
    // The form encoding writes a space as `+`, which only a query would read back.
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

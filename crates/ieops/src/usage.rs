//! What workers report as used. Pure.

use std::collections::{HashSet, VecDeque};

use serde::Deserialize;
use serde_json::Value;
use telemetry::metrics::Usage;

/// Requests that are remembered, so that a beat that was sent twice counts once.
const REQUESTS_MAX: usize = 16_384;

/// Longest id of a request that is remembered, in bytes.
const ID_BYTES_MAX: usize = 256;

/// The part of a record that is counted. A field that is no whole number spoils its own record.
#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    request_id: Option<String>,
    #[serde(default)]
    request_count: Option<u64>,
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

/// Which requests were counted.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    ids: HashSet<String>,
    /// Oldest first.
    order: VecDeque<String>,
}

impl Counted {
    /// What a record adds; nothing if it was counted before, or cannot be read.
    pub(crate) fn count(&mut self, record: &Value) -> Option<Usage> {
        let record = Record::deserialize(record).ok()?;
        let id = record.request_id.filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX);
        if let Some(id) = id
            && !self.remember(id)
        {
            return None;
        }
        Some(Usage {
            requests: record.request_count.unwrap_or(1),
            prompt_tokens: record.prompt_tokens.unwrap_or_default(),
            completion_tokens: record.completion_tokens.unwrap_or_default(),
            reasoning_tokens: record.reasoning_tokens.unwrap_or_default(),
        })
    }

    /// Whether it is new.
    fn remember(&mut self, id: String) -> bool {
        if !self.ids.insert(id.clone()) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REQUESTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_that_comes_twice_counts_once() {
        let mut counted = Counted::default();
        let record = json!({"org_id": "o", "model_name": "m", "prompt_tokens": 7,
            "completion_tokens": 5, "total_tokens": 12, "reasoning_tokens": 2, "request_count": 1,
            "timestamp": 1.5, "request_id": "chatcmpl-1"});
        let usage =
            Usage { requests: 1, prompt_tokens: 7, completion_tokens: 5, reasoning_tokens: 2 };
        assert_eq!(counted.count(&record), Some(usage));
        assert_eq!(counted.count(&record), None);
    }

    #[test]
    fn records_without_an_id_all_count_and_what_is_no_record_does_not() {
        let mut counted = Counted::default();
        let nothing = Usage { requests: 1, ..Usage::default() };
        for _ in 0..2 {
            assert_eq!(counted.count(&json!({"request_id": ""})), Some(nothing));
        }
        for record in [json!(1), json!({"prompt_tokens": -1}), json!({"prompt_tokens": "7"})] {
            assert_eq!(counted.count(&record), None);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut counted = Counted::default();
        for number in 0..=REQUESTS_MAX {
            assert!(counted.remember(number.to_string()));
        }
        assert_eq!((counted.ids.len(), counted.order.len()), (REQUESTS_MAX, REQUESTS_MAX));
        assert!(counted.remember("0".into()), "the oldest was forgotten");
        assert!(!counted.remember("7".into()));
    }
}

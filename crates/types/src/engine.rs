//! What an operator says about the engine of one language model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ConfigIssue;

/// How the weights are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Quantize {
    /// 16 bits, as most checkpoints come.
    #[default]
    Bf16,
    /// 8-bit weights, 16-bit arithmetic: half the memory, the same answers in practice.
    Int8,
    /// 8-bit weights and 8-bit arithmetic: the fastest for many requests at once.
    W8a8,
    /// 4-bit weights in groups of 64, 16-bit arithmetic: the smallest.
    Int4,
}

/// How keys and values of attention are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KvFormat {
    /// 16 bits.
    #[default]
    Bf16,
    /// 8 bits, one scale for each token and head: twice the context in the same memory.
    Int8,
}

/// The engine's settings of one model of kind `llm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EngineSpec {
    /// How the weights are held: `bf16`, `int8`, `w8a8` or `int4`.
    pub quantize: Quantize,
    /// How keys and values are held: `bf16` or `int8`.
    pub kv: KvFormat,
    /// Threads that compute; default: every processor.
    pub threads: Option<u32>,
    /// Sequences that are decoded together.
    pub max_sequences: u32,
    /// Longest prompt and answer together, in tokens; default: what the model was made for.
    pub max_model_len: Option<u32>,
    /// Tokens that one step runs: more is faster for prompts, less keeps running answers fluent.
    pub max_batch_tokens: u32,
    /// Memory for keys and values, in MiB; default: what the sequences need, within half of the free memory.
    pub kv_memory_mb: Option<u64>,
    /// Whether the beginnings that prompts share are computed once.
    pub prefix_cache: bool,
}

impl Default for EngineSpec {
    fn default() -> Self {
        Self {
            quantize: Quantize::default(),
            kv: KvFormat::default(),
            threads: None,
            max_sequences: 64,
            max_model_len: None,
            max_batch_tokens: 512,
            kv_memory_mb: None,
            prefix_cache: true,
        }
    }
}

impl EngineSpec {
    /// Everything that is wrong with it; empty means it can be used.
    pub fn issues(&self) -> Vec<ConfigIssue> {
        // Beyond these a number is a slip of the finger, and every one of them costs memory.
        let bounds = [
            ("engine.threads", self.threads.map(u64::from), 1, 1_024),
            ("engine.max_sequences", Some(self.max_sequences.into()), 1, 4_096),
            ("engine.max_model_len", self.max_model_len.map(u64::from), 32, 1 << 28),
            ("engine.max_batch_tokens", Some(self.max_batch_tokens.into()), 32, 65_536),
            ("engine.kv_memory_mb", self.kv_memory_mb, 1, 1 << 24),
        ];
        let outside = bounds.into_iter().filter_map(|(field, value, least, most)| {
            let message = format!("must be from {least} to {most}");
            (!(least..=most).contains(&value?)).then_some(ConfigIssue { field, message })
        });
        outside.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modes_are_written_as_they_are_spoken() {
        let spec: EngineSpec =
            serde_json::from_str(r#"{"quantize": "w8a8", "kv": "int8"}"#).unwrap();
        assert_eq!((spec.quantize, spec.kv), (Quantize::W8a8, KvFormat::Int8));
        assert_eq!(spec.issues(), []);
    }

    #[test]
    fn an_engine_without_room_is_refused_by_the_name_of_its_field() {
        let spec = EngineSpec { threads: Some(0), max_batch_tokens: 8, ..EngineSpec::default() };
        let fields: Vec<_> = spec.issues().into_iter().map(|issue| issue.field).collect();
        assert_eq!(fields, ["engine.threads", "engine.max_batch_tokens"]);
    }
}

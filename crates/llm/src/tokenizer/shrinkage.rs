//! How much of a text can get lost before it is cut into tokens.

use serde_json::Value;
use tokenizers::{ModelWrapper, Tokenizer as HfTokenizer};

/// Normal form C puts characters together: at most four bytes become one, as U+1FBE U+0308 U+0301
/// (7 bytes) become U+0390 (2 bytes).
const COMPOSED_MAX: usize = 4;

/// The tokens of a text stand for at least one byte of this many; `None` where any number of bytes
/// may leave no trace, as spaces before a `[SEP]` or the letters of an unknown word do.
pub(super) fn shrinkage(tokenizer: &HfTokenizer) -> Option<usize> {
    let ModelWrapper::BPE(model) = tokenizer.get_model() else { return None };
    // Without tokens for single bytes, a run of unknown letters may become one token.
    if model.unk_token.is_some() && !model.byte_fallback {
        return None;
    }
    let added = tokenizer.get_added_tokens_decoder();
    if added.values().any(|token| token.lstrip || token.rstrip) {
        return None;
    }
    let pre_tokenizer = as_json(tokenizer.get_pre_tokenizer());
    pre_tokenizer_keeps_all(&pre_tokenizer)
        .then(|| normalizer_shrinkage(&as_json(tokenizer.get_normalizer())))?
}

/// A part of a tokenizer as `tokenizer.json` has it.
fn as_json(part: Option<&impl serde::Serialize>) -> Value {
    serde_json::to_value(part).unwrap_or_else(|_| Value::from("unknown"))
}

fn normalizer_shrinkage(normalizer: &Value) -> Option<usize> {
    match normalizer["type"].as_str() {
        None if normalizer.is_null() => Some(1),
        Some("NFC") => Some(COMPOSED_MAX),
        Some("Prepend") => Some(1),
        Some("Replace") => {
            let (from, to) = (&normalizer["pattern"]["String"], &normalizer["content"]);
            (from.as_str()?.len() <= to.as_str()?.len()).then_some(1)
        }
        Some("Sequence") => {
            normalizer["normalizers"].as_array()?.iter().map(normalizer_shrinkage).product()
        }
        _ => None,
    }
}

fn pre_tokenizer_keeps_all(pre_tokenizer: &Value) -> bool {
    match pre_tokenizer["type"].as_str() {
        None => pre_tokenizer.is_null(),
        Some("ByteLevel" | "Metaspace" | "Digits") => true,
        Some("Split") => pre_tokenizer["behavior"].as_str().is_some_and(|what| what != "Removed"),
        Some("Sequence") => pre_tokenizer["pretokenizers"]
            .as_array()
            .is_some_and(|parts| parts.iter().all(pre_tokenizer_keeps_all)),
        _ => false,
    }
}

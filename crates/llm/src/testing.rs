//! A small model's folder, for tests: every byte is a token, some words are, and the marks of chats.

use std::{fs, path::Path, sync::LazyLock};

use engine::{Sampled, TokenId};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::macros::datetime;

use crate::{
    openai::Stamp,
    text::{TextFacts, TextSide},
};

/// In the manner of Qwen3, shortened.
pub(crate) const QWEN: &str = include_str!("../tests/templates/qwen.jinja");

/// Words that are one token.
const MERGES: [&str; 9] = ["t h", "th e", "Ġ the", "i n", "Ċ Ċ", "{ \"", "\" :", "a n", "an d"];
/// Behind the words.
pub(crate) const MARKS: [(&str, bool); 9] = [
    ("<|endoftext|>", true),
    ("<|im_start|>", true),
    ("<|im_end|>", true),
    ("<think>", false),
    ("</think>", false),
    ("<tool_call>", false),
    ("</tool_call>", false),
    ("<tool_response>", false),
    ("</tool_response>", false),
];

/// A byte-level tokenizer, as `tokenizer.json` has it.
pub(crate) fn tokenizer_json() -> Value {
    let mut letters: Vec<char> = ('!'..='~').chain('\u{A1}'..='\u{AC}').collect();
    letters.extend('\u{AE}'..='\u{FF}');
    letters.extend('\u{100}'..='\u{143}');
    let words = MERGES.iter().map(|merge| merge.replace(' ', ""));
    let pieces = letters.into_iter().map(String::from).chain(words);
    let vocab: serde_json::Map<String, Value> =
        pieces.enumerate().map(|(id, piece)| (piece, id.into())).collect();
    let first = vocab.len();
    let added = MARKS.iter().enumerate().map(|(number, (text, special))| {
        json!({"id": first + number, "content": text, "special": special, "single_word": false,
               "lstrip": false, "rstrip": false, "normalized": false})
    });
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                            "use_regex": true});
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added.collect::<Vec<_>>(), "normalizer": null,
        "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": null, "unk_token": null,
                  "continuing_subword_prefix": null, "end_of_word_suffix": null,
                  "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": MERGES},
    })
}

/// Writes a file of a model.
pub(crate) fn write(folder: &Path, name: &str, content: &Value) {
    fs::write(folder.join(name), content.to_string()).unwrap();
}

/// A folder with all files about text.
pub(crate) fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "tokenizer.json", &tokenizer_json());
    let config = json!({"eos_token": "<|im_end|>", "chat_template": QWEN});
    write(folder.path(), "tokenizer_config.json", &config);
    let end = [token("<|im_end|>"), token("<|endoftext|>")];
    let generation = json!({"eos_token_id": end, "temperature": 0.7, "top_k": 20, "top_p": 0.8});
    write(folder.path(), "generation_config.json", &generation);
    folder
}

pub(crate) fn facts() -> TextFacts {
    TextFacts { name: "small".into(), vocab_size: 300, max_model_len: 4000, max_sequences: 8 }
}

/// Made once: properties ask for it often.
pub(crate) fn text_side() -> &'static TextSide {
    static TEXT: LazyLock<TextSide> =
        LazyLock::new(|| TextSide::open(folder().path(), facts()).unwrap());
    &TEXT
}

/// The id of a mark.
pub(crate) fn token(mark: &str) -> TokenId {
    let number = MARKS.iter().position(|(text, _)| *text == mark).unwrap();
    TokenId::try_from(256 + MERGES.len() + number).unwrap()
}

pub(crate) fn stamp() -> Stamp {
    Stamp { id: "7".into(), seed: 42, now: datetime!(2026-11-21 12:00 UTC) }
}

/// A token with its log-probability: the higher its id, the less likely.
pub(crate) fn sampled(token: TokenId) -> Sampled {
    let logprob = -(token as f32) / 1000.0;
    Sampled { token, logprob: Some(logprob), top: vec![(token, logprob), (0, -9.0)] }
}

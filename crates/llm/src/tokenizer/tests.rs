//! Tokenizers of models, good and bad.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::testing;

fn open() -> Tokenizer {
    Tokenizer::open(testing::folder().path(), 300).unwrap()
}

fn complaint(content: &str, vocab_size: usize) -> String {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("tokenizer.json"), content).unwrap();
    let error = Tokenizer::open(folder.path(), vocab_size).unwrap_err().to_string();
    error.replace(&folder.path().display().to_string(), "DIR")
}

#[test]
fn words_are_cut_and_marks_stay_whole() {
    let tokenizer = open();
    let tokens = tokenizer.encode("<|im_start|>in the<think>", false).unwrap();
    let vocabulary = tokenizer.vocabulary().unwrap();
    let texts: Vec<String> = tokens.iter().map(|&token| vocabulary.text(token)).collect();
    assert_eq!(texts, ["<|im_start|>", "in", " the", "<think>"]);
    assert_eq!(tokenizer.token("<|im_end|>"), Some(testing::token("<|im_end|>")));
    assert!(tokenizer.encode("", false).unwrap().is_empty());
}

#[test]
fn special_tokens_are_added_only_where_they_are_wanted() {
    let mut json = testing::tokenizer_json();
    let first = testing::token("<|im_start|>");
    json["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}},
                   {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [],
        "special_tokens": {"<|im_start|>":
            {"id": "<|im_start|>", "ids": [first], "tokens": ["<|im_start|>"]}},
    });
    let folder = testing::folder();
    testing::write(folder.path(), "tokenizer.json", &json);
    let tokenizer = Tokenizer::open(folder.path(), 300).unwrap();
    assert_eq!(tokenizer.encode("a", true).unwrap()[0], first);
    assert_eq!(tokenizer.encode("a", false).unwrap().len(), 1);
}

#[test]
fn cutting_off_and_filling_up_are_switched_off() {
    let mut json = testing::tokenizer_json();
    json["truncation"] =
        json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
    json["padding"] = json!({"strategy": {"Fixed": 16}, "direction": "Right",
        "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "!"});
    let folder = testing::folder();
    testing::write(folder.path(), "tokenizer.json", &json);
    let tokenizer = Tokenizer::open(folder.path(), 300).unwrap();
    assert_eq!(tokenizer.encode("abcd", false).unwrap().len(), 4);
}

#[test]
fn a_missing_tokenizer_is_named() {
    let folder = TempDir::new().unwrap();
    let error = Tokenizer::open(folder.path(), 300).unwrap_err();
    assert!(matches!(error, TokenizerError::Missing { .. }), "{error}");
    assert!(error.to_string().contains("tokenizer.json is missing"), "{error}");
}

#[test]
fn a_damaged_tokenizer_is_named() {
    let whole = testing::tokenizer_json().to_string();
    assert!(complaint("{", 300).starts_with("DIR/tokenizer.json is not a valid tokenizer: "));
    assert!(complaint(&whole[..whole.len() / 2], 300).contains("not a valid tokenizer"));
    assert!(complaint("{\"model\": 3}", 300).contains("not a valid tokenizer"));
}

#[test]
fn a_tokenizer_of_another_model_is_noticed() {
    let error = complaint(&testing::tokenizer_json().to_string(), 200);
    let words = "DIR/tokenizer.json does not match the model: it has a token 273, \
                 but `vocab_size` of config.json is 200";
    assert_eq!(error, words);
}

#[test]
fn a_decoder_that_cannot_write_text_is_refused_for_writing_only() {
    let mut json = testing::tokenizer_json();
    json["decoder"] = json!({"type": "WordPiece", "prefix": "##", "cleanup": true});
    let folder = testing::folder();
    testing::write(folder.path(), "tokenizer.json", &json);
    let tokenizer = Tokenizer::open(folder.path(), 300).unwrap();
    assert!(tokenizer.encode("in", false).is_ok());
    let error = tokenizer.vocabulary().unwrap_err();
    let chain = types::chain(&error);
    assert!(chain.contains("tokenizer.json") && chain.contains("`WordPiece`"), "{chain}");
}

#[test]
fn how_much_of_a_text_may_get_lost_is_known_of_those_tokenizers_that_keep_all() {
    let shrinkage = |change: fn(&mut serde_json::Value)| {
        let mut json = testing::tokenizer_json();
        change(&mut json);
        let folder = testing::folder();
        testing::write(folder.path(), "tokenizer.json", &json);
        Tokenizer::open(folder.path(), 300).unwrap().shrinkage()
    };
    assert_eq!(shrinkage(|_| {}), Some(1));
    assert_eq!(shrinkage(|json| json["normalizer"] = json!({"type": "NFC"})), Some(4));
    let sentencepiece = |json: &mut serde_json::Value| {
        let space = json!({"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"});
        let parts = json!([{"type": "Prepend", "prepend": "\u{2581}"}, space]);
        json["normalizer"] = json!({"type": "Sequence", "normalizers": parts});
        (json["pre_tokenizer"], json["model"]["byte_fallback"]) = (json!(null), json!(true));
        json["model"]["unk_token"] = json!("!");
    };
    assert_eq!(shrinkage(sentencepiece), Some(1));

    let lossy: [fn(&mut serde_json::Value); 5] = [
        |json| json["normalizer"] = json!({"type": "StripAccents"}),
        |json| {
            let nothing = json!({"type": "Replace", "pattern": {"String": " "}, "content": ""});
            json["normalizer"] = nothing;
        },
        |json| json["pre_tokenizer"] = json!({"type": "WhitespaceSplit"}),
        |json| json["added_tokens"][0]["rstrip"] = json!(true),
        |json| json["model"]["unk_token"] = json!("!"),
    ];
    for lossy in lossy {
        assert_eq!(shrinkage(lossy), None);
    }
}

/// What counts towards the bound of a text's length: it must not refuse what would fit.
#[test]
fn normal_form_c_never_makes_one_byte_of_more_than_four() {
    let mut json = testing::tokenizer_json();
    json["normalizer"] = json!({"type": "NFC"});
    let folder = testing::folder();
    testing::write(folder.path(), "tokenizer.json", &json);
    let tokenizer = Tokenizer::open(folder.path(), 300).unwrap();
    let vocabulary = tokenizer.vocabulary().unwrap();
    for text in [
        "\u{1fbe}\u{308}\u{301}",
        "\u{1112}\u{1161}\u{11ab}",
        "\u{212a}",
        "\u{1fef}",
        "u\u{308}\u{304}",
    ] {
        let tokens = tokenizer.encode(text, false).unwrap();
        let left: usize = tokens.iter().map(|&token| vocabulary.bytes(token).len()).sum();
        let ascii = text.bytes().filter(u8::is_ascii).count();
        assert!(left < text.len() && ascii + (text.len() - ascii) / 4 <= left, "{text:?}: {left}");
    }
}

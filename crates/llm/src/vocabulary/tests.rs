//! The bytes of tokens.

use serde_json::json;

use super::*;
use crate::testing;

fn of(json: &serde_json::Value) -> Vocabulary {
    let tokenizer = HfTokenizer::from_bytes(json.to_string()).unwrap();
    Vocabulary::of(&tokenizer, 300).unwrap()
}

/// In the manner of sentencepiece: `▁` for a space, `<0x0A>` for bytes without a letter.
fn sentencepiece() -> serde_json::Value {
    let mut pieces: Vec<String> = vec!["<unk>".into(), "<s>".into(), "</s>".into()];
    pieces.extend((0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>")));
    pieces.extend(["▁", "▁Hi", "H", "i", "é"].map(String::from));
    let vocab: serde_json::Map<String, Value> =
        pieces.into_iter().enumerate().map(|(id, piece)| (piece, id.into())).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{"id": 1, "content": "<s>", "special": true, "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false}],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>",
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": true,
            "byte_fallback": true, "vocab": vocab, "merges": []},
    })
}

#[test]
fn every_byte_is_a_token_of_a_byte_level_vocabulary() {
    let vocabulary = of(&testing::tokenizer_json());
    let mut bytes: Vec<u8> = (0..256).flat_map(|token| vocabulary.bytes(token).to_vec()).collect();
    bytes.sort_unstable();
    assert_eq!(bytes, (0..=u8::MAX).collect::<Vec<u8>>());
}

#[test]
fn words_and_marks_are_their_bytes() {
    let vocabulary = of(&testing::tokenizer_json());
    assert_eq!(vocabulary.len(), 274);
    assert_eq!(vocabulary.bytes(258), b" the");
    assert_eq!(vocabulary.bytes(260), b"\n\n");
    let (end, think) = (testing::token("<|im_end|>"), testing::token("<think>"));
    assert_eq!(vocabulary.text(end), "<|im_end|>");
    assert!(vocabulary.is_special(end) && !vocabulary.is_special(think));
    assert_eq!(vocabulary.bytes(9_999), b"");
}

#[test]
fn fallback_bytes_and_spaces_are_understood() {
    let vocabulary = of(&sentencepiece());
    assert_eq!(vocabulary.bytes(3 + 0x0A), b"\n");
    assert_eq!(vocabulary.bytes(3 + 256 + 1), b" Hi");
    assert_eq!(vocabulary.text(3 + 256 + 4), "é");
    assert!(vocabulary.is_special(1));
    assert!(vocabulary.strips_first_space());
}

#[test]
fn numbers_between_tokens_have_no_bytes() {
    let words =
        vec![(5, b"b".to_vec(), false), (1, b"a".to_vec(), true), (5, b"c".to_vec(), false)];
    let vocabulary = Vocabulary::from_words(words, false);
    let bytes: Vec<&[u8]> = (0..7).map(|token| vocabulary.bytes(token)).collect();
    let expected: [&[u8]; 7] = [b"", b"a", b"", b"", b"", b"c", b""];
    assert_eq!(bytes, expected);
    assert!(vocabulary.is_special(1) && !vocabulary.is_special(5));
}

#[test]
fn the_longest_token_is_known_where_every_byte_has_one() {
    let longest = |json: &serde_json::Value| of(json).longest_token();
    assert_eq!(longest(&testing::tokenizer_json()), Some("</tool_response>".len()));
    assert_eq!(longest(&sentencepiece()), Some("<unk>".len()));
    let mut json = testing::tokenizer_json();
    let vocab = json["model"]["vocab"].as_object_mut().unwrap();
    vocab.shift_remove("\u{143}");
    assert_eq!(longest(&json), None);
}

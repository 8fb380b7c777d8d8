//! Text, token by token.

use proptest::prelude::*;

use super::*;
use crate::testing;

fn vocabulary() -> Arc<Vocabulary> {
    Arc::clone(&testing::text_side().vocabulary)
}

fn pieces(tokens: &[TokenId], options: TextOptions) -> Vec<String> {
    let mut detokenizer = Detokenizer::new(vocabulary(), options);
    let mut pieces: Vec<String> = tokens
        .iter()
        .map(|&token| {
            let mut piece = String::new();
            detokenizer.push(token, &mut piece);
            piece
        })
        .collect();
    let mut last = String::new();
    detokenizer.finish(&mut last);
    pieces.push(last);
    pieces
}

/// The tokens that are these single bytes.
fn bytes(bytes: &[u8]) -> Vec<TokenId> {
    let vocabulary = vocabulary();
    let token = |byte: &u8| (0..256).find(|&token| vocabulary.bytes(token) == [*byte]).unwrap();
    bytes.iter().map(token).collect()
}

#[test]
fn a_character_comes_out_whole() {
    let pieces = pieces(&bytes("a€b".as_bytes()), TextOptions::default());
    assert_eq!(pieces, ["a", "", "", "€", "b", ""]);
}

#[test]
fn what_is_no_character_is_shown_as_such() {
    assert_eq!(pieces(&bytes(&[0xE2, b'a']), TextOptions::default()), ["", "\u{FFFD}a", ""]);
    assert_eq!(
        pieces(&bytes(&[0xFF, 0xE2, 0x82]), TextOptions::default()).concat(),
        "\u{FFFD}\u{FFFD}"
    );
}

#[test]
fn special_tokens_are_left_out_unless_somebody_reads_them() {
    let tokens =
        [testing::token("<|im_end|>"), testing::token("<think>"), testing::token("<|im_start|>")];
    let shown = TextOptions::default();
    assert_eq!(pieces(&tokens, shown).concat(), "<|im_end|><think><|im_start|>");
    let keep = vec![testing::token("<|im_start|>")];
    let hidden = TextOptions { skip_special: true, keep, is_start: false };
    assert_eq!(pieces(&tokens, hidden).concat(), "<think><|im_start|>");
}

#[test]
fn a_special_token_does_not_break_a_character() {
    let [first, second] = bytes("é".as_bytes())[..] else { panic!("two bytes") };
    let tokens = [first, testing::token("<|im_end|>"), second];
    let options = TextOptions { skip_special: true, ..TextOptions::default() };
    assert_eq!(pieces(&tokens, options).concat(), "é");
}

#[test]
fn the_space_before_the_first_word_belongs_to_a_text_that_goes_on() {
    let words = vec![(0, b" Hi".to_vec(), false), (1, b"<s>".to_vec(), true)];
    let vocabulary = Arc::new(Vocabulary::from_words(words, true));
    let text = |is_start: bool| {
        let options = TextOptions { skip_special: true, keep: vec![], is_start };
        let mut detokenizer = Detokenizer::new(Arc::clone(&vocabulary), options);
        let mut text = String::new();
        for token in [1, 0, 0] {
            detokenizer.push(token, &mut text);
        }
        text
    };
    assert_eq!(text(true), "Hi Hi");
    assert_eq!(text(false), " Hi Hi");
}

proptest! {
    #[test]
    fn the_pieces_are_the_text_of_all_bytes(tokens in prop::collection::vec(0u32..280, 0..40)) {
        let vocabulary = vocabulary();
        let all: Vec<u8> = tokens.iter().flat_map(|&token| vocabulary.bytes(token).to_vec()).collect();
        let text = pieces(&tokens, TextOptions::default()).concat();
        prop_assert_eq!(text, String::from_utf8_lossy(&all));
    }

    #[test]
    fn what_was_cut_is_put_together_again(text in "\\PC{0,30}( the\\n\\nin)?") {
        let tokens = testing::text_side().tokenizer.encode(&text, false).unwrap();
        prop_assert_eq!(pieces(&tokens, TextOptions::default()).concat(), text);
    }
}

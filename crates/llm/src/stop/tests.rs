//! Where answers end.

use proptest::prelude::*;

use super::*;

fn scan(stops: &[&str], pieces: &[&str]) -> (String, bool) {
    let mut scanner = StopScanner::new(stops.iter().map(|stop| (*stop).to_owned()).collect());
    let mut text = String::new();
    for piece in pieces {
        if scanner.push(piece, &mut text) {
            return (text, true);
        }
    }
    scanner.finish(&mut text);
    (text, false)
}

/// The definition: take letters until the text ends with a stop string, and cut that off.
fn model(stops: &[String], text: &str) -> (String, bool) {
    let mut seen = String::new();
    for letter in text.chars() {
        seen.push(letter);
        let longest =
            stops.iter().filter(|stop| seen.ends_with(stop.as_str())).map(String::len).max();
        if let Some(length) = longest {
            seen.truncate(seen.len() - length);
            return (seen, true);
        }
    }
    (seen, false)
}

#[test]
fn an_answer_ends_before_the_stop_string() {
    assert_eq!(scan(&["\n\n"], &["one\n", "\ntwo"]), ("one".into(), true));
    assert_eq!(scan(&["END"], &["no such"]), ("no such".into(), false));
    assert!(!scan(&[""], &["an empty one stops nothing"]).1);
}

#[test]
fn a_beginning_that_leads_nowhere_belongs_to_the_answer() {
    assert_eq!(scan(&["STOP"], &["ST", "OOP S", "TO"]), ("STOOP STO".into(), false));
}

#[test]
fn just_what_may_become_a_stop_string_is_held_back() {
    let mut scanner = StopScanner::new(vec!["###".into(), "\nUser:".into()]);
    let mut text = String::new();
    assert!(!scanner.push("Hello#", &mut text));
    assert_eq!(text, "Hello");
    assert!(!scanner.push("1\nUse", &mut text));
    assert_eq!(text, "Hello#1");
    assert!(!scanner.push("d", &mut text));
    assert_eq!(text, "Hello#1\nUsed");
}

#[test]
fn of_two_stop_strings_the_one_that_is_complete_first_counts() {
    assert_eq!(scan(&["abcd", "bc"], &["abcd"]), ("a".into(), true));
    assert_eq!(scan(&["bc", "abc"], &["xabc"]), ("x".into(), true));
}

proptest! {
    #[test]
    fn it_does_not_matter_where_the_text_is_cut(
        stops in prop::collection::vec("[abé]{1,4}", 0..4),
        pieces in prop::collection::vec("[abcé]{0,5}", 0..12),
    ) {
        let stops_borrowed: Vec<&str> = stops.iter().map(String::as_str).collect();
        let pieces_borrowed: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let found = scan(&stops_borrowed, &pieces_borrowed);
        prop_assert_eq!(found, model(&stops, &pieces.concat()));
    }
}

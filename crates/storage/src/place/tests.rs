//! Tests of the path mapping.

use proptest::prelude::*;

use super::*;

fn home() -> Home {
    Home::new(&["u-1", "jfs", "org", "me"]).expect("plain names")
}

fn place(path: &str) -> String {
    home().place(path).expect("inside").to_string()
}

#[test]
fn a_path_is_beneath_the_users_folder_with_or_without_the_protocol() {
    assert_eq!(place("gmifs://output/image.png"), "output/image.png");
    assert_eq!(place("/output//./image.png/"), "output/image.png");
    assert_eq!(place("a/../b"), "b");
    assert_eq!(place("gmifs://"), "");
    assert_eq!(home().to_string(), "/u-1/jfs/org/me");
}

#[test]
fn a_path_that_leaves_and_comes_back_is_inside() {
    assert_eq!(place("../me/x"), "x");
}

#[test]
fn a_path_that_leaves_is_refused_in_the_words_of_the_document() {
    for path in ["../you/x", "a/../../you", "..", "../../../../../etc/passwd", "../me2/x"] {
        let error = home().place(path).expect_err(path);
        assert_eq!(error.kind(), Kind::Outside);
        assert_eq!(error.to_string(), format!("Path not allowed (outside user directory): {path}"));
    }
}

#[test]
fn a_link_is_followed_only_within_the_users_folder() {
    let within = ["a".to_owned()];
    let follow = |target| home().follow(&within, target).map(|place| place.to_string());
    assert_eq!(follow("b"), Some("a/b".to_owned()));
    assert_eq!(follow("../b"), Some("b".to_owned()));
    assert_eq!(follow("/u-1/jfs/org/me/c"), Some("c".to_owned()));
    assert_eq!(follow("../../you"), None);
    assert_eq!(follow("/etc/passwd"), None);
}

#[test]
fn names_that_would_move_the_users_folder_are_refused() {
    for name in ["", ".", "..", "a/b", "a\0"] {
        assert_eq!(Home::new(&["u", name]).expect_err(name).kind(), Kind::Invalid);
    }
}

proptest! {
    #[test]
    fn no_text_leads_out_of_the_users_folder(path in "[a./]{0,24}") {
        if let Ok(place) = home().place(&path) {
            for name in place.names() {
                prop_assert!(!matches!(name.as_str(), "" | "." | ".."), "{path} gave {name:?}");
                prop_assert!(!name.contains('/'));
            }
        }
    }

    #[test]
    fn a_path_without_dots_keeps_its_names(names in prop::collection::vec("[a-z]{1,4}", 0..6)) {
        prop_assert_eq!(place(&names.join("/")), names.join("/"));
    }

    #[test]
    fn normalising_twice_changes_nothing(path in "[ab./]{0,24}") {
        if let Ok(once) = home().place(&path) {
            prop_assert_eq!(home().place(&once.to_string()), Ok(once));
        }
    }
}

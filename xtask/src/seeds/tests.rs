//! Pages that hold and pages that do not.

use super::*;
use crate::repo::File;

const HEAD: &str =
    "## `small` (3 lines)\n\n| lines | it says | here | proof |\n|---|---|---|---|\n";

const RUST: &str = r#"
#[cfg(test)]
mod tests {
    #[tokio::test(start_paused = true)]
    async fn it_waits() {}
    fn helper() {}
    #[test]
    #[ignore = "slow"]
    fn it_is_never_run() {}
}

proptest! {
    #[test]
    fn any_number_fits(n in 0..9) { assert!(n < 9); }
}
"#;

const STORY: &str = "#[test]\nfn a_name_is_kept() {}\n";

const PYTHON: &str = "
def test_a_call():
    def test_inner():
        pass


class TestAll:
    async def test_b(self):
        pass


def helper():
    pass
";

#[test]
fn each_line_of_the_documents_has_its_place() {
    let (count, found) = check(&Repo::open().unwrap()).unwrap();
    assert!(found.is_empty(), "\n{}\n{count}", found.join("\n"));
}

fn small_repo(page: &str) -> Repo {
    let file = |(path, text): (&str, &str)| File { path: path.into(), text: text.into() };
    let files = [
        (PAGE, page),
        ("crates/a/Cargo.toml", "[package]\nname = 'aa'\n"),
        ("crates/a/src/b/c.rs", RUST),
        ("crates/a/tests/it/main.rs", STORY),
        ("crates/a/tests/it/names.rs", STORY),
        ("tests/x_test.py", PYTHON),
    ];
    Repo { root: "nowhere".into(), files: files.map(file).into() }
}

#[track_caller]
fn tells(rows: &str, expected: &[&str]) {
    let (_, found) = check(&small_repo(&format!("{HEAD}{rows}"))).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn a_test_is_named_as_its_runner_prints_it() {
    for name in [
        "aa::b::c::tests::it_waits",
        "aa::b::c::any_number_fits",
        "aa::it::a_name_is_kept",
        "aa::it::names::a_name_is_kept",
        "tests/x_test.py::test_a_call",
        "tests/x_test.py::TestAll::test_b",
    ] {
        tells(&format!("| 1-3 | a claim | run this | `{name}` |\n"), &[]);
    }
}

#[test]
fn what_is_no_test_proves_nothing() {
    for name in [
        "aa::b::c::tests::helper",
        "aa::b::c::tests::it_is_never_run",
        "aa::it::gone",
        "bb::it::a_name_is_kept",
        "tests/x_test.py::test_inner",
        "tests/x_test.py::test_b",
        "tests/x_test.py::helper",
    ] {
        let sentence = format!("docs/seeds.md:5 names the test `{name}`, which nobody has written");
        tells(&format!("| 1-3 | a claim | | `{name}` |\n"), &[&sentence]);
    }
}

#[test]
fn each_line_of_a_document_needs_a_row() {
    tells("| 1 | a | | later: edge |\n| 2-3 | b | | not taken: prose |\n", &[]);
    tells(
        "| 2 | a | | later: edge |\n",
        &["docs/seeds.md:1 leaves 2 lines of `small` without a row, the first is 1"],
    );
    tells("| 1-4 | a | | later: edge |\n", &["docs/seeds.md:5 speaks of line 4, `small` has 3"]);
}

#[test]
fn a_malformed_row_is_told_with_what_is_wrong() {
    let told = |row: &str| {
        let page = format!("{HEAD}| 1-3 | a | | later: edge |\n{row}\n");
        check(&small_repo(&page)).unwrap().1.join("\n")
    };
    assert_eq!(told("| 1 | a | later: edge |"), "docs/seeds.md:6 has 3 columns instead of 4");
    assert_eq!(
        told("| one | a | | later: edge |"),
        "docs/seeds.md:6 has `one` where lines are named"
    );
    assert_eq!(
        told("| 3-2 | a | | later: edge |"),
        "docs/seeds.md:6 has `3-2` where lines are named"
    );
    assert_eq!(
        told("| 1 | | | later: edge |"),
        "docs/seeds.md:6 does not say what the document says"
    );
    assert!(
        told("| 1 | a | | later: some day |").starts_with("docs/seeds.md:6 waits for `some day`")
    );
    assert!(
        told("| 1 | a | | of course |").starts_with("docs/seeds.md:6 has no proof: `of course`")
    );
    assert_eq!(told("| 1 | a \\| b | | later: edge |"), "");
}

#[test]
fn what_is_covered_and_what_is_open_is_counted() {
    let rows = "| 1 | a | | `aa::it::a_name_is_kept`, `tests/x_test.py::test_a_call` |\n\
                | 2 | b | | later: edge |\n| 2 | c | | later: console |\n| 3 | d | | not taken: e |\n";
    let (count, found) = check(&small_repo(&format!("{HEAD}{rows}"))).unwrap();
    assert_eq!(found, [""; 0]);
    let told = count.to_string();
    let lines: Vec<_> =
        told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let counted = "covered 1 / 4, later 2, not taken 1";
    assert_eq!(
        lines,
        [
            format!("small {counted}"),
            format!("all {counted}"),
            "later: edge 1".into(),
            "later: console 1".into()
        ]
    );
}

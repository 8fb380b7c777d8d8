//! Every line of the seed documents has its place: a test, a milestone, or a reason (`docs/seeds.md`).

mod count;
mod page;
mod python;
mod rust;
mod written;

use self::{
    count::Count,
    page::{Document, Proof},
    written::Written,
};
use crate::repo::Repo;

const PAGE: &str = "docs/seeds.md";

/// What the page promises, counted, and every sentence of it that does not hold.
pub(crate) fn check(repo: &Repo) -> anyhow::Result<(Count, Vec<String>)> {
    let (documents, mut found) = page::read(repo.text(PAGE)?);
    let written = Written::of(repo)?;
    for document in &documents {
        found.extend(document.gaps());
        found.extend(missing_tests(document, &written));
    }
    if documents.is_empty() {
        found.push(format!("{PAGE} has no table of a document"));
    }
    found.sort_by_key(|sentence| line_of(sentence));
    let found = found.into_iter().map(|sentence| format!("{PAGE}:{sentence}")).collect();
    Ok((Count::of(&documents), found))
}

/// Every breach in this checkout, as sentences; the counts are printed beside them.
pub(crate) fn violations_of(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let (count, found) = check(repo)?;
    println!("{count}");
    Ok(found)
}

fn missing_tests<'a>(
    document: &'a Document,
    written: &'a Written,
) -> impl Iterator<Item = String> + 'a {
    let named = document.rows.iter().flat_map(|row| match &row.proof {
        Proof::Tests(tests) => tests.iter().map(|test| (row.at, test)).collect(),
        Proof::Later(_) | Proof::NotTaken => Vec::new(),
    });
    named
        .filter(|(_, test)| !written.has(test))
        .map(|(at, test)| format!("{at} names the test `{test}`, which nobody has written"))
}

/// Sentences begin with the line of the page that they are about.
fn line_of(sentence: &str) -> usize {
    let digits: String = sentence.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests;

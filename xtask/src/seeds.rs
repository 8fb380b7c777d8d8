//! Every line of the seed documents has its place: a test, a milestone, or a reason (`docs/seeds.md`).

mod count;
mod page;
mod python;
mod rust;
mod written;

use self::{
    count::Count,
    page::{Document, Finding, Proof},
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
        found.push(Finding { at: 1, what: "has no table of a document".into() });
    }
    found.sort();
    let sentence = |Finding { at, what }| format!("{PAGE}:{at} {what}");
    Ok((Count::of(&documents), found.into_iter().map(sentence).collect()))
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
) -> impl Iterator<Item = Finding> + 'a {
    let named = document.rows.iter().flat_map(|row| match &row.proof {
        Proof::Tests(tests) => tests.iter().map(|test| (row.at, test)).collect(),
        Proof::Later(_) | Proof::NotTaken => Vec::new(),
    });
    named.filter(|(_, test)| !written.has(test)).map(|(at, test)| Finding {
        at,
        what: format!("names the test `{test}`, which nobody has written"),
    })
}

#[cfg(test)]
mod tests;

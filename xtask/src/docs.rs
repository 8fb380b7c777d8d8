//! What the documents take from the code: the table of errors.

use std::fs;

use types::{ErrorCode, Retry};

use crate::repo::Repo;

/// The page that holds the table.
pub(crate) const ERROR_INDEX: &str = "docs/errors/README.md";

const FIRST_ROW: &str = "| code | status | meaning | retry |\n|---|---|---|---|\n";

/// Rewrites what is out of date.
pub(crate) fn write(repo: &Repo) -> anyhow::Result<()> {
    let page = repo.text(ERROR_INDEX)?;
    fs::write(repo.root.join(ERROR_INDEX), with_table(page))?;
    Ok(())
}

/// The page with its table as the code says; everything before the table is kept.
pub(crate) fn with_table(page: &str) -> String {
    let intro = page.split(FIRST_ROW).next().unwrap_or_default().trim_end();
    let rows: String = ErrorCode::ALL.iter().map(|&code| row(code)).collect();
    format!("{intro}\n\n{FIRST_ROW}{rows}")
}

fn row(code: ErrorCode) -> String {
    let retry = match code.retry() {
        Retry::No => "no",
        Retry::Later => "later",
        Retry::IfIdempotent => "if idempotent",
    };
    let (slug, status, title) = (code.slug(), code.status(), code.title());
    format!("| [`{slug}`]({slug}.md) | {status} | {title} | {retry} |\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_before_the_table_stay() {
        let page = with_table("# Errors\n\nHello.\n\n");
        assert!(page.starts_with("# Errors\n\nHello.\n\n| code |"));
        assert!(page.contains("| [`queue_full`](queue_full.md) | 429 |"));
        assert_eq!(with_table(&page), page);
    }
}

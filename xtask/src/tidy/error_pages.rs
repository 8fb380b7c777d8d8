//! Every error code has a page that says what the table says.

use serde_json::Value;
use types::ErrorCode;

use crate::{docs, repo::Repo};

pub(super) fn violations(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for &code in ErrorCode::ALL {
        let path = format!("docs/errors/{}.md", code.slug());
        match repo.text(&path) {
            Ok(page) => found.extend(complaint(code, page).map(|what| format!("`{path}` {what}"))),
            Err(_) => found.push(format!("`{path}` is missing: write what to do about the error")),
        }
    }
    for file in repo.files.iter().filter(|file| file.path.starts_with("docs/errors/")) {
        let slug = file.path.trim_start_matches("docs/errors/").trim_end_matches(".md");
        if slug != "README" && ErrorCode::from_slug(slug).is_none() {
            found.push(format!("`{}` explains an error that does not exist", file.path));
        }
    }
    if repo.text(docs::ERROR_INDEX).is_ok_and(|page| docs::with_table(page) != page) {
        found.push(format!("`{}` is out of date: run `cargo xtask docs`", docs::ERROR_INDEX));
    }
    Ok(found)
}

fn complaint(code: ErrorCode, page: &str) -> Option<String> {
    let (slug, title, status) = (code.slug(), code.title(), code.status());
    if !page.starts_with(&format!("# `{slug}`\n\n{title}.\n")) {
        return Some(format!("should open with the heading `{slug}` and the sentence `{title}.`"));
    }
    for part in ["## What happened", "## Who fixes it", "## What to try", "## Example"] {
        if !page.contains(part) {
            return Some(format!("lacks `{part}`"));
        }
    }
    let Some(example) = example(page) else {
        return Some("shows no example body that is JSON".into());
    };
    let agrees =
        example["code"] == slug && example["title"] == title && example["status"] == status;
    (!agrees).then(|| "shows a code, title or status that is not the one of the table".into())
}

/// The JSON after the head of the answer.
fn example(page: &str) -> Option<Value> {
    let (_, answer) = page.split_once("```http\n")?;
    let (_, body) = answer.split_once("\n\n")?;
    serde_json::from_str(body.split("```").next()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(status: u16) -> String {
        format!(
            "# `queue_full`\n\nThe queue of this model is full.\n\n## What happened\n## Who fixes it\n\
             ## What to try\n## Example\n\n```http\nHTTP/1.1 429\n\n{{\"code\":\"queue_full\",\
             \"title\":\"The queue of this model is full\",\"status\":{status}}}\n```\n"
        )
    }

    #[test]
    fn a_page_agrees_with_the_table() {
        assert_eq!(complaint(ErrorCode::QueueFull, &page(429)), None);
        let wrong = complaint(ErrorCode::QueueFull, &page(503)).unwrap();
        assert!(wrong.contains("status"), "{wrong}");
        let other = complaint(ErrorCode::InvalidJson, &page(429)).unwrap();
        assert!(other.contains("`invalid_json`"), "{other}");
    }
}

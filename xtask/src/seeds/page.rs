//! The tables of the page: a heading for each document, a row for each thing that it says.

use std::ops::RangeInclusive;

/// What brings a row that no test proves yet.
pub(super) const MILESTONES: [&str; 15] = [
    "worker sdk",
    "configuration",
    "routes",
    "selftest",
    "start and stop",
    "containers",
    "tls",
    "keys",
    "developer commands",
    "live sessions",
    "control plane",
    "edge",
    "console",
    "models",
    "shipping",
];

const COLUMNS: usize = 4;

/// Something that does not hold.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    /// The line of the page.
    pub(super) at: usize,
    /// The rest of a sentence that begins with that line.
    pub(super) what: String,
}

/// One document and what became of its lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    /// As in its heading.
    pub(super) name: String,
    /// How many lines it has, from its heading.
    pub(super) lines: usize,
    /// The line of the page that has the heading.
    pub(super) at: usize,
    /// In the order of the page.
    pub(super) rows: Vec<Row>,
}

/// One thing that a document says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The line of the page.
    pub(super) at: usize,
    /// The lines of the document that say it.
    pub(super) lines: RangeInclusive<usize>,
    /// What became of it.
    pub(super) proof: Proof,
}

/// What became of something that a document says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It is true, and these tests fail when it is not.
    Tests(Vec<String>),
    /// It comes with this milestone.
    Later(&'static str),
    /// It does not come; the page says why.
    NotTaken,
}

impl Document {
    /// Lines of the document that no row speaks of, and rows that speak of lines beyond its end.
    pub(super) fn gaps(&self) -> Vec<Finding> {
        let Self { name, lines, at, rows } = self;
        let open: Vec<_> =
            (1..=*lines).filter(|line| !rows.iter().any(|row| row.lines.contains(line))).collect();
        let gap = open.first().map(|first| Finding {
            at: *at,
            what: format!(
                "leaves {} lines of `{name}` without a row, the first is {first}",
                open.len()
            ),
        });
        let beyond = rows.iter().filter(|row| row.lines.end() > lines).map(|row| Finding {
            at: row.at,
            what: format!("speaks of line {}, `{name}` has {lines}", row.lines.end()),
        });
        gap.into_iter().chain(beyond).collect()
    }
}

/// The documents of the page, and each line that cannot be understood.
pub(super) fn read(text: &str) -> (Vec<Document>, Vec<Finding>) {
    let (mut documents, mut found) = (Vec::<Document>::new(), Vec::new());
    for (line, at) in text.lines().zip(1..) {
        if let Some(heading) = line.strip_prefix("## ") {
            documents.extend(document(heading, at));
        } else if let Some(cells) = cells(line).filter(|cells| !is_head(cells)) {
            match (row(&cells, at), documents.last_mut()) {
                (Ok(row), Some(document)) => document.rows.push(row),
                (Ok(_), None) => {
                    found.push(Finding { at, what: "stands above the first document".into() });
                }
                (Err(what), _) => found.push(Finding { at, what }),
            }
        }
    }
    (documents, found)
}

/// `` `ray-service` (163 lines) ``; another heading is no document.
fn document(heading: &str, at: usize) -> Option<Document> {
    let (name, lines) = heading.strip_suffix(" lines)")?.split_once(" (")?;
    let (name, lines) = (name.trim_matches('`').to_owned(), lines.parse().ok()?);
    Some(Document { name, lines, at, rows: Vec::new() })
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    // A bar that is meant as a bar is written `\|`.
    let mut cells = vec![];
    let mut start = 0;
    for (bar, _) in inner.match_indices('|').filter(|(at, _)| !inner[..*at].ends_with('\\')) {
        cells.push(inner[start..bar].trim());
        start = bar + 1;
    }
    cells.push(inner[start..].trim());
    Some(cells)
}

fn is_head(cells: &[&str]) -> bool {
    cells.first().is_some_and(|first| *first == "lines" || first.starts_with("--"))
}

fn row(cells: &[&str], at: usize) -> Result<Row, String> {
    let [lines, says, _here, proof] = cells else {
        return Err(format!("has {} columns instead of {COLUMNS}", cells.len()));
    };
    if says.is_empty() {
        return Err("does not say what the document says".into());
    }
    let lines = range(lines).ok_or_else(|| format!("has `{lines}` where lines are named"))?;
    Ok(Row { at, lines, proof: self::proof(proof)? })
}

/// `7` or `7-9`.
fn range(text: &str) -> Option<RangeInclusive<usize>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (0 < first && first <= last).then_some(first..=last)
}

fn proof(text: &str) -> Result<Proof, String> {
    if let Some(milestone) = text.strip_prefix("later: ") {
        let known = MILESTONES.iter().find(|known| **known == milestone);
        return known.map(|known| Proof::Later(known)).ok_or_else(|| {
            format!("waits for `{milestone}`, which is none of: {}", MILESTONES.join(", "))
        });
    }
    if let Some(reason) = text.strip_prefix("not taken: ") {
        return if reason.is_empty() {
            Err("does not say why".into())
        } else {
            Ok(Proof::NotTaken)
        };
    }
    let test = |span: &str| Some(span.trim().strip_prefix('`')?.strip_suffix('`')?.to_owned());
    let tests: Option<Vec<_>> = text.split(',').map(test).collect();
    tests.map(Proof::Tests).ok_or_else(|| {
        format!("has no proof: `{text}` is neither tests, nor `later: …`, nor `not taken: …`")
    })
}

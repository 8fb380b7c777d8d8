//! What happened to the calls of the puppets, in the order in which it happened. All processes of a
//! yard write into one file.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const FILE: &str = "diary";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Since the Unix epoch.
    pub(crate) at: Duration,
    /// Who wrote it.
    pub(crate) pid: i32,
    /// What happened: `begun`, `ended`, `cancelled`; `rested` when a thread is done.
    pub(crate) word: String,
    /// To which call.
    pub(crate) note: String,
}

/// Now, as the diary tells time.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// Adds a line in the working directory, at once and whole.
pub(crate) fn write(word: &str, note: &str) {
    let line = format!("{} {} {word} {note}\n", now().as_micros(), std::process::id());
    let mut file = OpenOptions::new().create(true).append(true).open(FILE).unwrap();
    file.write_all(line.as_bytes()).unwrap();
}

/// Reads all lines.
pub(crate) fn read(folder: &Path) -> Vec<Entry> {
    let text = fs::read_to_string(folder.join(FILE)).unwrap_or_default();
    text.lines().map(entry).collect()
}

fn entry(line: &str) -> Entry {
    let mut words = line.splitn(4, ' ');
    let mut next = || words.next().unwrap();
    Entry {
        at: Duration::from_micros(next().parse().unwrap()),
        pid: next().parse().unwrap(),
        word: next().into(),
        note: next().into(),
    }
}

/// The most calls that ran at once.
pub(crate) fn most_at_once(entries: &[Entry]) -> usize {
    let mut running = 0_usize;
    let counts = entries.iter().map(|entry| {
        match entry.word.as_str() {
            "begun" => running += 1,
            "ended" | "cancelled" => running -= 1,
            _ => {}
        }
        running
    });
    counts.max().unwrap_or(0)
}

//! Files and batches: many calls in one file, each made as a durable task, answered in another file.
//!
//! A batch passes through these files in this order:
//!
//! 1. `files`: its input was uploaded.
//! 2. `handle`: it is written down; `lifecycle` says what each step leads to.
//! 3. `feeder`: one server takes it under a lease (`held`), and another one when that server is gone.
//! 4. `check`: every line is read by `line`; what is wrong is named.
//! 5. `run`: a window of its lines are tasks at any time; `outcome` makes a line of the answers.
//! 6. `journal`: each outcome is written at once, under the number of its line.
//! 7. `output`: the outcomes become files, in the order of the input.
//!
//! No line is lost and none is twice in a file of results, whoever dies when: a line is a task with a
//! key of its own, so asking again finds it; outcomes are kept by the number of their line; and what a
//! batch ends with is decided by one change of its document, which only the holder of the lease can make.
//!
//! Absent on purpose: calls and retries (`tasks`), a queue, routes and bodies of HTTP (`gateway`).

mod binding;
mod check;
mod clock;
mod error;
mod feeder;
mod files;
mod handle;
mod held;
mod housekeeping;
mod journal;
mod lifecycle;
mod line;
mod outcome;
mod output;
mod record;
mod run;
mod settings;
mod shelf;

/// The kinds of documents that are kept in the store.
pub const DOCUMENT_KINDS: [&str; 2] =
    [<record::FileRecord as shelf::Record>::KIND, <record::BatchRecord as shelf::Record>::KIND];

pub use error::Error;
pub use files::{Content, Files, ListQuery, NewFileInfo, Upload};
pub use handle::Batches;
pub use settings::BatchSettings;

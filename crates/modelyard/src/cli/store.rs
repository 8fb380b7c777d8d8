//! `modelyard store`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigFileArgs;

/// What can be done with a store as a whole.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Read every record, and tell what is wrong with the store.
    ///
    /// Prints a report as JSON. The exit status is 1 if something is wrong; each problem names its
    /// task and what to do. Nothing is changed. A SQLite file must not be in use by a server; a Redis
    /// may be.
    #[command(after_help = "\
Examples:
  modelyard store check
  modelyard store check --config modelyard.toml | jq .problems")]
    Check(ConfigFileArgs),
    /// Write all tasks and documents as lines of JSON, the oldest first.
    ///
    /// A task has its request, answer, history and times in its line. The contents of uploaded files
    /// are not in the store; copy the folder `files.dir`.
    #[command(after_help = "\
Examples:
  modelyard store export tasks.jsonl
  modelyard store export | gzip > tasks.jsonl.gz")]
    Export(ExportArgs),
    /// Read what `export` wrote into an empty store.
    ///
    /// Order, counts, times and idempotency keys stay as they were. Tasks that ran wait again, as
    /// after a restart: stop the servers before you export what is to be moved.
    #[command(after_help = "\
Examples:
  modelyard store export tasks.jsonl
  REDIS_URL=redis://10.0.0.4:6379/0 modelyard store import tasks.jsonl
  gunzip -c tasks.jsonl.gz | modelyard store import --merge")]
    Import(ImportArgs),
}

/// Where an export is written.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// A new file; `-` is standard output.
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) store: ConfigFileArgs,
}

/// What is imported.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file; `-` is standard input.
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,

    /// Also into a store that is not empty: what is there already is left as it is.
    #[arg(long)]
    pub(crate) merge: bool,

    #[command(flatten)]
    pub(crate) store: ConfigFileArgs,
}

//! `modelyard batch`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Connection;

/// What can be done with batches.
#[derive(Debug, Subcommand)]
pub(crate) enum BatchCommand {
    Submit(BatchSubmitArgs),
    /// Print a batch as it stands.
    Get {
        /// The batch.
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Wait for the end of a batch and print it; the exit status is 1 if it did not complete.
    Wait {
        /// The batch.
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Print the answers of a batch that has ended, one a line.
    Results {
        /// The batch.
        id: String,
        /// What was not answered instead, and why.
        #[arg(long)]
        errors: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// List batches, newest first.
    List {
        /// At most so many.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: Option<u32>,
        /// Only what comes after this batch.
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Cancel a batch: what runs is dropped, what was answered stays.
    Cancel {
        /// The batch.
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
}

/// Upload a file of calls and have every line answered.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  modelyard batch submit calls.jsonl
  modelyard batch submit calls.jsonl --window 2h --wait

A line is one call:
  {\"custom_id\": \"a\", \"method\": \"POST\", \"url\": \"/invoke/local-echo\", \"body\": {\"n\": 1}}")]
pub(crate) struct BatchSubmitArgs {
    /// The file, one call a line.
    pub(crate) file: PathBuf,

    /// What every line calls; left out, it is the `url` of the first line.
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,

    /// Time for all of it.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub(crate) window: String,

    /// Wait for its end and print it.
    #[arg(long)]
    pub(crate) wait: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

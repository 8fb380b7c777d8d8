//! `fsync-rate FOLDER`: measures the disk, prints the result as one line of JSON.

use std::{path::PathBuf, time::Duration};

use bench::{disk, print};
use clap::Parser;

/// Append a page and sync it, again and again, and print how often that is possible.
#[derive(Debug, Parser)]
struct Args {
    /// A folder on the disk that is meant.
    folder: PathBuf,
    /// Bytes of one append.
    #[arg(long, default_value = "4096")]
    bytes: usize,
    /// How long, in seconds.
    #[arg(long, default_value = "3")]
    seconds: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let rate = disk::sync_rate(&args.folder, args.bytes, Duration::from_secs(args.seconds))?;
    Ok(print::line(&rate)?)
}

//! `memory-rate`: measures how fast memory can be read, prints the result as one line of JSON.

use std::num::NonZeroUsize;

use bench::{bandwidth, print};
use clap::Parser;

/// Read much memory, again and again, and print how fast that was.
#[derive(Debug, Parser)]
struct Args {
    /// Threads that read at the same time.
    #[arg(long, short, default_value = "2")]
    threads: NonZeroUsize,
    /// Memory of one pass, in MiB; must be far more than the caches hold.
    #[arg(long, default_value = "1024")]
    mebibytes: usize,
    /// Passes of each way to read.
    #[arg(long, default_value = "5")]
    passes: usize,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let rate = bandwidth::read_rate(args.mebibytes << 20, args.threads, args.passes)?;
    Ok(print::line(&rate)?)
}

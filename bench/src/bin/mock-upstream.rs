//! `mock-upstream ADDRESS`: answers every request at once, until it is ended or its time is up.

use std::time::Duration;

use bench::mock::{self, Address};
use clap::Parser;
use tokio::{runtime, time};

/// Answer every request at once with the same JSON.
#[derive(Debug, Parser)]
struct Args {
    /// `host:port`, or `unix:/path`
    address: Address,
    /// Ends by itself after this time, in seconds.
    #[arg(long, default_value = "3600")]
    lifetime: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let lifetime = Duration::from_secs(args.lifetime);
    match runtime.block_on(async { time::timeout(lifetime, mock::serve(&args.address)).await }) {
        Ok(served) => Ok(served?),
        Err(_elapsed) => Ok(()),
    }
}

//! `streamgen URL`: asks for streamed texts, prints what it saw as one line of JSON.

use std::{net::SocketAddr, num::NonZeroUsize};

use anyhow::Context;
use bench::{
    print,
    streams::{self, Ask, Run},
};
use clap::Parser;
use serde::Serialize;

/// Ask a server for completions from several clients at once, and print how fast the tokens come.
#[derive(Debug, Parser)]
struct Args {
    /// Where the server listens: 127.0.0.1:8000
    address: SocketAddr,
    /// The model's name.
    #[arg(long, default_value = "local-model")]
    model: String,
    /// Clients at once.
    #[arg(long, default_value = "16")]
    sequences: NonZeroUsize,
    /// Tokens of each prompt.
    #[arg(long, default_value = "128")]
    input: NonZeroUsize,
    /// Tokens of each answer.
    #[arg(long, default_value = "128")]
    output: NonZeroUsize,
    /// How tokens are drawn; 0 takes the likeliest.
    #[arg(long, default_value = "0")]
    temperature: f64,
    /// Measured runs, after a short one that warms up.
    #[arg(long, default_value = "1")]
    repeat: NonZeroUsize,
}

#[derive(Serialize)]
struct Report {
    runs: Vec<Run>,
}

/// Tokens of each answer of the run that warms up.
const WARM_UP_TOKENS: usize = 4;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let ask = Ask {
        address: args.address,
        model: args.model,
        sequences: args.sequences.get(),
        input: args.input.get(),
        output: args.output.get(),
        temperature: args.temperature,
    };
    streams::run(&Ask { output: WARM_UP_TOKENS, ..ask.clone() }).context("the warm-up failed")?;
    let runs = (0..args.repeat.get()).map(|_| streams::run(&ask)).collect::<Result<_, _>>()?;
    Ok(print::line(&Report { runs })?)
}

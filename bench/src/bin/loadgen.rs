//! `loadgen URL`: sends load, prints what it saw as one line of JSON.

use std::{num::NonZeroUsize, time::Duration};

use bench::{
    load::{self, Plan, Target},
    print,
};
use clap::Parser;

/// Send the same JSON request again and again over kept connections, and print the latencies.
///
/// Without --rate each connection sends its next request when the last one is answered. With it,
/// requests are due at that rate and latencies count from when they were due.
#[derive(Debug, Parser)]
struct Args {
    /// Where to: http://host:port/path
    url: String,
    /// Kept connections.
    #[arg(long, short, default_value = "32")]
    connections: NonZeroUsize,
    /// Threads that share the connections.
    #[arg(long, short, default_value = "1")]
    threads: NonZeroUsize,
    /// Requests a second.
    #[arg(long, short, value_parser = positive)]
    rate: Option<f64>,
    /// Time that counts, in seconds.
    #[arg(long, short, default_value = "10", value_parser = positive)]
    seconds: f64,
    /// Time before anything counts, in seconds.
    #[arg(long, short, default_value = "0", value_parser = not_negative)]
    warm_up: f64,
    /// The body.
    #[arg(long, short, default_value = r#"{"payload": {"text": "hello"}}"#)]
    body: String,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let plan = Plan {
        target: Target::post_json(&args.url, &args.body)?,
        connections: args.connections,
        threads: args.threads,
        rate: args.rate,
        warm_up: Duration::from_secs_f64(args.warm_up),
        measured: Duration::from_secs_f64(args.seconds),
    };
    Ok(print::line(&load::run(&plan)?)?)
}

/// An hour is longer than any run, and a million more than one connection can carry.
const NUMBER_MAX: f64 = 1e6;

fn positive(text: &str) -> Result<f64, String> {
    not_negative(text).and_then(|number| match number {
        0.0 => Err("must be more than 0".into()),
        number => Ok(number),
    })
}

fn not_negative(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    if (0.0..=NUMBER_MAX).contains(&number) {
        Ok(number)
    } else {
        Err(format!("must be between 0 and {NUMBER_MAX}"))
    }
}

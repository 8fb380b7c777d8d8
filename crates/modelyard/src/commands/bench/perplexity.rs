//! `modelyard bench perplexity`: how well a model foretells texts.

use std::{fs, path::Path};

use llm::bench::{self, PerplexityJob, Text};

use super::{order, print_json, spec};
use crate::{
    cli::BenchPerplexityArgs,
    commands::{Surroundings, output},
    failure::Failure,
};

pub(super) fn run(args: &BenchPerplexityArgs, around: &Surroundings) -> Result<(), Failure> {
    let texts = read(&around.directory.join(&args.texts))?;
    // What is measured is what was packed just now.
    let order = order(around.directory.join(&args.folder), spec(&args.engine), None);
    let job = PerplexityJob { order, isa: None, texts };
    let found = bench::perplexity(&job).map_err(|error| Failure::from_error(&error))?;
    if args.json {
        return print_json(&found);
    }
    let told = format!(
        "perplexity {:.6} ({:.6} nats a token) over {} tokens of {} texts ({}, KV {})\n",
        found.perplexity, found.nats_per_token, found.tokens, found.texts, found.weights, found.kv
    );
    output::print(told.as_bytes())
}

fn read(file: &Path) -> Result<Vec<Text>, Failure> {
    let name = file.display();
    let lines = fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("cannot read {name}: {error}")))?;
    let lines = (1..).zip(lines.lines()).filter(|(_, line)| !line.trim().is_empty());
    let texts = lines.map(|(number, line)| {
        serde_json::from_str(line)
            .map_err(|error| Failure::misuse(format!("{name}, line {number}: {error}")))
    });
    let texts: Vec<Text> = texts.collect::<Result<_, _>>()?;
    if texts.is_empty() {
        let hint = "each line is an object with `prompt` and `answer`";
        return Err(Failure::misuse(format!("{name} has no texts")).hint(hint));
    }
    Ok(texts)
}

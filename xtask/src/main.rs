//! The chores of the repository: `cargo xtask layers | tidy | seeds | docs`.
//!
//! Each check is also a test of this crate, so `make test` runs it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks on its streams"
)]

mod docs;
mod layers;
mod repo;
mod seeds;
mod source;
mod tidy;

use std::process::ExitCode;

use repo::Repo;

const HELP: &str = "\
cargo xtask layers   dependencies between crates only point down (layers.toml)
cargo xtask tidy     the rules of the house that a machine can check (tidy.toml)
cargo xtask seeds    what became of each line of the seed documents (docs/seeds.md)
cargo xtask docs     rewrite what the documents take from the code";

fn main() -> anyhow::Result<ExitCode> {
    let chore = std::env::args().nth(1).unwrap_or_default();
    let repo = Repo::open()?;
    let found = match chore.as_str() {
        "layers" => layers::violations_of(&repo)?,
        "tidy" => tidy::violations_of(&repo)?,
        "seeds" => seeds::violations_of(&repo)?,
        "docs" => return docs::write(&repo).map(|()| ExitCode::SUCCESS),
        _ => {
            eprintln!("{HELP}");
            return Ok(ExitCode::from(2));
        }
    };
    for sentence in &found {
        println!("{sentence}");
    }
    if found.is_empty() {
        println!("{chore}: the house stands");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{chore}: {} found", found.len());
    Ok(ExitCode::FAILURE)
}

//! `modelyard doctor`: each thing that the server needs is looked at, and told in a line.

mod checks;
mod finding;

use super::{Surroundings, client_runtime, load, output};
use crate::{cli::DoctorArgs, failure::Failure};

use self::finding::{Finding, Verdict};

pub(super) fn run(args: &DoctorArgs, around: &Surroundings) -> Result<(), Failure> {
    // A configuration that cannot be read has its own report.
    let loaded = load(&args.config, around)?;
    let findings = client_runtime()?.block_on(checks::all(&loaded));
    let lines: String = findings.iter().map(Finding::to_string).collect();
    output::print(lines.as_bytes())?;
    match findings.iter().filter(|finding| finding.verdict == Verdict::Bad).count() {
        0 => Ok(()),
        1 => Err(Failure::new("one thing keeps the server from its work")),
        count => Err(Failure::new(format!("{count} things keep the server from its work"))),
    }
}

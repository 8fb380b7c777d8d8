//! `modelyard docs`: the pages that are made from the program.

use super::output;
use crate::{cli::DocsCommand, config, failure::Failure};

pub(super) fn run(page: DocsCommand) -> Result<(), Failure> {
    let text = match page {
        DocsCommand::Config => config::documentation(),
        DocsCommand::Metrics => telemetry::names::page(),
    };
    output::print(text.as_bytes())
}

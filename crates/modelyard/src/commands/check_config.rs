//! `modelyard check-config`

use std::fmt::Write as _;

use super::{Surroundings, load, output};
use crate::{cli::CheckConfigArgs, config::Shown, failure::Failure};

pub(super) fn run(args: &CheckConfigArgs, around: &Surroundings) -> Result<(), Failure> {
    let loaded = load(&args.config, around)?;
    let mut text = loaded.show(if args.all { Shown::All } else { Shown::Given });
    for warning in &loaded.settings.warnings {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# warning: {warning}");
    }
    output::print(text.as_bytes())
}

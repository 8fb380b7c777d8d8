//! `modelyard store`

mod export;
mod import;

use super::{Surroundings, client_runtime, load, output};
use crate::{cli::StoreCommand, config::Settings, failure::Failure, store_room};

pub(super) fn run(command: &StoreCommand, around: &Surroundings) -> Result<(), Failure> {
    let (StoreCommand::Check(args)
    | StoreCommand::Export(crate::cli::ExportArgs { store: args, .. })
    | StoreCommand::Import(crate::cli::ImportArgs { store: args, .. })) = command;
    let settings = load(&args.into(), around)?.settings;
    let runtime = client_runtime()?;
    match command {
        StoreCommand::Check(_) => runtime.block_on(check(&settings)),
        StoreCommand::Export(args) => {
            runtime.block_on(export::run(&settings, &around.directory, &args.file))
        }
        StoreCommand::Import(args) => {
            runtime.block_on(import::run(&settings, &around.directory, &args.file, args.merge))
        }
    }
}

async fn check(settings: &Settings) -> Result<(), Failure> {
    let report =
        store_room::examine(settings).await.map_err(|error| Failure::from_error(&error))?;
    output::print_value(&report)?;
    if report.is_sound() {
        return Ok(());
    }
    let problems = match report.problems_found {
        1 => "a problem was found".to_owned(),
        count => format!("{count} problems were found"),
    };
    Err(Failure::new(problems)
        .hint("each says what to do; make a copy of the store first, then check again"))
}

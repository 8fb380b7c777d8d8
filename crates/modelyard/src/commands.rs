//! One file per command.

mod batch;
mod bench;
mod chat;
mod check_config;
mod docs;
mod doctor;
mod down;
mod invoke;
mod key;
mod logs;
mod openapi;
mod output;
mod reload;
mod request;
mod serve;
mod status;
mod store;
mod task;
mod tls;
mod up;
mod worker;

use std::path::PathBuf;

use tokio::runtime::{Builder, Runtime};

use crate::{
    cli::{Command, ConfigArgs, ConfigFileArgs},
    config::{self, Environment, Flags, Inputs, Loaded, Settings},
    failure::Failure,
    running::Server,
};

/// What a command finds around it.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// The variables, those of `.env` included.
    pub(crate) environment: Environment,
    /// The working directory.
    pub(crate) directory: PathBuf,
}

/// Runs a command to its end.
pub(crate) fn run(command: Command, around: &Surroundings) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(&args, around),
        Command::Up(args) => up::run(&args, around),
        Command::Down(args) => down::run(&args, around),
        Command::Status(args) => status::run(&args, around),
        Command::Logs(args) => logs::run(&args, around),
        Command::Doctor(args) => doctor::run(&args, around),
        Command::CheckConfig(args) => check_config::run(&args, around),
        Command::Openapi => openapi::run(),
        Command::Invoke(args) => client_runtime()?.block_on(invoke::run(args)),
        Command::Chat(args) => client_runtime()?.block_on(chat::run(args)),
        Command::Task(command) => client_runtime()?.block_on(task::run(command)),
        Command::Tls(command) => tls::run(&command, around),
        Command::Key(command) => key::run(&command, around),
        Command::Store(command) => store::run(&command, around),
        Command::Batch(command) => client_runtime()?.block_on(batch::run(command)),
        Command::Bench(command) => bench::run(&command, around),
        Command::Worker(command) => worker::run(command, around),
        Command::Docs(page) => docs::run(page),
    }
}

fn load(args: &ConfigArgs, around: &Surroundings) -> Result<Loaded, Failure> {
    let inputs = Inputs {
        file: args.config.clone(),
        flags: Flags {
            models: args.models.clone(),
            host: args.host.clone(),
            port: args.port,
            listen: args.listen.clone(),
        },
        environment: around.environment.clone(),
        directory: around.directory.clone(),
    };
    config::load(&inputs).map_err(|issues| Failure::config(&issues))
}

/// The configuration, and the server that runs on its data folder.
fn server_of(
    args: &ConfigFileArgs,
    around: &Surroundings,
) -> Result<(Settings, Option<Server>), Failure> {
    let settings = load(&args.into(), around)?.settings;
    let found = Server::of(&settings.data_dir).map_err(|error| {
        let folder = settings.data_dir.display();
        Failure::new(format!("the data folder {folder} cannot be read: {error}"))
    })?;
    Ok((settings, found))
}

/// For a command that waits for one answer: no threads are needed.
fn client_runtime() -> Result<Runtime, Failure> {
    adapters::install_tls_provider();
    Builder::new_current_thread().enable_all().build().map_err(|error| no_runtime(&error))
}

fn no_runtime(error: &std::io::Error) -> Failure {
    Failure::new(format!("could not start the runtime: {error}"))
}

//! The binary `modelyard`, as a library so that its parts can be tested.
//!
//! [`main`] reads the command line and hands over to one file per command; [`config`] makes the
//! settings; [`listen`] opens the doors.

mod cli;
mod commands;
pub mod config;
mod failure;
mod house;
mod ieops_room;
mod key_file;
mod key_room;
mod limits;
pub mod listen;
mod run_dir;
mod running;
mod signals;
mod store_room;
mod tls_room;

use std::{env, ffi::OsString, process::ExitCode};

use clap::{CommandFactory, FromArgMatches};

use self::{cli::Cli, config::Environment, failure::Failure};

pub use self::{run_dir::RunDir, signals::Stop};

/// The version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Does what the command line asks for; the answer is the exit status.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run() -> Result<(), Failure> {
    let directory = env::current_dir().map_err(Failure::no_directory)?;
    // Before anything else: it changes the environment, which must not happen beside a thread, and
    // the command line has defaults in the environment.
    let environment =
        Environment::with_dotenv(&directory).map_err(|error| Failure::dotenv(&error))?;
    let cli = parse(env::args_os())?;
    commands::run(cli.command, &commands::Surroundings { environment, directory })
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, Failure> {
    let matches = Cli::command().try_get_matches_from(args);
    matches.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(Failure::usage)
}

//! The command line. What stands in the comments here is what `--help` shows.

mod background;
mod batch;
mod bench;
mod chat;
mod client;
mod dead;
mod key;
mod serve;
mod store;
mod tls;

use clap::{Parser, Subcommand};

pub(crate) use self::{
    background::{DoctorArgs, DownArgs, LogsArgs, StatusArgs, UpArgs},
    batch::{BatchCommand, BatchSubmitArgs},
    bench::{
        BenchCommand, BenchEngineArgs, BenchPerplexityArgs, CaseArg, EngineArgs, KvArg, QuantizeArg,
    },
    chat::ChatArgs,
    client::{CancelArgs, Connection, InvokeArgs, ListArgs, SubmitArgs, TaskCommand},
    dead::{DeadCommand, DeadFilter, DeadListArgs, HandleArgs},
    key::{KeyCommand, KeyCreateArgs},
    serve::{CheckConfigArgs, ConfigArgs, ConfigFileArgs, ServeArgs},
    store::{ExportArgs, ImportArgs, StoreCommand},
    tls::{TlsCommand, TlsInitArgs},
};

/// Turns AI models into services.
///
/// One program calls Python classes, external APIs and built-in models through one door:
/// synchronously, as a stream, or as durable tasks.
#[derive(Debug, Parser)]
#[command(
    name = "modelyard",
    version,
    after_help = "\
Start here:
  modelyard serve                           serve the built-in models on http://127.0.0.1:8000
  modelyard up                              the same in the background; `down` stops it
  modelyard chat                            talk with the built-in language model
  modelyard invoke local-echo '{\"text\": \"hi\"}'
  modelyard serve app.py:Digits             serve a class of your own, without a configuration
  modelyard serve ./Qwen3-0.6B              serve a language model at the OpenAI API
  curl http://127.0.0.1:8000/v1/models      what can be called, and what cannot and why

`modelyard COMMAND --help` explains a command with examples."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Everything that the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(ServeArgs),
    Up(UpArgs),
    Down(DownArgs),
    Status(StatusArgs),
    Logs(LogsArgs),
    Doctor(DoctorArgs),
    CheckConfig(CheckConfigArgs),
    /// Print the description of the HTTP routes (OpenAPI 3.1) as JSON.
    #[command(after_help = "Examples:\n  modelyard openapi > openapi.json")]
    Openapi,
    Invoke(InvokeArgs),
    Chat(ChatArgs),
    /// Submit and follow durable tasks.
    ///
    /// A task is stored before the server answers, and survives a crash of the server and of its
    /// worker. It reaches exactly one end.
    #[command(
        subcommand,
        after_help = "\
Examples:
  modelyard task submit local-echo '{\"text\": \"hi\"}'
  modelyard task wait 0198c0de-0000-7000-8000-000000000000
  modelyard task list --model local-echo --state failed"
    )]
    Task(TaskCommand),
    /// Make, list and revoke API keys.
    ///
    /// As soon as there is one, callers need one: `Authorization: Bearer sk-…`. `/health` stays open.
    /// A server that runs takes changes over within a second.
    #[command(
        subcommand,
        after_help = "\
Examples:
  modelyard key create alice --qps 10
  modelyard key list
  modelyard key revoke alice"
    )]
    Key(KeyCommand),
    /// Make a certificate, so that the server speaks https.
    #[command(subcommand, after_help = "Examples:\n  modelyard tls init 192.168.1.100")]
    Tls(TlsCommand),
    /// Check, export and import the store of tasks.
    #[command(
        subcommand,
        after_help = "\
Examples:
  modelyard store check
  modelyard store export tasks.jsonl
  REDIS_URL=redis://10.0.0.4:6379/0 modelyard store import tasks.jsonl"
    )]
    Store(StoreCommand),
    /// Have every line of a file answered.
    ///
    /// A batch survives crashes as tasks do: each of its lines is one, and no line is answered twice.
    #[command(
        subcommand,
        after_help = "\
Examples:
  modelyard batch submit calls.jsonl
  modelyard batch wait batch_0198c0de000070008000000000000000
  modelyard batch results batch_0198c0de000070008000000000000000 > answers.jsonl"
    )]
    Batch(BatchCommand),
    /// Measure this machine.
    #[command(subcommand, after_help = "Examples:\n  modelyard bench engine ./Qwen3-0.6B")]
    Bench(BenchCommand),
    /// Run a worker; the server starts these itself.
    #[command(subcommand, hide = true)]
    Worker(WorkerCommand),
    /// Print a page of the documentation that is made from the program.
    #[command(subcommand, hide = true)]
    Docs(DocsCommand),
}

/// The workers that are part of the program.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum WorkerCommand {
    /// Run the built-in worker that the variable `MODELYARD_WORKER` describes.
    Builtin,
    /// Run the language model that the variable `MODELYARD_WORKER` describes.
    Llm,
}

/// The pages that are made from the program.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum DocsCommand {
    /// docs/config.md
    Config,
    /// docs/metrics.md
    Metrics,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }
}

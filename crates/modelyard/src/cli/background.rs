//! The commands that run a server in the background, and look after it.

use clap::Args;

use super::{ConfigArgs, ConfigFileArgs};

/// Start the server in the background.
///
/// Takes what `serve` takes. Answers when the server is ready, and says why where it does not start.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  modelyard up                              the built-in models on http://127.0.0.1:8000
  modelyard up --config modelyard.toml
  modelyard up app.py:Digits --port 9000

It writes its log to the file of `log.file`, or to modelyard.log in the data folder.
One server runs per data folder; `modelyard down` stops it.")]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// How long to wait until it is ready, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) wait: u64,
}

/// Stop the server.
///
/// Running calls get the time of `server.drain_seconds` to finish. Where no server runs there is
/// nothing to do, which is no error.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  modelyard down\n  modelyard down --now")]
pub(crate) struct DownArgs {
    #[command(flatten)]
    pub(crate) server: ConfigFileArgs,

    /// End running calls at once.
    #[arg(long)]
    pub(crate) now: bool,
}

/// Say whether the server runs, where, and what it serves.
///
/// The exit status is 0 if it is ready, 1 if it runs and is not, and 3 if none runs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  modelyard status\n  modelyard status --json")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) server: ConfigFileArgs,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print the log of the server.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  modelyard logs\n  modelyard logs --lines 1000\n  modelyard logs --follow"
)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) server: ConfigFileArgs,

    /// How many lines of its end.
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 100)]
    pub(crate) lines: usize,

    /// Go on with what is added, until Ctrl-C.
    #[arg(long, short)]
    pub(crate) follow: bool,
}

/// Look at this machine and this configuration: what keeps the server from doing its work, and what
/// to do about it.
///
/// The exit status is 1 if something does.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  modelyard doctor\n  modelyard doctor --config modelyard.toml")]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

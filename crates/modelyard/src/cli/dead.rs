//! `modelyard task dead`

use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use types::{ErrorCode, ModelName, TaskId};

use super::Connection;

/// What can be done with tasks that used up their attempts.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    List(DeadListArgs),
    /// Print one with every attempt that is remembered, and how each failed.
    Show {
        /// The task.
        id: TaskId,
        #[command(flatten)]
        connection: Connection,
    },
    /// Queue one, or all that match, with all their attempts anew.
    #[command(after_help = "\
Examples:
  modelyard task dead replay 0198c0de-0000-7000-8000-000000000000
  modelyard task dead replay --all --model digits --error-code provider_failed")]
    Replay(HandleArgs),
    /// Throw one, or all that match, away; nothing is known of them any more.
    #[command(after_help = "\
Examples:
  modelyard task dead discard 0198c0de-0000-7000-8000-000000000000
  modelyard task dead discard --all --model digits")]
    Discard(HandleArgs),
}

/// List them, newest first.
#[derive(Debug, Args)]
pub(crate) struct DeadListArgs {
    #[command(flatten)]
    pub(crate) filter: DeadFilter,

    /// How many at most.
    #[arg(long, value_name = "1-1000", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: Option<u32>,

    /// Where to go on: `next_cursor` of the page before.
    #[arg(long)]
    pub(crate) cursor: Option<String>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Which of them are replayed or discarded.
#[derive(Debug, Args)]
pub(crate) struct HandleArgs {
    /// The task.
    #[arg(required_unless_present = "all", conflicts_with_all = ["all", "model", "error_code"])]
    pub(crate) id: Option<TaskId>,

    /// All that match.
    #[arg(long)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) filter: DeadFilter,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Which of them are meant.
#[derive(Debug, Args)]
pub(crate) struct DeadFilter {
    /// Only of this model.
    #[arg(long)]
    pub(crate) model: Option<ModelName>,

    /// Only with this last error; docs/errors lists the codes.
    #[arg(long, value_name = "CODE", value_parser = codes(), hide_possible_values = true)]
    pub(crate) error_code: Option<ErrorCode>,
}

fn codes() -> impl TypedValueParser<Value = ErrorCode> {
    let slugs = ErrorCode::ALL.iter().map(|code| code.slug());
    let unknown = || std::io::Error::other("not an error code");
    PossibleValuesParser::new(slugs)
        .try_map(move |slug| ErrorCode::from_slug(&slug).ok_or_else(unknown))
}

//! The commands that talk to a running server.

use api::task::TaskState;
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use types::{ModelName, Priority, TaskId};

use super::DeadCommand;

/// Which server is talked to.
#[derive(Debug, Clone, Args)]
pub(crate) struct Connection {
    /// The server.
    #[arg(
        long,
        value_name = "URL",
        env = "MODELYARD_URL",
        default_value = DEFAULT_URL
    )]
    pub(crate) url: String,

    /// The API key, where the server asks for one.
    #[arg(long, value_name = "KEY", env = "MODELYARD_API_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
}

/// Where `modelyard serve` listens unless it is told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8000";

impl Connection {
    /// Whether the person named no other server.
    pub(crate) fn is_default(&self) -> bool {
        self.url == DEFAULT_URL
    }
}

/// Call a model and print its answer.
///
/// The body reaches the model as it is. On a terminal a JSON answer is laid out for reading;
/// otherwise the bytes are printed as they came.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  modelyard invoke local-echo '{\"text\": \"hi\"}'
  modelyard invoke digits - < image.json                 the body from standard input
  modelyard invoke digits '{…}' --route explain          another route than the default one
  modelyard invoke narrator '{\"topic\": \"rain\"}' --stream")]
pub(crate) struct InvokeArgs {
    /// The model.
    pub(crate) model: ModelName,

    /// The body as JSON; `-` reads it from standard input.
    #[arg(value_name = "JSON|-")]
    pub(crate) body: String,

    /// A route of the model other than its default one; its answer comes without a wrapping.
    #[arg(long, value_name = "ROUTE")]
    pub(crate) route: Option<String>,

    /// Ask for server-sent events and print them as they come.
    #[arg(long)]
    pub(crate) stream: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What can be done with tasks.
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    Submit(SubmitArgs),
    /// Print a task as it stands.
    Get {
        /// The task.
        id: TaskId,
        /// Also how earlier attempts failed.
        #[arg(long)]
        attempts: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Wait for the end of a task and print it; the exit status is 1 if it did not complete.
    Wait {
        /// The task.
        id: TaskId,
        /// Give up after so many seconds; the task goes on.
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
        #[command(flatten)]
        connection: Connection,
    },
    List(ListArgs),
    /// Decide about tasks that used up their attempts: look, replay, discard.
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Count the tasks of each model by state, and name the servers that share the store.
    Stats {
        #[command(flatten)]
        connection: Connection,
    },
    Cancel(CancelArgs),
}

/// Cancel a task, or all that match: they leave the queue, or their workers are told to stop.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  modelyard task cancel 0198c0de-0000-7000-8000-000000000000
  modelyard task cancel --all --model digits --state queued")]
pub(crate) struct CancelArgs {
    /// The task.
    #[arg(required_unless_present = "all", conflicts_with_all = ["all", "model", "state"])]
    pub(crate) id: Option<TaskId>,

    /// All that match; name at least a model or a state.
    #[arg(long, requires = "which")]
    pub(crate) all: bool,

    /// Only tasks of this model.
    #[arg(long, group = "which")]
    pub(crate) model: Option<ModelName>,

    /// Only tasks in this state.
    #[arg(long, group = "which", value_parser = goes_on())]
    pub(crate) state: Option<TaskState>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Store a task; it runs as soon as there is a place.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  modelyard task submit local-echo '{\"text\": \"hi\"}'
  modelyard task submit local-echo - --idempotency-key order-17 < order.json
  modelyard task submit local-echo '{}' --priority low --wait
  modelyard task submit local-echo - --lines < payloads.jsonl")]
pub(crate) struct SubmitArgs {
    /// The model.
    pub(crate) model: ModelName,

    /// The body as JSON; `-` reads it from standard input.
    #[arg(value_name = "JSON|-")]
    pub(crate) body: String,

    /// Which class it waits in.
    #[arg(long, value_parser = priorities())]
    pub(crate) priority: Option<Priority>,

    /// Submitting again with the same key and body gives the same task.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,

    /// Wait for its end and print the task.
    #[arg(long)]
    pub(crate) wait: bool,

    /// Each line of the body is a task of its own; a key is followed by the number of the line.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) lines: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// List tasks, newest first.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only tasks of this model.
    #[arg(long)]
    pub(crate) model: Option<ModelName>,

    /// Only tasks in this state.
    #[arg(long, value_parser = states())]
    pub(crate) state: Option<TaskState>,

    /// How many at most.
    #[arg(long, value_name = "1-1000", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: Option<u32>,

    /// Where to go on: `next_cursor` of the page before.
    #[arg(long)]
    pub(crate) cursor: Option<String>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

fn priorities() -> impl TypedValueParser<Value = Priority> {
    PossibleValuesParser::new(["low", "normal", "high"]).try_map(|word| word.parse::<Priority>())
}

fn goes_on() -> impl TypedValueParser<Value = TaskState> {
    let unknown = |()| std::io::Error::other("not a state");
    PossibleValuesParser::new(["queued", "running"])
        .try_map(move |word| word.parse().map_err(unknown))
}

fn states() -> impl TypedValueParser<Value = TaskState> {
    let words = TaskState::ALL.map(TaskState::as_str);
    let unknown = |()| std::io::Error::other("not a state");
    PossibleValuesParser::new(words).try_map(move |word| word.parse().map_err(unknown))
}

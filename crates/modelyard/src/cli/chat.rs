//! `modelyard chat`

use clap::Args;

use super::Connection;

/// Talk with a language model in the terminal.
///
/// Without a model the server's default one answers. If no server runs, or a folder of weights is
/// named, one is started for this talk alone and ended with it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  modelyard chat                                  the default model
  modelyard chat ./Qwen3-0.6B                     a folder, no server needed
  modelyard chat Qwen3-0.6B --url http://10.0.0.5:8000
  echo 'What is 17 + 25?' | modelyard chat        one answer for each line

While you talk: /help shows what else can be typed; Ctrl-C stops an answer, Ctrl-D ends the talk.")]
pub(crate) struct ChatArgs {
    /// Name of a model of the server, or a folder of weights.
    #[arg(value_name = "MODEL|FOLDER")]
    pub(crate) model: Option<String>,

    /// What the model is told before the talk.
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,

    /// 0 always takes the likeliest word; default: what the model was made for.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) temperature: Option<f32>,

    /// Longest answer, in tokens.
    #[arg(long, value_name = "TOKENS")]
    pub(crate) max_tokens: Option<u32>,

    /// Let a model that can think first do so, and show it.
    #[arg(long)]
    pub(crate) think: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

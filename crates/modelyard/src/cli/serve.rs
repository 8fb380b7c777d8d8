//! The commands that read the configuration.

use std::path::PathBuf;

use clap::Args;

/// Start the server.
///
/// Without a configuration the built-in models are served. A class on the command line is served
/// under a name made from it: `app.py:SpeechToText` answers at /invoke/speech-to-text. A folder as
/// Hugging Face lays it out is a language model of that name: `./Qwen3-0.6B` answers at
/// /v1/chat/completions.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  modelyard serve                                 the built-in models on http://127.0.0.1:8000
  modelyard serve app.py:Digits --reload          a class; start again when its file changes
  modelyard serve ./Qwen3-0.6B                    a language model, at the OpenAI API
  modelyard serve --config modelyard.toml
  modelyard serve --host 0.0.0.0 --port 9000      reachable from other machines
  modelyard serve --listen 127.0.0.1:8000 --listen unix:/run/modelyard.sock

Stop it with Ctrl-C: running calls get time to finish; a second Ctrl-C ends them.
What is in force is shown by `modelyard check-config`; docs/config.md explains every key.")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Start again when a served file or the configuration changes.
    #[arg(long)]
    pub(crate) reload: bool,

    /// Leave the terminal; `modelyard up` asks for it.
    #[arg(long, hide = true, conflicts_with = "reload")]
    pub(crate) background: bool,
}

/// Check the configuration and show every value with its source.
///
/// Takes what `serve` takes. The exit status is 64 if something is wrong.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  modelyard check-config
  modelyard check-config --config modelyard.toml --all
  MODELYARD_LOG__LEVEL=debug modelyard check-config | grep log")]
pub(crate) struct CheckConfigArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Show every field of every model, also those with their default.
    #[arg(long)]
    pub(crate) all: bool,
}

/// Where the configuration comes from, besides the environment.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// What to serve: a Python file and a class in it, or a folder of a language model's weights.
    #[arg(value_name = "FILE.py:CLASS|FOLDER")]
    pub(crate) models: Vec<String>,

    /// Configuration file; `modelyard.toml` in this directory is read unasked.
    #[arg(long, short, value_name = "FILE", env = "MODELYARD_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Host to listen on [default: 127.0.0.1].
    #[arg(long, value_name = "HOST", conflicts_with = "listen")]
    pub(crate) host: Option<String>,

    /// Port to listen on [default: 8000].
    #[arg(long, short, value_name = "PORT", conflicts_with = "listen")]
    pub(crate) port: Option<u16>,

    /// Address to listen on, `host:port` or `unix:/path`; may be repeated.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<String>,
}

/// Which configuration, for commands that serve nothing themselves.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigFileArgs {
    /// Configuration file; `modelyard.toml` in this directory is read unasked.
    #[arg(long, short, value_name = "FILE", env = "MODELYARD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

impl From<&ConfigFileArgs> for ConfigArgs {
    fn from(args: &ConfigFileArgs) -> Self {
        let config = args.config.clone();
        Self { models: Vec::new(), config, host: None, port: None, listen: Vec::new() }
    }
}

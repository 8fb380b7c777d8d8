//! `modelyard key`

use std::num::NonZeroU32;

use clap::{Args, Subcommand};
use types::Tenant;

use super::ConfigFileArgs;

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key and print it; it can never be seen again.
    #[command(after_help = "\
Examples:
  modelyard key create alice
  modelyard key create alice --qps 10
  curl -H \"Authorization: Bearer $KEY\" http://127.0.0.1:8000/v1/models")]
    Create(KeyCreateArgs),
    /// List the keys, without the keys themselves.
    #[command(after_help = "Examples:\n  modelyard key list")]
    List(ConfigFileArgs),
    /// Take a key away, by its id, or all keys of a name. It is refused within a second.
    #[command(
        after_help = "Examples:\n  modelyard key revoke key_5d41402abc4b\n  modelyard key revoke alice"
    )]
    Revoke(KeyRevokeArgs),
}

/// Whose key is made.
#[derive(Debug, Args)]
pub(crate) struct KeyCreateArgs {
    /// Whose it is: the tenant of calls that name none.
    pub(crate) name: Tenant,

    /// Calls per second; more are answered with 429. Without it there is no bound.
    #[arg(long, value_name = "COUNT")]
    pub(crate) qps: Option<NonZeroU32>,

    #[command(flatten)]
    pub(crate) config: ConfigFileArgs,
}

/// Which key is taken away.
#[derive(Debug, Args)]
pub(crate) struct KeyRevokeArgs {
    /// The id of a key, or a name.
    #[arg(value_name = "ID|NAME")]
    pub(crate) which: String,

    #[command(flatten)]
    pub(crate) config: ConfigFileArgs,
}

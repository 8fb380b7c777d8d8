//! `modelyard tls`

use clap::{Args, Subcommand};

use super::ConfigFileArgs;

/// What can be done about TLS.
#[derive(Debug, Subcommand)]
pub(crate) enum TlsCommand {
    /// Make a certificate for this machine, vouched for by an authority of its own.
    ///
    /// The certificate holds for localhost, the name and the addresses of this machine, and what is named here.
    /// `serve` uses it from its next start on, at the ports that it listens on; a server that has one takes a new one
    /// over within seconds. Clients trust it as soon as they trust ca.crt. Asked again, the authority stays.
    #[command(after_help = "\
Examples:
  modelyard tls init
  modelyard tls init 192.168.1.100 yard.example
  curl --cacert ~/.local/share/modelyard/tls/ca.crt https://localhost:8000/health")]
    Init(TlsInitArgs),
}

/// What the certificate is for, and where it goes.
#[derive(Debug, Args)]
pub(crate) struct TlsInitArgs {
    /// More names and addresses that clients call the server by.
    #[arg(value_name = "HOST|IP")]
    pub(crate) names: Vec<String>,

    /// Copy certificate and key to /etc/ssl too, where other programs look for them
    /// (certs/nginx-selfsigned.crt and private/nginx-selfsigned.key); needs root.
    #[arg(long)]
    pub(crate) system: bool,

    #[command(flatten)]
    pub(crate) config: ConfigFileArgs,
}

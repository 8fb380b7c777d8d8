//! How a command fails: what is told, and the exit status.

use std::{
    error::Error,
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use crate::config::Issues;

/// Exit status of bad usage and bad configuration, as `sysexits.h` has it.
const USAGE: u8 = 64;
/// Exit status of everything else that goes wrong.
const FAILED: u8 = 1;

/// Why a command ended without doing what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    told: Told,
    hint: Option<String>,
    status: u8,
}

#[derive(Debug)]
enum Told {
    /// Printed after `error: `.
    Sentence(String),
    /// The command line parser prints its own, help texts included.
    Parser(clap::Error),
    /// The caller of the program left; there is nobody to tell.
    Nothing,
}

impl Failure {
    /// Something went wrong.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { told: Told::Sentence(message.into()), hint: None, status: FAILED }
    }

    /// The person asked for something that cannot be.
    pub(crate) fn misuse(message: impl Into<String>) -> Self {
        Self { status: USAGE, ..Self::new(message) }
    }

    /// Something went wrong; its causes follow in the same line.
    pub(crate) fn from_error(error: &dyn Error) -> Self {
        Self::new(types::chain(error))
    }

    /// The same with another exit status.
    #[must_use]
    pub(crate) fn with_status(self, status: u8) -> Self {
        Self { status, ..self }
    }

    /// What the parser of the command line says; help and version are no failures.
    pub(crate) fn usage(error: clap::Error) -> Self {
        let status = if error.use_stderr() { USAGE } else { 0 };
        Self { told: Told::Parser(error), hint: None, status }
    }

    /// A configuration that cannot be run.
    pub(crate) fn config(issues: &Issues) -> Self {
        let count = match issues.count() {
            1 => "a problem".to_owned(),
            count => format!("{count} problems"),
        };
        Self::misuse(format!("the configuration has {count}\n{issues}"))
            .hint("docs/config.md lists every key; `modelyard check-config` shows what is in force")
    }

    pub(crate) fn dotenv(error: &dotenvy::Error) -> Self {
        Self::misuse(format!("could not read .env: {error}"))
            .hint("write one NAME=value per line; quote values with spaces")
    }

    #[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
    pub(crate) fn no_directory(error: io::Error) -> Self {
        Self::new(format!("the working directory cannot be used: {error}"))
    }

    pub(crate) fn signals(error: &io::Error) -> Self {
        Self::new(format!("could not listen for signals: {error}"))
    }

    /// Standard output could not be written: most often its reader left, as `head` does.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self { told: Told::Nothing, hint: None, status: FAILED },
            _ => Self::new(format!("could not write to standard output: {error}")),
        }
    }

    /// What the person can do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Tells the person; the answer is the exit status.
    pub(crate) fn report(&self) -> ExitCode {
        // If even this cannot be written, the status has to do.
        let _ = self.write(&mut io::stderr().lock());
        ExitCode::from(self.status)
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match &self.told {
            Told::Sentence(message) => writeln!(out, "error: {message}")?,
            Told::Parser(error) => error.print()?,
            Told::Nothing => {}
        }
        match &self.hint {
            Some(hint) => writeln!(out, "hint: {hint}"),
            None => Ok(()),
        }
    }
}

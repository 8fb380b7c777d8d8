//! How a process ended, in words for the person who must repair it.

use std::{fmt, os::unix::process::ExitStatusExt, process::ExitStatus};

use api::worker::{EXIT_LATER, EXIT_NEVER};
use nix::sys::signal::Signal;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCause {
    /// It returned this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

/// What a process that ended says about starting it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Nothing, so it may help.
    Soon,
    /// It lacked something that may come.
    Later,
    /// It would end in the same way.
    Never,
}

impl ExitCause {
    /// What its exit status says.
    pub fn again(self) -> Again {
        match self {
            Self::Code(code) if code == i32::from(EXIT_NEVER) => Again::Never,
            Self::Code(code) if code == i32::from(EXIT_LATER) => Again::Later,
            Self::Code(_) | Self::Signal(_) => Again::Soon,
        }
    }
}

impl From<ExitStatus> for ExitCause {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

impl fmt::Display for ExitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => {
                write!(f, "killed by signal {number}")?;
                match Signal::try_from(number) {
                    Ok(signal) => write!(f, " ({signal})"),
                    Err(_) => Ok(()),
                }
            }
        }
    }
}

/// The end of a process that nobody had asked to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// How it ended.
    pub cause: ExitCause,
    /// The last lines that it wrote, oldest first.
    pub last_lines: Vec<String>,
}

impl Exit {
    /// The line that most likely says what went wrong: the last that speaks of an error, else the
    /// last of all. `None` if nothing was written.
    pub fn last_error(&self) -> Option<&str> {
        let speaks_of_an_error = |line: &&String| {
            let line = line.to_ascii_lowercase();
            ["error", "exception", "panicked", "fatal", "cannot", "could not", "failed"]
                .iter()
                .any(|word| line.contains(word))
        };
        let lines = || self.last_lines.iter().rev();
        lines().find(speaks_of_an_error).or_else(|| lines().next()).map(|line| line.trim())
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last_error() {
            Some(line) => write!(f, "{}: {line}", self.cause),
            None => write!(f, "{}, without a word", self.cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_names_its_code_or_its_signal() {
        assert_eq!(ExitCause::Code(3).to_string(), "exit code 3");
        assert_eq!(ExitCause::Signal(9).to_string(), "killed by signal 9 (SIGKILL)");
        assert_eq!(ExitCause::Signal(64).to_string(), "killed by signal 64");
    }

    #[test]
    fn a_process_may_say_that_it_need_not_be_started_again() {
        let again = |cause: ExitCause| cause.again();
        assert_eq!(again(ExitCause::Code(78)), Again::Never);
        assert_eq!(again(ExitCause::Code(75)), Again::Later);
        assert_eq!(again(ExitCause::Code(1)), Again::Soon);
        assert_eq!(again(ExitCause::Signal(75)), Again::Soon);
    }

    #[test]
    fn a_traceback_is_told_by_the_line_that_names_the_error() {
        check(
            &[
                "loading",
                "Traceback (most recent call last):",
                "  File \"app.py\", line 3, in setup",
                "ModuleNotFoundError: No module named 'sklearn'",
                "bye",
            ],
            "exit code 1: ModuleNotFoundError: No module named 'sklearn'",
        );
    }

    #[test]
    fn without_an_error_the_last_line_is_told() {
        check(&["one", "  two"], "exit code 1: two");
        check(&[], "exit code 1, without a word");
    }

    fn check(lines: &[&str], told: &str) {
        let last_lines = lines.iter().map(|&line| line.to_owned()).collect();
        assert_eq!(Exit { cause: ExitCause::Code(1), last_lines }.to_string(), told);
    }
}

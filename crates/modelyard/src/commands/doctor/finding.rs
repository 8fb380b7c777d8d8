//! One line of the report.

use std::fmt;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it should be.
    Good,
    /// It works, and could be better.
    Doubtful,
    /// The server, or something that it should serve, does not work.
    Bad,
}

/// What was looked at, how it is, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) subject: &'static str,
    pub(super) verdict: Verdict,
    pub(super) told: String,
    pub(super) remedy: Option<String>,
}

impl Finding {
    pub(super) fn good(subject: &'static str, told: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Good, told: told.into(), remedy: None }
    }

    pub(super) fn doubtful(
        subject: &'static str,
        told: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let verdict = Verdict::Doubtful;
        Self { subject, verdict, told: told.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn bad(
        subject: &'static str,
        told: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Bad, ..Self::doubtful(subject, told, remedy) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Good => "ok  ",
            Verdict::Doubtful => "note",
            Verdict::Bad => "BAD ",
        };
        writeln!(f, "{word}  {:<11} {}", self.subject, self.told)?;
        match &self.remedy {
            Some(remedy) => writeln!(f, "{:18}{remedy}", "→"),
            None => Ok(()),
        }
    }
}

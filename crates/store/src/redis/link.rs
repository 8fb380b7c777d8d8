//! Questions to Redis: each is asked until there is an answer, or asking again is of no use.

use std::{sync::Arc, time::Duration};

use redis::{Client, FromRedisValue, Pipeline, RedisError, RedisResult, ScriptInvocation};
use tokio::time::{Instant, sleep, timeout_at};

use self::{
    line::{Established, Line},
    trouble::Trouble,
};
use super::{
    address::Address,
    inspect::{Info, Risk},
};
use crate::StoreError;

mod line;
mod trouble;

/// Time that a question may take in all: a Redis that restarts, or a new primary, is waited for
/// so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Wait before a question is asked again.
const WAIT: Duration = Duration::from_millis(50);

/// What is sent at once. Asked twice it must change nothing more: the first answer may be lost.
pub(super) enum Question<'a> {
    /// A script.
    Script(&'a ScriptInvocation<'a>),
    /// A script that wants to know whether it may have been sent before.
    Told {
        /// Sent first.
        first: &'a ScriptInvocation<'a>,
        /// Sent whenever the first may have been heard.
        again: &'a ScriptInvocation<'a>,
    },
    /// Commands.
    Pipe(&'a Pipeline),
}

/// The way to Redis.
pub(super) struct Link {
    line: Arc<Line>,
}

impl Link {
    pub(super) fn new(address: Address, shown: String) -> Self {
        Self { line: Arc::new(Line::new(address, shown)) }
    }

    /// What may lose tasks, as far as it was seen.
    pub(super) fn risks(&self) -> Vec<Risk> {
        self.line.risks()
    }

    /// The address, without a password.
    pub(super) fn shown(&self) -> &str {
        self.line.shown()
    }

    /// What the server calls itself.
    pub(super) async fn version(&self) -> Result<String, StoreError> {
        let mut pipe = Pipeline::new();
        pipe.cmd("INFO").arg("server");
        let (info,): (String,) = self.ask(Question::Pipe(&pipe)).await?;
        Ok(Info::parse(&info).name())
    }

    /// Answers nothing any more.
    pub(super) fn close(&self) {
        self.line.close();
    }

    /// A way to the primary for whoever needs a connection of its own.
    pub(super) async fn client(&self) -> RedisResult<Client> {
        self.line.client().await
    }

    /// Asks until there is an answer, patience ends, or asking again is of no use.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        question: Question<'_>,
    ) -> Result<T, StoreError> {
        let until = Instant::now() + PATIENCE;
        let (mut again, mut last) = (false, None);
        loop {
            let error = match timeout_at(until, self.ask_once(&question, again)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(Trouble::Final(error))) => return Err(error),
                Ok(Err(Trouble::Passing(error))) => error,
                // What came of an earlier try says more than that this one took too long.
                Err(_) => {
                    let remedy = "it does not answer; check that it runs and is not overloaded";
                    return Err(trouble::unreachable(self.line.shown(), remedy, last));
                }
            };
            again = true;
            if Instant::now() + WAIT >= until {
                let remedy = "it cannot be reached; check that it runs";
                return Err(trouble::unreachable(self.line.shown(), remedy, Some(error)));
            }
            last = Some(error);
            sleep(WAIT).await;
        }
    }

    async fn ask_once<T: FromRedisValue>(
        &self,
        question: &Question<'_>,
        again: bool,
    ) -> Result<T, Trouble> {
        let Established { mut connection, generation } = Line::established(&self.line).await?;
        let answer = match question {
            Question::Script(script) => script.invoke_async(&mut connection).await,
            Question::Told { again: script, .. } if again => {
                script.invoke_async(&mut connection).await
            }
            Question::Told { first, .. } => first.invoke_async(&mut connection).await,
            Question::Pipe(pipe) => pipe.query_async(&mut connection).await,
        };
        answer.map_err(|error: RedisError| {
            if trouble::is_passing(&error) {
                self.line.give_up(generation);
                return Trouble::Passing(error);
            }
            Trouble::Final(trouble::refused(self.line.shown(), error))
        })
    }

    /// The keys are of a later version of this program.
    pub(super) fn newer(&self, found: i64, known: i64) -> StoreError {
        StoreError::Newer { path: self.shown().into(), found, known }
    }

    /// An answer that makes no sense.
    pub(super) fn unreadable(
        &self,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> StoreError {
        let source = Some(Arc::new(error) as crate::error::Cause);
        let remedy = "it holds a record that cannot be read; give this program a prefix of its own";
        StoreError::Unreachable { server: Arc::clone(self.line.shown()), remedy, source }
    }
}

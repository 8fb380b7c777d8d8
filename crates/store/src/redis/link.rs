//! The connection: one, shared by all callers, made anew when it breaks or its server is no
//! primary any more.

use std::{sync::Arc, time::Duration};

use parking_lot::RwLock;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult,
    ScriptInvocation, ServerErrorKind, aio::MultiplexedConnection,
};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout_at},
};

use super::{
    address::Address,
    inspect::{Info, Risk},
};
use crate::StoreError;

/// Time that a question may take in all: a Redis that restarts, or a new primary, is waited for
/// so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time for one answer; a connection without one may be dead. Shorter than patience, so that it is
/// noticed.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(4);

/// Wait before a question is asked again.
const WAIT: Duration = Duration::from_millis(50);

/// Time for a connection to be made.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);

/// Questions that wait to be written to the socket; more make their callers wait.
const BUFFERED_MAX: usize = 1024;

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
    address: Address,
    /// For people to read, without a password.
    shown: Arc<str>,
    current: RwLock<Current>,
    /// Held while a connection is made, so that only one is.
    connecting: Mutex<()>,
}

#[derive(Default)]
struct Current {
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that one that broke is given up once.
    generation: u64,
    risks: Vec<Risk>,
    closed: bool,
}

impl Link {
    pub(super) fn new(address: Address, shown: String) -> Self {
        let (current, connecting) = (RwLock::default(), Mutex::default());
        Self { address, shown: shown.into(), current, connecting }
    }

    /// What may lose tasks, as far as it was seen.
    pub(super) fn risks(&self) -> Vec<Risk> {
        self.current.read().risks.clone()
    }

    /// The address, without a password.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// What the server calls itself.
    pub(super) async fn version(&self) -> Result<String, StoreError> {
        let mut pipe = Pipeline::new();
        pipe.cmd("INFO").arg("server");
        let (info,): (String,) = self.ask(Question::Pipe(&pipe)).await?;
        Ok(Info::parse(&info).name())
    }

    /// The keys are of a later version of this program.
    pub(super) fn newer(&self, found: i64, known: i64) -> StoreError {
        StoreError::Newer { path: self.shown.as_ref().into(), found, known }
    }

    /// Answers nothing any more.
    pub(super) fn close(&self) {
        let mut current = self.current.write();
        current.closed = true;
        current.connection = None;
    }

    /// A way to the primary for whoever needs a connection of its own.
    pub(super) async fn client(&self) -> RedisResult<Client> {
        self.address.client().await
    }

    /// Asks until there is an answer, patience ends, or asking again is of no use.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        question: Question<'_>,
    ) -> Result<T, StoreError> {
        let until = Instant::now() + PATIENCE;
        let mut again = false;
        loop {
            let error = match timeout_at(until, self.ask_once(&question, again)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(Trouble::Final(error))) => return Err(error),
                Ok(Err(Trouble::Passing(error))) => error,
                Err(_) => {
                    return Err(self.unreachable(
                        "it does not answer; check that it runs and is not overloaded",
                        None,
                    ));
                }
            };
            again = true;
            if Instant::now() + WAIT >= until {
                return Err(
                    self.unreachable("it cannot be reached; check that it runs", Some(error))
                );
            }
            sleep(WAIT).await;
        }
    }

    async fn ask_once<T: FromRedisValue>(
        &self,
        question: &Question<'_>,
        again: bool,
    ) -> Result<T, Trouble> {
        let (mut connection, generation) = self.connection().await?;
        let answer = match question {
            Question::Script(script) => script.invoke_async(&mut connection).await,
            Question::Told { again: script, .. } if again => {
                script.invoke_async(&mut connection).await
            }
            Question::Told { first, .. } => first.invoke_async(&mut connection).await,
            Question::Pipe(pipe) => pipe.query_async(&mut connection).await,
        };
        answer.map_err(|error| {
            if is_passing(&error) {
                self.give_up(generation);
                return Trouble::Passing(error);
            }
            Trouble::Final(self.refused(error))
        })
    }

    /// The connection, made if there is none.
    async fn connection(&self) -> Result<(MultiplexedConnection, u64), Trouble> {
        if let Some(found) = self.current()? {
            return Ok(found);
        }
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(found) = self.current()? {
            return Ok(found);
        }
        let (connection, risks) = self.connect().await?;
        let mut current = self.current.write();
        current.generation += 1;
        current.connection = Some(connection.clone());
        for risk in risks.iter().filter(|risk| !current.risks.contains(risk)) {
            tracing::warn!(server = &*self.shown, "TASKS MAY BE LOST: {risk}");
        }
        current.risks = risks;
        Ok((connection, current.generation))
    }

    fn current(&self) -> Result<Option<(MultiplexedConnection, u64)>, Trouble> {
        let current = self.current.read();
        if current.closed {
            return Err(Trouble::Final(self.unreachable("it was closed", None)));
        }
        Ok(current.connection.clone().map(|connection| (connection, current.generation)))
    }

    async fn connect(&self) -> Result<(MultiplexedConnection, Vec<Risk>), Trouble> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIME_MAX))
            .set_response_timeout(Some(ANSWER_TIME_MAX))
            .set_pipeline_buffer_size(BUFFERED_MAX);
        let connected = async {
            let client = self.address.client().await?;
            let mut connection =
                client.get_multiplexed_async_connection_with_config(&config).await?;
            let info: String = redis::cmd("INFO").query_async(&mut connection).await?;
            Ok((connection, info))
        };
        let (connection, info) = connected.await.map_err(|error: RedisError| {
            let is_denied = error.kind() == ErrorKind::AuthenticationFailed;
            if is_passing(&error) && !is_denied {
                Trouble::Passing(error)
            } else {
                Trouble::Final(self.refused(error))
            }
        })?;
        let info = Info::parse(&info);
        match info.refusal() {
            Some(reason) => {
                Err(Trouble::Final(StoreError::Unfit { server: self.shown.clone(), reason }))
            }
            None => Ok((connection, info.risks())),
        }
    }

    /// The next question makes a new connection, unless somebody has noticed already.
    fn give_up(&self, generation: u64) {
        let mut current = self.current.write();
        if current.generation == generation {
            current.connection = None;
        }
    }

    fn unreachable(&self, remedy: &'static str, error: Option<RedisError>) -> StoreError {
        let source = error.map(|error| Arc::new(error) as crate::error::Cause);
        StoreError::Unreachable { server: self.shown.clone(), remedy, source }
    }

    /// Redis has said no, or something that we do not understand.
    fn refused(&self, error: RedisError) -> StoreError {
        let remedy = match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) => "the user or the password is wrong",
            (ErrorKind::Server(ServerErrorKind::NoPerm), _) => {
                "its user may not do all that is needed; see ACL in its log"
            }
            (_, Some("OOM")) => "its memory is full; raise `maxmemory`",
            (_, Some("MISCONF" | "NOREPLICAS")) => {
                "it takes no changes because of its own settings; look at its log"
            }
            _ => "it answered with an error; look at its log",
        };
        self.unreachable(remedy, Some(error))
    }

    /// An answer that makes no sense.
    pub(super) fn unreadable(
        &self,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> StoreError {
        let source = Some(Arc::new(error) as crate::error::Cause);
        let remedy = "it holds a record that cannot be read; give this program a prefix of its own";
        StoreError::Unreachable { server: self.shown.clone(), remedy, source }
    }
}

/// Why a question has no answer.
enum Trouble {
    /// Worth asking again.
    Passing(RedisError),
    /// Asking again gives the same.
    Final(StoreError),
}

/// Whether another connection, or a little time, may mend it.
fn is_passing(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io
        // While Sentinel makes a replica the primary.
        | ErrorKind::MasterNameNotFoundBySentinel => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::TryAgain
        ),
        _ => error.is_unrecoverable_error(),
    }
}

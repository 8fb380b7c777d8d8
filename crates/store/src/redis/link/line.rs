//! The connection: one, shared by all who ask, made anew when it breaks or its server is no
//! primary any more.

use std::{sync::Arc, time::Duration};

use parking_lot::RwLock;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, RedisError, RedisResult, aio::MultiplexedConnection,
};
use tokio::sync::Mutex;

use super::trouble::{self, Trouble};
use crate::{
    StoreError,
    redis::{
        address::Address,
        inspect::{Info, Risk},
    },
};

/// Time for one answer; a connection without one may be dead. Shorter than the patience of who asks,
/// so that it is noticed.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(4);

/// Time for a connection to be made.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);

/// Questions that wait to be written to the socket; more make their callers wait.
const BUFFERED_MAX: usize = 1024;

/// Where Redis is, and the connection to it.
pub(super) struct Line {
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

/// A connection, and which one.
pub(super) struct Established {
    pub(super) connection: MultiplexedConnection,
    pub(super) generation: u64,
}

impl Line {
    pub(super) fn new(address: Address, shown: String) -> Self {
        Self {
            address,
            shown: shown.into(),
            current: RwLock::default(),
            connecting: Mutex::default(),
        }
    }

    pub(super) const fn shown(&self) -> &Arc<str> {
        &self.shown
    }

    pub(super) fn risks(&self) -> Vec<Risk> {
        self.current.read().risks.clone()
    }

    pub(super) async fn client(&self) -> RedisResult<Client> {
        self.address.client().await
    }

    pub(super) fn close(&self) {
        let mut current = self.current.write();
        current.closed = true;
        current.connection = None;
    }

    /// The next who asks makes a new connection, unless somebody has noticed already.
    pub(super) fn give_up(&self, generation: u64) {
        let mut current = self.current.write();
        if current.generation == generation {
            current.connection = None;
        }
    }

    /// The connection, made if there is none.
    pub(super) async fn established(line: &Arc<Self>) -> Result<Established, Trouble> {
        if let Some(found) = line.current()? {
            return Ok(found);
        }
        // On a task of its own: a caller that does something else before it looks here again would
        // hold the lock, and all others would wait for it.
        let connecting = tokio::spawn(Arc::clone(line).establish());
        connecting.await.unwrap_or_else(|_| Err(Trouble::Final(line.unreachable("it was closed"))))
    }

    async fn establish(self: Arc<Self>) -> Result<Established, Trouble> {
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
        Ok(Established { connection, generation: current.generation })
    }

    fn current(&self) -> Result<Option<Established>, Trouble> {
        let current = self.current.read();
        if current.closed {
            return Err(Trouble::Final(self.unreachable("it was closed")));
        }
        let generation = current.generation;
        Ok(current.connection.clone().map(|connection| Established { connection, generation }))
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
            if trouble::is_passing(&error) && !is_denied {
                Trouble::Passing(error)
            } else {
                Trouble::Final(trouble::refused(&self.shown, error))
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

    fn unreachable(&self, remedy: &'static str) -> StoreError {
        trouble::unreachable(&self.shown, remedy, None)
    }
}

//! The life of a worker: listen, warm up, join, serve, drain, leave.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use api::worker::{Address, Description, Registration, WorkerLaunch};
use bytes::Bytes;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    Load, Worker, WorkerError,
    builder::EngineWatch,
    gateway_client::GatewayClient,
    ledger::Ledger,
    listen::Listener,
    membership::MembershipLoop,
    outbox::Outbox,
    server::{self, Server},
    token::Token,
    warm_up::warm_up,
};

/// A worker that listens and does not serve yet.
pub struct BoundWorker {
    server: Arc<Server>,
    listener: Listener,
    address: Address,
    description: Description,
    launch: WorkerLaunch,
    drain_max: Duration,
    engine: Option<EngineWatch>,
}

impl Worker {
    /// Serves: listens where `launch` says, warms up, joins the gateway and renews its lease, takes
    /// calls until `stop`; then drains, reports what is left to report, and leaves. Name, version
    /// and capacity in `launch` go before the worker's own.
    ///
    /// # Errors
    /// [`WorkerError`] if it cannot listen, does not warm up, or is refused by the gateway. A
    /// gateway that is not there, or not any more, is no error: the worker asks again.
    ///
    /// # Cancel safety
    /// Dropping it cancels every call and closes every connection, without a goodbye.
    pub async fn serve(
        self,
        launch: WorkerLaunch,
        stop: CancellationToken,
    ) -> Result<(), WorkerError> {
        self.bind(launch).await?.run(stop).await
    }

    /// Serves without a gateway, until `stop`. Nobody asks for a token then, so on a network this
    /// is for people who know what they do.
    ///
    /// # Errors
    /// [`WorkerError`] if it cannot listen.
    ///
    /// # Cancel safety
    /// Dropping it cancels every call and closes every connection.
    pub async fn serve_standalone(
        self,
        address: Address,
        stop: CancellationToken,
    ) -> Result<(), WorkerError> {
        let launch = self.standalone(address);
        self.serve(launch, stop).await
    }

    /// A launch of this worker without a gateway.
    pub fn standalone(&self, address: Address) -> WorkerLaunch {
        WorkerLaunch {
            model: self.model.clone(),
            version: self.description.version.clone(),
            implementation: String::new(),
            listen: address,
            gateway: None,
            join_token: String::new(),
            launch_id: String::new(),
            heartbeat_ms: 1_000,
            capacity: None,
            max_batch_size: None,
            max_wait_ms: None,
            warmup: None,
            engine: None,
            metadata: serde_json::Map::new(),
        }
    }

    /// Listens, and serves nothing yet.
    ///
    /// # Errors
    /// [`WorkerError`] if it cannot listen.
    ///
    /// # Cancel safety
    /// Dropping it leaves nothing behind.
    pub async fn bind(self, launch: WorkerLaunch) -> Result<BoundWorker, WorkerError> {
        let mut description = self.description;
        description.name = launch.model.to_string();
        description.version.clone_from(&launch.version);
        description.capacity = launch.capacity.unwrap_or(description.capacity).max(1);

        let (listener, address) = Listener::bind(&launch.listen, self.socket_mode).await?;
        let asks_token = matches!(address, Address::Tcp(_)) && launch.gateway.is_some();
        let token = if asks_token { Some(Token::random()?) } else { None };
        let outbox = launch.gateway.is_some().then(Outbox::default);
        let server = Server {
            routes: self.routes,
            bodies: self.bodies,
            head_wait_max: self.head_wait_max,
            sockets: self.sockets,
            ledger: Ledger::new(description.capacity, outbox),
            token,
            // Strings, numbers and JSON schemas always serialise.
            description: serde_json::to_vec(&description).map(Bytes::from).unwrap_or_default(),
            warm: AtomicBool::new(false),
            surface: self.surface,
        };
        let server = Arc::new(server);
        Ok(BoundWorker {
            server,
            listener,
            address,
            description,
            launch,
            drain_max: self.drain_max,
            engine: self.engine,
        })
    }
}

impl BoundWorker {
    /// Where it is called, with the port that the system chose.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Watches how many calls it holds.
    pub fn load(&self) -> Load {
        Load::new(&self.server.ledger)
    }

    /// Serves until `stop`: see [`Worker::serve`].
    ///
    /// # Errors
    /// As [`Worker::serve`].
    ///
    /// # Cancel safety
    /// Dropping it cancels every call and closes every connection, without a goodbye.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), WorkerError> {
        let closing = CancellationToken::new();
        let registration = self.registration();
        let accepting = server::accept(self.listener, Arc::clone(&self.server), closing.clone());
        let warmup = self.launch.warmup.take();
        let life = Life {
            server: &self.server,
            launch: &self.launch,
            drain_max: self.drain_max,
            engine: self.engine.take(),
        };
        let living = async {
            let outcome = life.live(registration, &self.description.default_route, warmup, stop);
            let outcome = outcome.await;
            closing.cancel();
            outcome
        };
        let ((), outcome) = tokio::join!(accepting, living);
        outcome
    }

    fn registration(&self) -> Registration {
        Registration {
            model: self.launch.model.clone(),
            version: self.launch.version.clone(),
            address: self.address.clone(),
            token: self.server.token.as_ref().map(|token| token.as_str().to_owned()),
            description: self.description.clone(),
            launch_id: self.launch.launch_id.clone(),
            pid: std::process::id(),
        }
    }
}

/// What a worker does besides answering.
struct Life<'a> {
    server: &'a Server,
    launch: &'a WorkerLaunch,
    drain_max: Duration,
    engine: Option<EngineWatch>,
}

impl Life<'_> {
    async fn live(
        &self,
        registration: Registration,
        default_route: &str,
        warmup: Option<Value>,
        stop: CancellationToken,
    ) -> Result<(), WorkerError> {
        if let Some(body) = warmup {
            tokio::select! {
                warm = warm_up(self.server, default_route, &body) => warm?,
                () = stop.cancelled() => return Ok(()),
            }
        }
        self.server.warm.store(true, SeqCst);
        tracing::info!(model = %registration.model, address = %registration.address, "serving");

        let leave = CancellationToken::new();
        let ending = async {
            stop.cancelled().await;
            self.drain().await;
            leave.cancel();
            // The other branch ends now.
            std::future::pending().await
        };
        tokio::select! {
            outcome = self.belong(registration, leave.clone()) => outcome,
            never = ending => never,
        }
    }

    /// Is a member of the gateway, if there is one, until `leave`.
    async fn belong(
        &self,
        registration: Registration,
        leave: CancellationToken,
    ) -> Result<(), WorkerError> {
        match (&self.launch.gateway, self.server.ledger.outbox()) {
            (Some(gateway), Some(outbox)) => {
                let client = GatewayClient::new(gateway.clone(), &self.launch.join_token);
                let heartbeat = Duration::from_millis(self.launch.heartbeat_ms.max(1));
                let ledger = &*self.server.ledger;
                MembershipLoop::new(client, registration, ledger, outbox, heartbeat)
                    .watching(self.engine.clone())
                    .run(leave)
                    .await
            }
            _ => {
                leave.cancelled().await;
                Ok(())
            }
        }
    }

    /// Takes nothing new, and waits for what runs.
    async fn drain(&self) {
        let ledger = &self.server.ledger;
        ledger.drain();
        if tokio::time::timeout(self.drain_max, ledger.emptied()).await.is_err() {
            tracing::warn!(calls = ledger.held(), "ending although calls still run");
        }
    }
}

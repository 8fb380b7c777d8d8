//! The worker's place at the gateway: join, renew the lease, report, leave.

use std::time::{Duration, Instant};

use api::worker::{Address, Heartbeat, Membership, Registration, Report, Reports, WORKERS_PATH};
use http::{Method, StatusCode};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    WorkerError,
    builder::EngineWatch,
    call::until,
    gateway_client::{GatewayAnswer, GatewayClient, GatewayError},
    ledger::Ledger,
    outbox::Outbox,
};

/// First and longest wait before the gateway is asked again. It may be starting at the same time
/// as its workers, so the first is short.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Reports sent together. A few hundred keep a request under 64 KiB or so.
const REPORTS_BATCH_MAX: usize = 256;

/// The owner of the membership. `run` consumes it.
pub(crate) struct MembershipLoop<'a> {
    client: GatewayClient,
    registration: Registration,
    ledger: &'a Ledger,
    outbox: &'a Outbox,
    heartbeat: Duration,
    engine: Option<EngineWatch>,
    /// It was a member before: a refusal may be the trouble of a restart.
    joined: bool,
    /// No reports before then, because the last ones could not be sent.
    hold_reports: Option<Instant>,
}

/// What wakes a member.
enum Event {
    HeartbeatDue,
    ReportsWait,
    Leave,
}

/// Why a member is none any more.
enum Departure {
    /// It left.
    Left,
    /// The gateway does not know it any more.
    Forgotten,
}

/// Where a membership is asked about.
struct Place {
    membership: Membership,
    path: String,
}

impl<'a> MembershipLoop<'a> {
    pub(crate) const fn new(
        client: GatewayClient,
        registration: Registration,
        ledger: &'a Ledger,
        outbox: &'a Outbox,
        heartbeat: Duration,
    ) -> Self {
        Self {
            client,
            registration,
            ledger,
            outbox,
            heartbeat,
            engine: None,
            joined: false,
            hold_reports: None,
        }
    }

    /// Tells with every heartbeat how the engine does.
    pub(crate) fn watching(mut self, engine: Option<EngineWatch>) -> Self {
        self.engine = engine;
        self
    }

    /// Joins, and is a member until `leave`; joins again whenever the gateway has forgotten us.
    pub(crate) async fn run(mut self, leave: CancellationToken) -> Result<(), WorkerError> {
        loop {
            let place = tokio::select! {
                biased;
                () = leave.cancelled() => return Ok(()),
                place = self.join() => place?,
            };
            self.joined = true;
            let worker_id = place.membership.worker_id;
            tracing::info!(%worker_id, gateway = %self.client.address(), "joined the gateway");
            match self.attend(&place, &leave).await {
                Departure::Left => return Ok(()),
                Departure::Forgotten => tracing::warn!(%worker_id, "forgotten; joining again"),
            }
        }
    }

    /// Asks until the gateway takes us in.
    async fn join(&mut self) -> Result<Place, WorkerError> {
        let mut backoff = BACKOFF_MIN;
        loop {
            match self.register().await {
                Ok(answer) if answer.status.is_success() => {
                    match serde_json::from_slice::<Membership>(&answer.body) {
                        Ok(membership) => return Ok(Place::new(membership)),
                        Err(error) => tracing::warn!(%error, "the gateway's answer is not ours"),
                    }
                }
                Ok(answer) if answer.is_final() && !self.joined => {
                    return Err(self.refused(&answer));
                }
                Ok(answer) => tracing::warn!(status = %answer.status, "the gateway refused us"),
                Err(error) => tracing::debug!(%error, "the gateway is not there yet"),
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    async fn register(&mut self) -> Result<GatewayAnswer, GatewayError> {
        self.registration.address = self.reachable_address().await?;
        self.client.send(Method::POST, WORKERS_PATH, &self.registration).await
    }

    /// Our address as the gateway can use it: who listens on every address of a machine is called
    /// at the one from which it reaches the gateway.
    async fn reachable_address(&mut self) -> Result<Address, GatewayError> {
        let address = self.registration.address.clone();
        let Address::Tcp(host) = &address else { return Ok(address) };
        let Some((_, port)) =
            host.rsplit_once(':').filter(|(host, _)| matches!(*host, "0.0.0.0" | "[::]" | ""))
        else {
            return Ok(address);
        };
        Ok(match self.client.local_ip().await? {
            Some(ip) if ip.is_ipv6() => Address::Tcp(format!("[{ip}]:{port}")),
            Some(ip) => Address::Tcp(format!("{ip}:{port}")),
            None => Address::Tcp(format!("127.0.0.1:{port}")),
        })
    }

    fn refused(&self, answer: &GatewayAnswer) -> WorkerError {
        /// What we need of a problem.
        #[derive(serde::Deserialize)]
        struct Reason {
            detail: String,
        }
        let detail = serde_json::from_slice(&answer.body).map_or_else(
            |_| String::from_utf8_lossy(&answer.body).into_owned(),
            |Reason { detail }| detail,
        );
        let gateway = self.client.address().clone();
        WorkerError::Refused { gateway, status: answer.status.as_u16(), detail }
    }

    async fn attend(&mut self, place: &Place, leave: &CancellationToken) -> Departure {
        let mut beat = interval(self.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let known = match self.next_event(&mut beat, leave).await {
                Event::HeartbeatDue => self.renew(place, &mut beat).await,
                Event::ReportsWait => self.report(place).await,
                Event::Leave => {
                    self.leave(place).await;
                    return Departure::Left;
                }
            };
            if !known {
                return Departure::Forgotten;
            }
        }
    }

    /// Waits; changes nothing.
    async fn next_event(&self, beat: &mut Interval, leave: &CancellationToken) -> Event {
        let reports = async {
            if self.hold_reports.is_some() {
                until(self.hold_reports).await;
            }
            self.outbox.filled().await;
        };
        tokio::select! {
            biased;
            () = leave.cancelled() => Event::Leave,
            _ = beat.tick() => Event::HeartbeatDue,
            () = reports => Event::ReportsWait,
        }
    }

    /// Renews the lease; whether the gateway still knows us.
    async fn renew(&mut self, place: &Place, beat: &mut Interval) -> bool {
        let running = self.ledger.running(Instant::now());
        let engine = self.engine.as_ref().map(|look| Box::new(look()));
        let heartbeat = Heartbeat { epoch: place.membership.epoch, running, engine };
        let path = format!("{}/heartbeat", place.path);
        match self.client.send(Method::PUT, &path, &heartbeat).await {
            Ok(answer) if answer.status.is_success() => true,
            Ok(answer) => {
                tracing::warn!(status = %answer.status, "a heartbeat was refused");
                !answer.is_forgetful()
            }
            Err(error) => {
                tracing::warn!(%error, "a heartbeat was not heard");
                // Sooner than usual, while the lease still runs.
                beat.reset_after(self.heartbeat / 4);
                true
            }
        }
    }

    /// Sends what waits; whether the gateway still knows us.
    async fn report(&mut self, place: &Place) -> bool {
        let reports =
            Reports { epoch: place.membership.epoch, reports: self.outbox.take(REPORTS_BATCH_MAX) };
        let path = format!("{}/reports", place.path);
        self.hold_reports = None;
        match self.client.send(Method::POST, &path, &reports).await {
            Ok(answer) if answer.status.is_success() => true,
            Ok(answer) if answer.is_forgetful() => {
                self.keep(reports.reports);
                false
            }
            Ok(answer) if answer.is_final() => {
                tracing::warn!(status = %answer.status, "the gateway refused reports");
                true
            }
            Ok(_) | Err(_) => {
                self.keep(reports.reports);
                true
            }
        }
    }

    /// Keeps reports for later.
    fn keep(&mut self, reports: Vec<Report>) {
        self.outbox.put_back(reports);
        self.hold_reports = Instant::now().checked_add(self.heartbeat / 4);
    }

    /// Sends the last reports and says goodbye. What fails now fails for good: the lease ends
    /// anyway.
    async fn leave(&mut self, place: &Place) {
        self.hold_reports = None;
        while !self.outbox.is_empty() && self.hold_reports.is_none() && self.report(place).await {}
        if let Err(error) = self.client.send(Method::DELETE, &place.path, &()).await {
            tracing::debug!(%error, "left without a goodbye");
        }
    }
}

impl Place {
    fn new(membership: Membership) -> Self {
        Self { path: format!("{WORKERS_PATH}/{}", membership.worker_id), membership }
    }
}

impl GatewayAnswer {
    /// The gateway does not know this worker, or not in this epoch.
    fn is_forgetful(&self) -> bool {
        matches!(self.status, StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::GONE)
    }

    /// Asking again would change nothing.
    fn is_final(&self) -> bool {
        let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        self.status.is_client_error() && !passing.contains(&self.status)
    }
}

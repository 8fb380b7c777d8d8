//! The runner of one model: takes tasks from the store, one place at a time.

use std::{iter, sync::Arc, time::Duration};

use dispatch::{Ask, Permit, Wish};
use store::Next;
use tokio::time::sleep;
use types::{ErrorCode, Fault};

use crate::{
    attempt::{Attempt, Callee},
    clock,
    lanes::Lane,
    service::{STORE_WAIT, Service, report},
};

/// Wait before a place is asked for again where the queue of the model was full.
const FULL_WAIT: Duration = Duration::from_millis(100);

/// Wait before a place is asked for again where the model takes no calls.
const UNAVAILABLE_WAIT: Duration = Duration::from_secs(1);

/// Tasks that are claimed together at most.
const TOGETHER_MAX: usize = 128;

/// Runs the tasks of one model until the service stops.
pub(crate) async fn run(service: Arc<Service>, lane: Arc<Lane>) {
    let mut runner = Runner { service, lane, together: 1 };
    tokio::select! {
        () = runner.service.stop.cancelled() => return,
        () = runner.service.recovered.cancelled() => {}
    }
    loop {
        let permit = tokio::select! {
            // Stopping gives places back, which must not begin anything.
            biased;
            () = runner.service.stop.cancelled() => return,
            permit = runner.place() => permit,
        };
        // Outside of the `select!`: a claim that is dropped half-way would leave its task to the
        // end of the lease.
        runner.begin_some(permit).await;
    }
}

struct Runner {
    service: Arc<Service>,
    lane: Arc<Lane>,
    /// Tasks to claim together.
    together: usize,
}

impl Runner {
    /// Waits until there is a task, and a place for it.
    async fn place(&self) -> Permit {
        loop {
            let next = self.next().await;
            if let Some(permit) = self.ask(next).await {
                return permit;
            }
        }
    }

    /// Waits until there is a task, and tells whose.
    async fn next(&self) -> Next {
        loop {
            self.lane.bell.hush();
            match self.service.store.peek(&self.lane.model).await {
                Ok(Some(next)) => return next,
                Ok(None) => self.lane.bell.rung().await,
                Err(error) => {
                    report(&error, "the next task cannot be read yet");
                    sleep(STORE_WAIT).await;
                }
            }
        }
    }

    /// Waits for a place, as any other call of the model does; `None` if it is better to look
    /// again who is next.
    async fn ask(&self, next: Next) -> Option<Permit> {
        let ask = Ask {
            model: self.lane.model.clone(),
            tenant: next.tenant,
            priority: next.priority,
            deadline: None,
            wish: Wish::default(),
        };
        let granted = tokio::select! {
            granted = self.service.dispatcher.permit(&ask) => granted,
            () = self.lane.bell.rung_for_more_than(next.priority) => return None,
        };
        match granted {
            Ok(permit) => Some(permit),
            Err(fault) => {
                sleep(wait_after(&fault)).await;
                None
            }
        }
    }

    /// Claims the next tasks together, up to as many as there are places: a store on another machine
    /// answers all of them in the time of one. Their number grows while tasks are found for all
    /// places, and falls to one when not, so that places are not held for tasks that are not there.
    async fn begin_some(&mut self, permit: Permit) {
        let free = || self.service.dispatcher.permit_at_once(&self.lane.model);
        let more = iter::from_fn(free).take(self.together - 1);
        let permits: Vec<_> = iter::once(permit).chain(more).collect();
        let all_began = self.begin(permits).await;
        self.together = if all_began { (2 * self.together).min(TOGETHER_MAX) } else { 1 };
    }

    /// Claims a task for each place and lets it run on its own; false if there were too few.
    async fn begin(&self, permits: Vec<Permit>) -> bool {
        let now = clock::now();
        let lease_until = now.after(self.service.settings.lease);
        let store = &self.service.store;
        match store.claim(&self.lane.model, permits.len(), lease_until, now).await {
            Ok(records) => {
                // Some were cancelled meanwhile, their deadline passed, or another server took them.
                let all = records.len() == permits.len();
                for (record, permit) in records.into_iter().zip(permits) {
                    let attempt = Attempt::new(self.service.clone(), self.lane.clone(), record);
                    self.service.attempts.spawn(attempt.run(Callee::Model(permit)));
                }
                all
            }
            Err(error) => {
                report(&error, "a task cannot be claimed yet");
                drop(permits);
                sleep(STORE_WAIT).await;
                false
            }
        }
    }
}

fn wait_after(fault: &Fault) -> Duration {
    match fault.code {
        // It has waited long already.
        ErrorCode::DeadlineExceeded => Duration::ZERO,
        ErrorCode::QueueFull => FULL_WAIT,
        _ => fault.retry_after.unwrap_or(UNAVAILABLE_WAIT),
    }
}

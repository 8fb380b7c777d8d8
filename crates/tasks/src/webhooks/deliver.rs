//! The runner of letters: claims them and sends them.

use std::sync::Arc;

use adapters::webhook::{Undelivered, WebhookSender};
use store::{Outcome, StoredAnswer, TaskError, TaskRecord};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use types::ErrorCode;

use super::Webhooks;
use crate::{
    attempt::{Attempt, Callee},
    clock,
    lanes::Lane,
    service::{STORE_WAIT, Service, report},
};

/// Letters that are under way at once.
const AT_ONCE: usize = 32;

/// A receiver, and the place that writing to it takes.
pub(crate) struct Receiver {
    sender: WebhookSender,
    _place: OwnedSemaphorePermit,
}

/// Sends letters until the service stops.
pub(crate) async fn deliver(service: Arc<Service>, lane: Arc<Lane>, webhooks: Webhooks) {
    tokio::select! {
        () = service.stop.cancelled() => return,
        () = service.recovered.cancelled() => {}
    }
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let place = tokio::select! {
            biased;
            () = service.stop.cancelled() => return,
            place = places.clone().acquire_owned() => place,
        };
        // Never closed.
        let Ok(place) = place else { return };
        let receiver = Receiver { sender: webhooks.sender.clone(), _place: place };
        // Not within a `select!`: a claim that is dropped half-way would leave its letter to the end
        // of the lease.
        if !begin(&service, &lane, receiver).await {
            tokio::select! {
                () = service.stop.cancelled() => return,
                () = lane.bell.rung() => {}
            }
        }
    }
}

/// Claims the next letter and lets it be sent on its own; false if there is none.
async fn begin(service: &Arc<Service>, lane: &Arc<Lane>, receiver: Receiver) -> bool {
    lane.bell.hush();
    let now = clock::now();
    let lease_until = now.after(service.settings.lease);
    match service.store.claim(&lane.model, 1, lease_until, now).await {
        Ok(mut records) => match records.pop() {
            Some(record) => {
                let attempt = Attempt::new(service.clone(), lane.clone(), record);
                service.attempts.spawn(attempt.run(Callee::Receiver(Box::new(receiver))));
                true
            }
            None => false,
        },
        Err(error) => {
            report(&error, "a letter cannot be claimed yet");
            sleep(STORE_WAIT).await;
            true
        }
    }
}

impl Receiver {
    /// Sends a letter once.
    pub(crate) async fn call(self, record: &TaskRecord) -> Outcome {
        let request = &record.request;
        let url = request.route.as_deref().unwrap_or_default();
        let id = format!("msg_{}", record.id);
        match self.sender.send(url, &id, request.body.clone()).await {
            Ok(status) => {
                let body = format!(r#"{{"status":{}}}"#, status.as_u16()).into();
                Outcome::Completed(StoredAnswer { content_type: None, body })
            }
            Err(undelivered) => {
                let error = TaskError::new(ErrorCode::ProviderFailed, undelivered.to_string());
                match undelivered {
                    Undelivered::Gone => Outcome::Failed(error),
                    Undelivered::NotNow(_) => Outcome::Retry(error),
                }
            }
        }
    }
}

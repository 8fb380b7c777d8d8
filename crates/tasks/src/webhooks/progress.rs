//! Webhooks that want to be told how far a task is.

use std::{future::pending, sync::Arc, time::Duration};

use store::{Progress, Submitted, TaskRecord};
use tokio::{sync::watch, time::sleep};
use types::{ModelName, Priority, WebhookEvent};

use super::letter;
use crate::{
    clock,
    service::{Service, report},
};

/// Between two letters about one task at least. What was said in between is told by the last word.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells how far an attempt is, as long as it runs, if its webhook wants to know. Never ends.
pub(crate) async fn tell_progress(
    service: &Arc<Service>,
    record: &TaskRecord,
    mut reported: watch::Receiver<Progress>,
) {
    let wanted = record
        .webhook
        .as_ref()
        .filter(|webhook| webhook.events.contains(&WebhookEvent::Progress))
        .and(service.settings.webhooks.as_ref());
    let Some(webhooks) = wanted else { return pending::<()>().await };
    while reported.changed().await.is_ok() {
        let progress = reported.borrow_and_update().clone();
        let now = clock::now();
        let letter = letter::of_progress(record, &progress, webhooks.retry, now);
        if let Some(letter) = letter {
            match service.store.submit(letter).await {
                Ok(Submitted::New) => {
                    service.arrived(&ModelName::webhooks(), Priority::Normal, None);
                }
                // The next one will tell more.
                Ok(_) => {}
                Err(error) => report(&error, "progress cannot be told yet"),
            }
        }
        sleep(PAUSE).await;
    }
    // Another attempt has taken its place, and this one will be stopped.
    pending::<()>().await;
}

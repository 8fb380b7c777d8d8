//! Keeps to caps that several servers share. Each holds a part of a cap and asks for more or less of
//! it several times a second, so that no call waits for the store.

use std::{sync::Arc, time::Duration};

use dispatch::CapLoad;
use store::{CapWish, StoreError};
use tokio::time::sleep;

use crate::service::{STORE_WAIT, Service, report};

/// Between two looks. A place that another server has left is used here after about two.
const PAUSE: Duration = Duration::from_millis(150);

/// Settles until the service stops, or it turns out that there is nobody to share with.
pub(crate) async fn run(service: Arc<Service>) {
    tokio::select! {
        () = service.stop.cancelled() => {}
        () = settle_for_ever(&service) => {}
    }
}

async fn settle_for_ever(service: &Service) {
    loop {
        match settle(service).await {
            Ok(true) => sleep(PAUSE).await,
            Ok(false) => return,
            // What is held is kept: calls must not stop because the store does.
            Err(error) => {
                report(&error, "caps cannot be settled with other servers yet");
                sleep(STORE_WAIT).await;
            }
        }
    }
}

/// Settles once; false if there is nobody to share with.
pub(crate) async fn settle(service: &Service) -> Result<bool, StoreError> {
    let wishes: Vec<_> = service.dispatcher.loads().into_iter().map(wish).collect();
    let Some(shares) = service.store.share(&wishes).await? else { return Ok(false) };
    for (wish, share) in wishes.iter().zip(shares) {
        service.dispatcher.set_share(&wish.model, share);
    }
    Ok(true)
}

/// The runner of a model waits for one place at a time, so whoever has some waiting wants twice what it runs.
fn wish(load: CapLoad) -> CapWish {
    let CapLoad { model, cap, running, waiting } = load;
    let more = if waiting == 0 { 0 } else { running.max(waiting) };
    CapWish { model, cap, running, wanted: running.saturating_add(more).min(cap) }
}

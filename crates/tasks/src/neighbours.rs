//! Hears what other servers on the same store do: tasks that they queue are run here too, and whoever
//! waits here learns how a task ended there.

use std::sync::Arc;

use futures_util::StreamExt;
use store::News;

use crate::service::Service;

/// Listens until the service stops.
pub(crate) async fn hear(service: Arc<Service>) {
    let mut news = service.store.news();
    loop {
        let heard = tokio::select! {
            () = service.stop.cancelled() => return,
            heard = news.next() => heard,
        };
        match heard {
            Some(News::Changed(change)) => service.moved_elsewhere(&change),
            Some(News::Missed) => service.look_at_everything().await,
            None => return,
        }
    }
}

//! Webhooks: whoever submitted a task is told of its end.
//!
//! The end and the notice of it are written together, so no crash comes between. [`announce`] makes a
//! letter of each notice, which is a task like any other: stored, tried again, dead-lettered, taken
//! over by another server. [`deliver`] is the runner of these tasks; their model is
//! [`ModelName::webhooks`], which nobody can call.

mod deliver;
mod letter;
mod progress;

use std::{sync::Arc, time::Duration};

use adapters::webhook::WebhookSender;
use futures_util::{StreamExt, TryStreamExt, stream};
use policy::task::TaskPolicy;
use store::{Notice, StoreError, Submitted, Webhook};
use tokio::time::sleep;
use types::{ErrorCode, Fault, ModelName, Priority};

use crate::service::{STORE_WAIT, Service, report};

pub(crate) use self::{
    deliver::{Receiver, deliver},
    progress::tell_progress,
};

/// Notices that are read together.
const NOTICES_MAX: u32 = 100;

/// Notices that are worked on at once, so that they share commits of the store.
const AT_ONCE: usize = 16;

/// Between two looks at most: what ends here is announced at once, what another server left behind
/// is found so.
const PAUSE: Duration = Duration::from_secs(2);

/// How letters are sent.
#[derive(Debug, Clone)]
pub struct Webhooks {
    /// The way to their receivers.
    pub sender: WebhookSender,
    /// How often a letter is tried.
    pub retry: TaskPolicy,
}

/// Refuses a webhook that could never be told of anything.
pub(crate) fn check(webhooks: Option<&Webhooks>, wanted: &Webhook) -> Result<(), Fault> {
    let refuse = |why: String| {
        let shown: String = wanted.url.chars().take(256).collect();
        let detail = format!("the webhook `{shown}` cannot be used: {why}");
        Err(Fault::new(ErrorCode::InvalidRequest, detail))
    };
    match webhooks {
        None => refuse("this server signs none; set `webhooks.secrets`".into()),
        Some(webhooks) => match webhooks.sender.check(&wanted.url) {
            Ok(_) => Ok(()),
            Err(refused) => refuse(refused.to_string()),
        },
    }
}

/// Makes letters of notices until the service stops.
pub(crate) async fn announce(service: Arc<Service>, webhooks: Webhooks) {
    loop {
        let pause = match announce_some(&service, &webhooks).await {
            Ok(true) => continue,
            Ok(false) => PAUSE,
            Err(error) => {
                report(&error, "ends of tasks cannot be announced yet");
                STORE_WAIT
            }
        };
        tokio::select! {
            () = service.stop.cancelled() => return,
            () = service.ended.notified() => {}
            () = sleep(pause) => {}
        }
    }
}

/// Announces the oldest notices; true if there may be more.
async fn announce_some(service: &Arc<Service>, webhooks: &Webhooks) -> Result<bool, StoreError> {
    let notices = service.store.notices(NOTICES_MAX).await?;
    let more = notices.len() == NOTICES_MAX as usize;
    let announced = stream::iter(notices)
        .map(|notice| announce_one(service, webhooks, notice))
        .buffer_unordered(AT_ONCE)
        .try_fold(true, async |all, done| Ok(all && done))
        .await?;
    Ok(more && announced && !service.stop.is_cancelled())
}

/// Writes the letter first, and forgets the notice then: a crash in between leads to the same letter
/// again, which the store knows by its key. False if there is no room for it now.
async fn announce_one(
    service: &Arc<Service>,
    webhooks: &Webhooks,
    notice: Notice,
) -> Result<bool, StoreError> {
    let record = service.store.get(notice.task).await?;
    let letter = record
        .and_then(|record| letter::of(&record, notice, webhooks.retry, service.settings.keep_for));
    if let Some(letter) = letter {
        match service.store.submit(letter).await? {
            Submitted::New => service.arrived(&ModelName::webhooks(), Priority::Normal, None),
            Submitted::Existing(_) | Submitted::Conflict { .. } => {}
            Submitted::Full => return Ok(false),
        }
    }
    service.store.forget_notice(notice).await?;
    Ok(true)
}

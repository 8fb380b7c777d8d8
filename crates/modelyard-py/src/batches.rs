//! Groups the calls of one route before Python sees them.
//!
//! Who is in a batch is decided as late as possible: while Python is busy, a batch whose time has
//! come stands in line as an offer, and still fills up until Python takes it.

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use api::worker::Route;
use parking_lot::Mutex;
use policy::batch::{BatchLimits, Batcher, Waiting};
use tokio::{sync::Notify, time::sleep_until};

use crate::{
    call::Call,
    inbox::{CallKey, Inbox, Work},
};

/// How long a batch waits for company if the route does not say: little beside the run of a model.
const WAIT_DEFAULT: Duration = Duration::from_millis(5);

struct State {
    batcher: Batcher<Call>,
    /// An offer stands in the inbox.
    offered: bool,
}

/// The calls of one route that wait for company.
pub(crate) struct Grouping {
    route: usize,
    inbox: Arc<Inbox>,
    state: Mutex<State>,
    /// The deadline may be another.
    changed: Notify,
}

impl Grouping {
    /// A grouping with the limits of the route; `None` if the route takes calls one by one.
    pub(crate) fn new(
        index: usize,
        route: &Route,
        waiting: Waiting,
        inbox: &Arc<Inbox>,
    ) -> Option<Arc<Self>> {
        let size_max = NonZeroUsize::new(route.max_batch_size? as usize)?;
        let wait_max = route.max_wait_ms.map_or(WAIT_DEFAULT, Duration::from_millis);
        let batcher = Batcher::new(BatchLimits { size_max, wait_max }, waiting);
        Some(Arc::new(Self {
            route: index,
            inbox: Arc::clone(inbox),
            state: Mutex::new(State { batcher, offered: false }),
            changed: Notify::new(),
        }))
    }

    /// Adds a call.
    pub(crate) fn push(&self, call: Call) {
        // The inbox is locked before the grouping, never after: see `take_due`.
        let (full, is_moved) = {
            let batcher = &mut self.state.lock().batcher;
            let deadline = batcher.deadline();
            (batcher.push(call, Instant::now()), batcher.deadline() != deadline)
        };
        match full {
            Some(batch) => self.inbox.push(self.route, Work::Batch(batch)),
            None if is_moved => self.changed.notify_one(),
            None => {}
        }
    }

    /// Takes out a call whose client left.
    pub(crate) fn withdraw(&self, key: CallKey) {
        let call = self.state.lock().batcher.remove(|call| call.key() == key);
        drop(call);
    }

    /// What Python gets for an offer; `None` if all of it left or went with a full batch.
    pub(crate) fn take_due(&self) -> Option<Vec<Call>> {
        let mut state = self.state.lock();
        state.offered = false;
        self.changed.notify_one();
        state.batcher.due(Instant::now())
    }

    /// Offers batches whose time has come, for ever.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        loop {
            match self.deadline() {
                None => self.changed.notified().await,
                Some(deadline) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = sleep_until(deadline.into()) => self.offer(),
                },
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let state = self.state.lock();
        if state.offered { None } else { state.batcher.deadline() }
    }

    fn offer(self: &Arc<Self>) {
        let mut state = self.state.lock();
        if state.batcher.deadline().is_none_or(|deadline| deadline > Instant::now()) {
            return;
        }
        state.offered = true;
        drop(state);
        self.inbox.offer(self.route, Arc::clone(self));
    }
}

//! Does what time alone decides: delays, deadlines, leases and keeping times that have ended.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    clock,
    service::{Service, report},
};

/// Tasks of each place per look, so that no submission waits long behind one.
const LIMIT: u32 = 500;

/// Between two looks at least: a retry is never more exact than this.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// Between two looks at most: leases are not announced to the alarm.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Sweeps until the service stops.
pub(crate) async fn run(service: Arc<Service>) {
    loop {
        let pause = sweep(&service).await;
        tokio::select! {
            () = service.stop.cancelled() => return,
            () = sleep(pause) => {}
            () = rung(&service) => {}
        }
    }
}

/// Something is due earlier than planned.
async fn rung(service: &Service) {
    sleep(PAUSE_MIN).await;
    service.alarm.rung().await;
}

/// Sweeps once, and tells how long nothing is due.
async fn sweep(service: &Arc<Service>) -> Duration {
    service.alarm.look();
    let swept = match service.store.sweep(clock::now(), LIMIT).await {
        Ok(swept) => swept,
        Err(error) => {
            report(&error, "tasks that are due cannot be moved yet");
            return PAUSE_MAX;
        }
    };
    for change in &swept.changed {
        service.moved(change);
    }
    if swept.more {
        return Duration::ZERO;
    }
    let now = clock::now();
    // What another server has claimed since must be noticed before its lease ends.
    let longest = (service.settings.lease / 3).clamp(PAUSE_MIN, PAUSE_MAX);
    let wait = swept.next_due.map_or(longest, |due| due.since(now));
    let pause = wait.clamp(PAUSE_MIN, longest);
    service.alarm.plan(now.after(pause));
    pause
}

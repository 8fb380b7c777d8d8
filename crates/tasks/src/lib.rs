//! Durable tasks: work that was acknowledged and reaches exactly one end, through any crash.
//!
//! A task passes through these files in this order:
//!
//! 1. `submission`: what is asked becomes a record.
//! 2. `handle`: writes it, and answers every question about it.
//! 3. `runner`: one per model; claims a task only when `dispatch` has granted it a place.
//! 4. `attempt`: one call of the model under a lease; `verdict` decides what its answer means.
//! 5. `sweeper`: does what time alone decides; `neighbours` hears what other servers on the same
//!    store do.
//!
//! Beside them, `results` keeps large answers in files, `webhooks` tells those who wait elsewhere, `dead_letters` lets a person decide about tasks that used up their attempts, `hub` tells those who wait, `live` knows what runs in this process, and `recent`
//! remembers synchronous calls, so that their ids can be read too.
//!
//! A task may run more than once (at least once, with a fence: one result). It is handed
//! `x-task-id`, `x-attempt` and an `idempotency-key` that is the same in every attempt.
//!
//! Absent on purpose: what a step leads to (`policy::task`), how it is written (`store`), where the
//! call goes (`dispatch`), routes (`gateway`).

mod alarm;
mod attempt;
mod bulk;
mod caps;
mod clock;
mod dead_letters;
mod events;
mod handle;
mod hub;
mod json;
mod lanes;
mod live;
mod neighbours;
mod recent;
mod results;
mod runner;
mod service;
mod settings;
mod submission;
mod sweeper;
mod verdict;
mod view;
mod webhooks;

pub use events::TaskEvent;
pub use handle::Tasks;
pub use recent::{Recent, Record};
pub use results::ResultSettings;
pub use settings::{RecentSettings, TaskSettings};
pub use store::{TaskFilter, Webhook};
pub use submission::Submission;
pub use webhooks::Webhooks;

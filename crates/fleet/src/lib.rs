//! Who can take work: registered workers with their leases, declared endpoints, and their health.
//!
//! - [`Fleet`] is the handle. Workers join, renew and report through it; `control` reads its
//!   events; `dispatch` follows a model's [`ModelView`].
//! - `book` holds the state and decides; it is pure and takes `now` as an argument.
//! - `http_endpoint` calls one worker through `dial`.
//! - `progress` tells a call that has shown no progress for too long to end.
//! - `guarded` is the circuit breaker in front of every declared endpoint.
//!
//! Absent on purpose: queues and fairness (`dispatch`), processes (`control`, `deploy`).

mod book;
mod events;
mod guarded;
mod handle;
mod http_endpoint;
mod progress;
mod replica;
mod settings;
mod view;

pub use events::{Departure, FleetEvent, ReportListener};
pub use handle::Fleet;
pub use http_endpoint::HttpEndpoint;
pub use progress::ProgressWatch;
pub use replica::{Manner, Offer, Replica};
pub use settings::FleetSettings;
pub use view::{Availability, Member, ModelView, Phase};

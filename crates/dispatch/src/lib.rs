//! The one road to every backend: admit, queue, place, send, settle.
//!
//! A call passes through these files in this order:
//!
//! 1. `call`: what is asked, and the request that the replica gets.
//! 2. `lane`: the queue of its model; the decisions are `policy::lane`'s.
//! 3. `permit`: a place on a replica, given back by being dropped.
//! 4. `dispatcher`: sends it, and tries another replica while nothing was begun.
//! 5. `settle`: watches the answer until its last byte; then the place is free.
//!
//! Absent on purpose: wire errors and records (`gateway`, `tasks`), who is healthy (`fleet`).

mod call;
mod dispatcher;
mod guard;
mod lane;
mod permit;
mod settle;

pub use call::{Ask, Call, Route};
pub use dispatcher::Dispatcher;
pub use guard::InFlight;
pub use lane::CapLoad;
pub use permit::Permit;
pub use policy::{lane::Wish, prefix::Prefix};
pub use settle::Tunnel;

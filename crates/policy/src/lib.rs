//! The decisions, apart from everything that acts on them.
//!
//! No clock, no randomness, no thread and no I/O: `now` and seeds are arguments, events go in and
//! decisions come out. So each is tested as a story and as a property, in milliseconds.
//!
//! - [`backoff`]: how long to wait before trying again
//! - [`batch`]: which calls are given to the code together
//! - [`breaker`]: whether calls to an endpoint are worth making at all
//! - [`fair`]: who is next among tenants (deficit round robin)
//! - [`health`]: whether a worker works, by its calls and its lease
//! - [`lane`]: the queue and the replicas of one model: admission, fairness, placement
//! - [`order`]: who is next among classes and their tenants
//! - [`placement`]: which replica takes a call
//! - [`prefix`]: which replica has seen the beginning of a prompt
//! - [`random`]: draws that repeat with their seed
//! - [`restart`]: when a worker process that ended is started again
//! - [`share`]: how a cap is divided among servers
//! - [`task`]: the life of a durable task

pub mod backoff;
pub mod batch;
pub mod breaker;
pub mod fair;
pub mod health;
pub mod lane;
pub mod order;
pub mod placement;
pub mod prefix;
pub mod random;
pub mod restart;
pub mod share;
pub mod task;

mod pace;
mod replicas;
mod waiters;

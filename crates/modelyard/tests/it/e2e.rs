//! The program end to end: the real binary with real workers, over real sockets.
//!
//! - `yard` starts the program in a folder of its own and stops it; `ask` calls it.
//! - `puppet` is the worker process of most stories: this very test program, started as a worker.
//!   It does what each call asks for and writes what happens to it into a `diary`.
//! - `guest` is a worker within the test that registers as the IEOPS SDK does.
//! - `stranger` is a worker within the test that speaks to the gateway byte by byte, badly if asked.

mod ask;
mod diary;
mod guest;
mod process;
mod puppet;
mod stranger;
mod yard;

mod bad_input;
mod bad_workers;
mod bulk;
mod calls;
mod churn;
mod crashes;
mod doors;
mod draining;
mod durability;
mod external;
mod leases;
mod leaving;
mod operations;
mod overload;
mod python;
mod registering;
mod sockets;
mod streams;
mod stuck;
mod tasks;
mod workers;

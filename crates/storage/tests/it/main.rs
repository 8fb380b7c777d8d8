//! The storage against real servers: every one of them must behave like a local folder.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test ends at the first surprise, its helpers too, and says what it skips"
)]

mod commits;
mod escapes;
mod faults;
mod ganesha;
mod like_a_folder;
mod locks;
mod model;
mod servers;
mod unsized_files;
mod world;

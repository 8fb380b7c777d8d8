//! The adapters against servers that play the providers, over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first surprise, its helpers too"
)]

mod availability;
mod calls;
mod gateway_client;
mod http_api;
mod image_task;
mod openai;
mod provider;

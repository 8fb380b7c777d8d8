//! The shapes of external APIs: each model that is only called, not run, is an [`Endpoint`] made here.
//!
//! Touches one thing of the outside world: other people's HTTP servers. It has no queue, no
//! concurrency limit and no health of its own; whoever calls brings those.

pub mod client;
pub mod webhook;

mod deadline;
mod headers;
mod http_api;
mod image_task;
mod interpolate;
mod openai;
mod read;
mod refusal;
mod retry;
mod target;
mod upstream;

use std::sync::Arc;

use api::Endpoint;
use types::{ModelKind, ModelName, ModelSpec};

pub use client::{HttpClient, install_tls_provider};

/// A variable of the server's environment by name, `None` if it is not set.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A model that cannot be called as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unavailable {
    /// What is missing, in words for the operator, for example `NANOBANANA_API_KEY is not set`.
    pub reason: String,
}

impl Unavailable {
    fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// Makes the endpoint of a model of kind `http`, `openai` or `image-task`.
///
/// Every model keeps connections of its own, so that a slow provider cannot starve another.
/// Nothing is sent before the first call.
///
/// # Errors
/// [`Unavailable`] if a variable, a key or the address is missing or malformed.
pub fn build(
    name: &ModelName,
    spec: &ModelSpec,
    env: Env<'_>,
) -> Result<Arc<dyn Endpoint>, Unavailable> {
    let client = HttpClient::new()
        .map_err(|error| Unavailable::because(format!("TLS cannot be set up: {error}")))?;
    Ok(match spec.kind {
        ModelKind::Http => Arc::new(http_api::HttpApi::new(spec, env, client)?),
        ModelKind::Openai => Arc::new(openai::OpenAi::new(name, spec, env, client)?),
        ModelKind::ImageTask => Arc::new(image_task::ImageTask::new(spec, env, client)?),
        ModelKind::Builtin | ModelKind::Python | ModelKind::Llm | ModelKind::Command => {
            return Err(Unavailable::because("models of this kind run in workers of their own"));
        }
        ModelKind::Ieops => {
            return Err(Unavailable::because("workers of this kind register by themselves"));
        }
    })
}

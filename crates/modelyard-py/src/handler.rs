//! What `modelyard.handler` needs besides the road that all Python routes take: how its routes
//! differ ([`Dialect`]), what each of its calls carries ([`Manner`]), and how its server looks.

mod limit;
mod manner;
mod plan;
mod query;
mod surface;
pub(crate) mod trace;

pub(crate) use limit::StreamLimit;
pub(crate) use manner::{Dialect, Manner};
pub(crate) use plan::HandlerPlan;
pub(crate) use query::{query, value as param_value};

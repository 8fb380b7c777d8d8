//! The engine worker from outside: its step loop over a toy model, its routes over toy and real ones.

mod client;
mod embedding;
mod gateway;
mod http_stories;
mod loop_stories;
mod real_models;
mod toy;

//! The engine worker from outside: the step loop over a toy model.

mod loop_stories;
mod toy;

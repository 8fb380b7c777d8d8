//! Guided answers.

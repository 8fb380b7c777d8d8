//! The kernels against plain arithmetic, against each other, and against themselves in other company.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

mod attention;
mod fixture;
mod identity;
mod linear;
mod memory;
mod norm;
mod predict;

//! The kernels against plain arithmetic, against each other, and against themselves in other company.

mod attention;
mod fixture;
mod identity;
mod linear;
mod memory;
mod norm;
mod predict;

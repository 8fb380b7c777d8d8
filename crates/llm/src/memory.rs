//! How much memory there is, and how much of it the model gets: decided before anything is loaded.

mod available;
mod fit;

pub use available::Available;
pub use fit::{DoesNotFit, Fit, Needs, fit};

/// A number of bytes for a person: `512 MiB`, `1.2 GiB`.
pub(crate) fn spoken(bytes: u64) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    let mib = bytes as f64 / MIB;
    match mib {
        0.0..10.0 => format!("{mib:.1} MiB"),
        10.0..1024.0 => format!("{mib:.0} MiB"),
        _ => format!("{:.2} GiB", mib / 1024.0),
    }
}

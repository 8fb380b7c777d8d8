//! What every instrument prints: one line of JSON.

use std::io::{self, Write};

use serde::Serialize;

/// Writes `value` as one line to standard output.
///
/// # Errors
/// When standard output cannot be written.
pub fn line(value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    io::stdout().lock().write_all(&text)
}

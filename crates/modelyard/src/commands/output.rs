//! Standard output of the commands: JSON, laid out where a person reads it.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Prints bytes as they are.
pub(super) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
}

/// Prints a value of ours, always laid out: it has no form of its own to keep.
pub(super) fn print_value(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| Failure::new(format!("the answer has no JSON form: {error}")))?;
    text.push(b'\n');
    print(&text)
}

/// Prints an answer: as it came, but for a person laid out if it is JSON.
pub(super) fn print_answer(bytes: &[u8]) -> Result<(), Failure> {
    if io::stdout().is_terminal()
        && let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes)
    {
        return print_value(&value);
    }
    print(bytes)?;
    if bytes.ends_with(b"\n") { Ok(()) } else { print(b"\n") }
}

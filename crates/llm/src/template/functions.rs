//! The functions and filters that chat templates expect.

use minijinja::{Environment, Error, ErrorKind, Value};
use minijinja_contrib::pycompat::unknown_method_callback;
use time::{OffsetDateTime, format_description::parse_strftime_owned};

use super::json::tojson;

/// Instructions that one rendering may take: a hundred times those of a long chat.
const FUEL: u64 = 20_000_000;

/// Set up as the library that templates are written for sets up jinja2.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let mut syntax = environment.syntax().to_builder();
    // The delimiters are the usual ones, so this cannot fail.
    if let Ok(syntax) = syntax.trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    // A template comes with the weights, from anywhere; one that never ends must not keep a thread.
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.add_filter("tojson", tojson);
    environment.add_function("raise_exception", raise_exception);
    environment
}

/// Marks an error as the template's own words.
#[derive(Debug, thiserror::Error)]
#[error("raised by the template")]
struct Raised;

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message).with_source(Raised))
}

pub(super) fn is_raised(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<Raised>)
}

pub(super) fn strftime(now: OffsetDateTime, format: &str) -> Result<String, Error> {
    let failed = |reason: String| {
        let words = format!("strftime_now cannot write the time as `{format}`: {reason}");
        Error::new(ErrorKind::InvalidOperation, words)
    };
    let description = parse_strftime_owned(format).map_err(|error| failed(error.to_string()))?;
    now.format(&description).map_err(|error| failed(error.to_string()))
}

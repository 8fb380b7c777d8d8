//! `${NAME}` in configured text.

use crate::{Env, Unavailable};

/// Replaces each `${NAME}` by the variable of that name. `field` names the place in messages.
///
/// # Errors
/// [`Unavailable`] if a variable is not set or empty, or a brace is not closed.
pub(crate) fn interpolate(field: &str, text: &str, env: Env<'_>) -> Result<String, Unavailable> {
    types::interpolate(field, text, |name| variable(name, env))
        .map_err(|error| Unavailable::because(error.to_string()))
}

/// A variable that is set to something. An empty one is as good as none: that is how `.env`
/// templates leave keys out.
pub(crate) fn variable(name: &str, env: Env<'_>) -> Option<String> {
    env(name).filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "KEY" => Some("secret".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn an_empty_variable_is_as_good_as_none() {
        let check = |text: &str| interpolate("headers.X-Key", text, &env).map_err(|it| it.reason);
        assert_eq!(check("Bearer ${KEY}"), Ok("Bearer secret".into()));
        assert_eq!(check("a ${EMPTY}"), Err("EMPTY is not set, and headers.X-Key needs it".into()));
    }
}

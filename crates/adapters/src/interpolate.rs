//! `${NAME}` in configured text.

use crate::{Env, Unavailable};

/// Replaces each `${NAME}` by the variable of that name. `field` names the place in messages.
///
/// # Errors
/// [`Unavailable`] if a variable is not set or empty, or a brace is not closed.
pub(crate) fn interpolate(field: &str, text: &str, env: Env<'_>) -> Result<String, Unavailable> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, behind)) = after.split_once('}') else {
            return Err(Unavailable::because(format!("{field} has a `${{` without its `}}`")));
        };
        filled.push_str(before);
        filled.push_str(&variable(name, env).ok_or_else(|| {
            Unavailable::because(format!("{name} is not set, and {field} needs it"))
        })?);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
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
    fn variables_are_filled_in_wherever_they_stand() {
        let check = |text: &str| interpolate("api_key", text, &env).unwrap();
        assert_eq!(check("plain $KEY {KEY}"), "plain $KEY {KEY}");
        assert_eq!(check("Bearer ${KEY}"), "Bearer secret");
        assert_eq!(check("${KEY}-${KEY}!"), "secret-secret!");
    }

    #[test]
    fn what_is_missing_is_named() {
        let check = |text: &str| interpolate("headers.X-Key", text, &env).unwrap_err().reason;
        assert_eq!(check("${OTHER}"), "OTHER is not set, and headers.X-Key needs it");
        assert_eq!(check("a ${EMPTY}"), "EMPTY is not set, and headers.X-Key needs it");
        assert_eq!(check("${KEY"), "headers.X-Key has a `${` without its `}`");
    }
}

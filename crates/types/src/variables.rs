//! `${NAME}` in configured text.

/// A text whose variables cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// A variable has no value.
    #[error("{name} is not set, and {field} needs it")]
    NotSet {
        /// The variable.
        name: String,
        /// The place that names it.
        field: String,
    },
    /// A brace is not closed.
    #[error("{field} has a `${{` without its `}}`")]
    Unclosed {
        /// The place of the text.
        field: String,
    },
}

/// Replaces each `${NAME}` by what `lookup` says. `field` names the place of the text in messages.
///
/// # Errors
/// [`BadText`] if a variable has no value, or a brace is not closed.
pub fn interpolate(
    field: &str,
    text: &str,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<String, BadText> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) =
            after.split_once('}').ok_or_else(|| BadText::Unclosed { field: field.into() })?;
        let value = lookup(name)
            .ok_or_else(|| BadText::NotSet { name: name.into(), field: field.into() })?;
        filled.push_str(before);
        filled.push_str(&value);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<String, String> {
        let lookup = |name: &str| (name == "KEY").then(|| "secret".to_owned());
        interpolate("api_key", text, lookup).map_err(|error| error.to_string())
    }

    #[test]
    fn variables_are_filled_in_wherever_they_stand() {
        for (text, filled) in [
            ("plain $KEY {KEY}", "plain $KEY {KEY}"),
            ("Bearer ${KEY}", "Bearer secret"),
            ("${KEY}-${KEY}!", "secret-secret!"),
        ] {
            assert_eq!(check(text), Ok(filled.into()));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(check("${OTHER}"), Err("OTHER is not set, and api_key needs it".into()));
        assert_eq!(check("${KEY"), Err("api_key has a `${` without its `}`".into()));
    }
}

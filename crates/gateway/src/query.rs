//! Query parameters: each one is known, given once and well formed, or the error names it.

use std::{fmt::Display, str::FromStr};

use types::ErrorCode;

use crate::failure::Failure;

/// The parameters that nobody has taken yet.
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Query {
    /// Splits and decodes a query string.
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, Failure> {
        let pairs = serde_urlencoded::from_str(query.unwrap_or_default())
            .map_err(|error| bad(format!("the query cannot be read: {error}")))?;
        Ok(Self { pairs, known: Vec::new() })
    }

    /// Takes one parameter, if it was given.
    pub(crate) fn take<T>(&mut self, name: &'static str) -> Result<Option<T>, Failure>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.known.push(name);
        let Some(at) = self.pairs.iter().position(|(key, _)| key == name) else { return Ok(None) };
        let (_, value) = self.pairs.swap_remove(at);
        if self.pairs.iter().any(|(key, _)| key == name) {
            return Err(bad(format!("query parameter {name} is given twice")));
        }
        value.parse().map(Some).map_err(|error| bad(format!("query parameter {name}: {error}")))
    }

    /// Refuses what nobody took.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.pairs.first() {
            None => Ok(()),
            Some((name, _)) => {
                let known = self.known.join(", ");
                Err(bad(format!("query parameter {name} is not known; known are: {known}")))
            }
        }
    }
}

fn bad(detail: String) -> Failure {
    Failure::new(ErrorCode::InvalidQuery, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(query: &str) -> String {
        let read = || {
            let mut query = Query::parse(Some(query))?;
            query.take::<u32>("limit")?;
            query.finish()
        };
        let Err(Failure(fault)) = read() else { return "fine".into() };
        fault.detail.into_owned()
    }

    #[test]
    fn each_error_names_its_parameter() {
        assert_eq!(error("limit=3"), "fine");
        assert_eq!(error("limit=x"), "query parameter limit: invalid digit found in string");
        assert_eq!(error("limit=1&limit=2"), "query parameter limit is given twice");
        assert_eq!(error("limits=1"), "query parameter limits is not known; known are: limit");
    }
}

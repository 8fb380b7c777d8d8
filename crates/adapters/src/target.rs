//! Where an external API is and what it wants to see, once the environment has been filled in.

use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::AUTHORIZATION,
    uri::{PathAndQuery, Scheme},
};
use types::ModelSpec;

use crate::{Env, Unavailable, interpolate::interpolate};

/// The address of an external API.
#[derive(Debug, Clone)]
pub(crate) struct Base(Uri);

impl Base {
    /// Reads a configured address; `field` names it in messages.
    ///
    /// # Errors
    /// [`Unavailable`] if it is no http address. The text itself is not repeated: it may hold a key.
    pub(crate) fn parse(field: &str, text: &str, env: Env<'_>) -> Result<Self, Unavailable> {
        let wrong = |what: &str| Unavailable::because(format!("{field} {what}"));
        let uri: Uri = interpolate(field, text, env)?
            .trim()
            .parse()
            .map_err(|_| wrong("is not a valid address; write https://host/path"))?;
        if uri.scheme() != Some(&Scheme::HTTP) && uri.scheme() != Some(&Scheme::HTTPS) {
            return Err(wrong("must start with http:// or https://"));
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong("must not carry a user name; use `api_key` or `headers`"));
        }
        Ok(Self(uri))
    }

    /// Path of the address, without a slash at its end.
    pub(crate) fn path(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }

    /// The address itself with `query` after its own; `None` if that makes no valid address.
    pub(crate) fn with_query(&self, query: &str) -> Option<Uri> {
        if query.is_empty() {
            return Some(self.0.clone());
        }
        let own = self.0.query().unwrap_or_default();
        let both = [own, query].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
        self.at(self.0.path(), &both.join("&"))
    }

    /// `path` below the address. What the address already ends with is not repeated: `/v1/tasks`
    /// below `https://host/v1` is `https://host/v1/tasks`.
    pub(crate) fn join(&self, path: &str, query: &str) -> Option<Uri> {
        let own = self.path();
        let shared = path
            .match_indices('/')
            .map(|(end, _)| end)
            .filter(|&end| end > 0 && own.ends_with(&path[..end]))
            .max()
            .unwrap_or(0);
        self.at(&format!("{own}{}", &path[shared..]), query)
    }

    /// `path` in place of the one of the address.
    pub(crate) fn at(&self, path: &str, query: &str) -> Option<Uri> {
        let text = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let mut parts = self.0.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
        Uri::from_parts(parts).ok()
    }
}

/// The configured headers of a model.
///
/// # Errors
/// [`Unavailable`] if a name or a value cannot be a header, or a variable is missing.
pub(crate) fn headers(spec: &ModelSpec, env: Env<'_>) -> Result<HeaderMap, Unavailable> {
    let mut headers = HeaderMap::new();
    for (name, value) in &spec.headers {
        let field = format!("headers.{name}");
        let wrong = |what: &str| Unavailable::because(format!("{field} {what}"));
        let header = HeaderName::try_from(name).map_err(|_| wrong("is not a header name"))?;
        let value = interpolate(&field, value, env)?;
        let mut value =
            HeaderValue::try_from(value).map_err(|_| wrong("has characters no header may have"))?;
        value.set_sensitive(header == AUTHORIZATION);
        headers.insert(header, value);
    }
    Ok(headers)
}

/// Presents `key` as a bearer token, unless a configured header already says who calls.
///
/// # Errors
/// [`Unavailable`] if the key cannot be a header.
pub(crate) fn authorize(headers: &mut HeaderMap, key: Option<&str>) -> Result<(), Unavailable> {
    let Some(key) = key.filter(|_| !headers.contains_key(AUTHORIZATION)) else { return Ok(()) };
    let mut value = HeaderValue::try_from(format!("Bearer {}", key.trim()))
        .map_err(|_| Unavailable::because("api_key has characters no header may have"))?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> Result<Base, Unavailable> {
        Base::parse("endpoint", text, &|name| (name == "HOST").then(|| "h.example".into()))
    }

    #[test]
    fn a_path_repeats_nothing_that_the_address_ends_with() {
        for (address, path, whole) in [
            ("http://h", "/v1/tasks/7", "http://h/v1/tasks/7"),
            ("http://h/", "/v1/tasks/7", "http://h/v1/tasks/7"),
            ("http://h/v1", "/v1/tasks/7", "http://h/v1/tasks/7"),
            ("http://h/v1/", "/v1/tasks/7", "http://h/v1/tasks/7"),
            ("http://h/x/api/v1", "/api/v1/generate", "http://h/x/api/v1/generate"),
            ("https://${HOST}/dev1", "/v1/tasks", "https://h.example/dev1/v1/tasks"),
        ] {
            let uri = base(address).unwrap().join(path, "").unwrap();
            assert_eq!(uri.to_string(), whole, "{address} {path}");
        }
    }

    #[test]
    fn queries_follow_the_one_of_the_address() {
        let check = |address: &str, query: &str| {
            base(address).unwrap().with_query(query).unwrap().to_string()
        };
        assert_eq!(check("http://h/a", ""), "http://h/a");
        assert_eq!(check("http://h/a", "x=1"), "http://h/a?x=1");
        assert_eq!(check("http://h/a?key=k", "x=1"), "http://h/a?key=k&x=1");
    }

    #[test]
    fn an_address_that_cannot_be_called_says_why_without_repeating_it() {
        for (address, part) in [
            ("h.example/a", "not a valid address"),
            ("ftp://h/a", "must start with"),
            ("http://user:secret@h/", "must not carry a user name"),
            ("http://${NOWHERE}/", "NOWHERE is not set"),
        ] {
            let reason = base(address).unwrap_err().reason;
            assert!(reason.contains(part) && !reason.contains("secret"), "{reason}");
        }
    }
}

//! API keys: who may call, and how often.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc};

use api::headers;
use arc_swap::ArcSwapOption;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};
use types::{ErrorCode, Fault, Tenant};

use crate::{Gateway, failure::Failure};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a caller shows, as it is kept: nobody can make the key of it.
pub type KeyDigest = [u8; 32];

/// The digest of a key. Keys are random and long, so one round is enough.
pub fn digest(key: &str) -> KeyDigest {
    Sha256::digest(key).into()
}

/// A key that is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Whose it is; the tenant of calls that name none.
    pub name: Tenant,
    /// What stands for the key.
    pub digest: KeyDigest,
    /// Calls per second, and as many at once; `None` for no bound.
    pub qps: Option<NonZeroU32>,
}

/// The keys that are valid now. Clones share them.
#[derive(Clone, Default)]
pub struct KeyRing {
    holders: Arc<ArcSwapOption<HashMap<KeyDigest, Holder>>>,
}

#[derive(Clone)]
struct Holder {
    key: Key,
    /// The name as a header; every tenant's name is one.
    tenant: HeaderValue,
    limit: Option<Arc<DefaultDirectRateLimiter>>,
}

impl Holder {
    fn new(key: Key) -> Self {
        let limit = key.qps.map(|qps| Arc::new(RateLimiter::direct(Quota::per_second(qps))));
        let tenant = HeaderValue::from_str(key.name.as_str())
            .unwrap_or_else(|_| HeaderValue::from_static("default"));
        Self { key, tenant, limit }
    }
}

impl KeyRing {
    /// From now on these are valid; `None` asks nobody for a key.
    pub fn set(&self, keys: Option<Vec<Key>>) {
        let before = self.holders.load_full();
        // Who stays has not gained a second's calls.
        let kept = |key: Key| {
            let held = before.as_ref().and_then(|held| held.get(&key.digest));
            match held {
                Some(holder) if holder.key == key => holder.clone(),
                _ => Holder::new(key),
            }
        };
        let holders =
            keys.map(|keys| keys.into_iter().map(|key| (key.digest, kept(key))).collect());
        self.holders.store(holders.map(Arc::new));
    }

    /// Lets a call in, and names its tenant where it names none. The key goes no further: a model's code must not
    /// learn what opens the others.
    pub(crate) fn admit(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        let holders = self.holders.load();
        let Some(holders) = holders.as_ref() else { return Ok(()) };
        let shown = shown(headers);
        let known =
            |(name, key): &(HeaderName, &str)| Some((name.clone(), holders.get(&digest(key))?));
        let Some((name, holder)) = shown.iter().find_map(known) else {
            return Err(Failure::new(
                ErrorCode::Unauthorized,
                match shown.is_empty() {
                    true => "No API key provided. Include it in 'Authorization' header",
                    false => "Invalid API key",
                },
            ));
        };
        headers.remove(name);
        if let Some(Err(early)) = holder.limit.as_ref().map(|limit| limit.check()) {
            let wait = early.wait_time_from(DefaultClock::default().now());
            let fault = Fault::new(ErrorCode::RateLimited, "API rate limit exceeded");
            return Err(Failure(fault.retry_after(wait)));
        }
        headers.entry(headers::TENANT).or_insert_with(|| holder.tenant.clone());
        Ok(())
    }
}

/// What may be the key of a request: `X-API-Key: KEY`, `Authorization: Bearer KEY`, or `Authorization: KEY`.
fn shown(headers: &HeaderMap) -> Vec<(HeaderName, &str)> {
    let text = |name: HeaderName| {
        let text = headers.get(&name)?.to_str().ok()?.trim();
        Some((name, text))
    };
    let bare = |(name, value): (HeaderName, _)| match str::split_once(value, ' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => (name, key.trim()),
        _ => (name, value),
    };
    let both = text(API_KEY).into_iter().chain(text(header::AUTHORIZATION).map(bare));
    both.filter(|(_, key)| !key.is_empty() && !key.eq_ignore_ascii_case("bearer")).collect()
}

/// For the routes that need a key.
pub(crate) async fn ask(
    State(gateway): State<Gateway>,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    gateway.keys.admit(request.headers_mut())?;
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests;

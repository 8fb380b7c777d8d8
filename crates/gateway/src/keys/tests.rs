//! Who is let in, and who is not.

use std::time::Duration;

use super::*;

fn key(name: &str, text: &str, qps: Option<u32>) -> Key {
    let qps = qps.and_then(NonZeroU32::new);
    Key { name: name.parse().unwrap(), digest: digest(text), qps }
}

fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
}

fn refused(ring: &KeyRing, pairs: &[(HeaderName, &'static str)]) -> Option<Fault> {
    ring.admit(&mut headers(pairs)).err().map(|failure| failure.0)
}

#[test]
fn without_keys_nobody_is_asked() {
    assert!(refused(&KeyRing::default(), &[]).is_none());
}

#[test]
fn a_key_is_taken_in_each_of_the_three_ways() {
    let ring = KeyRing::default();
    ring.set(Some(vec![key("alice", "sk-1", None)]));
    for (name, value) in [
        (header::AUTHORIZATION, "Bearer sk-1"),
        (header::AUTHORIZATION, "bearer  sk-1"),
        (header::AUTHORIZATION, "sk-1"),
        (API_KEY, "sk-1"),
    ] {
        assert!(refused(&ring, &[(name.clone(), value)]).is_none(), "{name}: {value}");
    }
}

#[test]
fn who_shows_none_or_a_wrong_one_is_told_so() {
    let ring = KeyRing::default();
    ring.set(Some(vec![key("alice", "sk-1", None)]));
    for pairs in [&[][..], &[(header::AUTHORIZATION, "Bearer ")], &[(API_KEY, " ")]] {
        let fault = refused(&ring, pairs).unwrap();
        assert_eq!(fault.code, ErrorCode::Unauthorized);
        assert!(fault.detail.starts_with("No API key provided"), "{fault:?}");
    }
    let fault = refused(&ring, &[(header::AUTHORIZATION, "Bearer sk-2")]).unwrap();
    assert_eq!((fault.code, &*fault.detail), (ErrorCode::Unauthorized, "Invalid API key"));
    // All were revoked: that opens nothing.
    ring.set(Some(Vec::new()));
    assert!(refused(&ring, &[(API_KEY, "sk-1")]).is_some());
}

#[test]
fn a_key_has_so_many_calls_a_second_and_a_new_ring_gives_it_no_more() {
    let ring = KeyRing::default();
    let keys = || Some(vec![key("alice", "sk-1", Some(2)), key("bob", "sk-2", None)]);
    ring.set(keys());
    let alice = [(API_KEY, "sk-1")];
    assert!(refused(&ring, &alice).is_none() && refused(&ring, &alice).is_none());
    ring.set(keys());
    let fault = refused(&ring, &alice).unwrap();
    assert_eq!((fault.code, &*fault.detail), (ErrorCode::RateLimited, "API rate limit exceeded"));
    assert!(fault.retry_after.unwrap() <= Duration::from_millis(500));
    assert!(refused(&ring, &[(API_KEY, "sk-2")]).is_none());
}

#[test]
fn the_key_goes_no_further_and_what_is_no_key_does() {
    let ring = KeyRing::default();
    ring.set(Some(vec![key("alice", "sk-1", None)]));
    let mut both = headers(&[(header::AUTHORIZATION, "Bearer theirs"), (API_KEY, "sk-1")]);
    ring.admit(&mut both).unwrap_or_else(|failure| panic!("{:?}", failure.0));
    assert!(!both.contains_key(API_KEY));
    assert_eq!(both[header::AUTHORIZATION], "Bearer theirs");
    for odd in ["", "of somebody else"] {
        let mut both = headers(&[(header::AUTHORIZATION, "Bearer sk-1"), (API_KEY, odd)]);
        ring.admit(&mut both).unwrap_or_else(|failure| panic!("{odd}: {:?}", failure.0));
        assert!(!both.contains_key(header::AUTHORIZATION));
    }
}

#[test]
fn a_call_without_a_tenant_is_that_of_its_key() {
    let ring = KeyRing::default();
    ring.set(Some(vec![key("alice", "sk-1", None)]));
    let mut plain = headers(&[(API_KEY, "sk-1")]);
    ring.admit(&mut plain).unwrap_or_else(|failure| panic!("{:?}", failure.0));
    assert_eq!(plain[headers::TENANT], "alice");
    let mut named = headers(&[(API_KEY, "sk-1"), (headers::TENANT, "team")]);
    ring.admit(&mut named).unwrap_or_else(|failure| panic!("{:?}", failure.0));
    assert_eq!(named[headers::TENANT], "team");
}

//! Addresses as operators write them.

use super::*;

#[test]
fn a_shown_address_has_no_password() {
    assert_eq!(shown("redis://me:secret@host:6379/1"), "redis://host:6379/1");
    assert_eq!(shown("redis-sentinel://:p@ss@a:1,b:2/main"), "redis-sentinel://a:1,b:2/main");
    assert_eq!(shown("unix:///run/redis.sock?pass=secret"), "unix:///run/redis.sock");
}

#[test]
fn a_server_and_a_sentinel_can_be_named() {
    for url in [
        "redis://localhost",
        "redis://:secret@host:6380/2",
        "rediss://host",
        "unix:///run/redis.sock",
    ] {
        assert!(matches!(Address::parse(url), Ok(Address::Server(_))), "{url}");
    }
    for url in [
        "redis-sentinel://a:1,b/main",
        "redis-sentinel://user:secret@a/main/3",
        "rediss-sentinel://a/main",
    ] {
        assert!(matches!(Address::parse(url), Ok(Address::Sentinel(_))), "{url}");
    }
}

#[test]
fn what_is_wrong_with_an_address_is_said() {
    for (url, word) in [
        ("http://host", "not an address"),
        ("rediss://host/0#insecure", "SSL_CERT_FILE"),
        ("redis-sentinel://a:1", "host:port/name"),
        ("redis-sentinel://a:x/main", "`x` is not a port"),
        ("redis-sentinel://a:1/main/x", "`x` is not a database"),
        ("redis-sentinel:///main", "no host name"),
    ] {
        let Err(said) = Address::parse(url) else { panic!("{url} was taken") };
        assert!(said.contains(word), "{url}: {said}");
    }
}

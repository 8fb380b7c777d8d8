//! What clients call this machine.

use std::net::IpAddr;

use nix::{ifaddrs::getifaddrs, unistd::gethostname};

use crate::failure::Failure;

/// localhost, the name and the addresses of this machine, and what the person names.
pub(super) fn all(named: &[String]) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: String| {
        if !names.contains(&name) {
            names.push(name);
        }
    };
    for name in named {
        if !is_name(name) {
            return Err(Failure::misuse(format!("`{name}` is neither a host name nor an address"))
                .hint("write for example `yard.example` or `192.168.1.100`"));
        }
        add(name.clone());
    }
    add("localhost".into());
    if let Some(host) = gethostname().ok().and_then(|host| host.into_string().ok())
        && is_name(&host)
    {
        add(host);
    }
    for address in addresses() {
        add(address.to_string());
    }
    Ok(names)
}

fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(plain)
    };
    let host = text.strip_prefix("*.").unwrap_or(text);
    text.parse::<IpAddr>().is_ok() || host.split('.').all(label)
}

/// Those of its interfaces.
fn addresses() -> Vec<IpAddr> {
    let found = getifaddrs().into_iter().flatten().filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
        let v6 = address.as_sockaddr_in6().map(|it| IpAddr::V6(it.ip()));
        v4.or(v6)
    });
    // A link-local address means nothing without its interface.
    found.filter(|ip| !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_and_what_was_named_are_in_it() {
        let names = all(&["yard.example".into(), "10.1.2.3".into()]).unwrap_or_default();
        for name in ["yard.example", "10.1.2.3", "localhost", "127.0.0.1"] {
            assert!(names.contains(&name.to_owned()), "{name} in {names:?}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", "a b", "http://host", "host:80", "a..b"] {
            assert!(all(&[name.to_owned()]).is_err(), "{name}");
        }
    }
}

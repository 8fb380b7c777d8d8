//! Who listens on an address: found in `/proc`, as `ss -lp` does it.

use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

/// The state of a listening socket in the tables of `/proc/net`.
const LISTENING: &str = "0A";
/// The flag of a listening socket in `/proc/net/unix`.
const UNIX_LISTENING: &str = "00010000";

/// A process that holds an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// Its program.
    pub program: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.program, self.pid)
    }
}

impl Owner {
    /// Who listens where `address` would; `None` if we may not see it.
    pub(super) fn of_tcp(address: SocketAddr) -> Option<Self> {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
        let mut tables = tables.iter().flatten();
        Self::of_socket(tables.find_map(|table| listener_inode(table, address))?)
    }

    /// Who listens at a path.
    pub(super) fn of_unix(path: &Path) -> Option<Self> {
        let table = fs::read_to_string("/proc/net/unix").ok()?;
        Self::of_socket(unix_listener_inode(&table, path)?)
    }

    fn of_socket(inode: u64) -> Option<Self> {
        let wanted = format!("socket:[{inode}]");
        let processes = fs::read_dir("/proc").ok()?.flatten();
        let mut pids =
            processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let holds = |pid: &u32| {
            let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
            descriptors
                .flatten()
                .any(|fd| fs::read_link(fd.path()).is_ok_and(|link| link.as_os_str() == &*wanted))
        };
        let pid = pids.find(holds)?;
        let program = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some(Self { pid, program: program.trim().to_owned() })
    }
}

/// The inode of the socket that stands in the way of `address`.
fn listener_inode(table: &str, address: SocketAddr) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (columns.get(1)?, columns.get(3)?, columns.get(9)?);
        let taken = parse_address(local)?;
        let meets = taken.ip() == address.ip()
            || taken.ip().is_unspecified()
            || address.ip().is_unspecified();
        let in_the_way = *state == LISTENING && taken.port() == address.port() && meets;
        in_the_way.then(|| inode.parse().ok()).flatten()
    })
}

/// The inode of the unix socket that listens at a path.
fn unix_listener_inode(table: &str, path: &Path) -> Option<u64> {
    table.lines().find_map(|line| {
        // Num RefCount Protocol Flags Type St Inode Path
        let columns: Vec<&str> = line.splitn(8, ' ').collect();
        let (flags, inode) = (columns.get(3)?, columns.get(6..)?.join(" "));
        // The ends of connections carry the path too.
        let (inode, listens_at) = inode.trim_start().split_once(' ')?;
        let is_listener = *flags == UNIX_LISTENING && Path::new(listens_at) == path;
        is_listener.then(|| inode.parse().ok()).flatten()
    })
}

/// `0100007F:1F90` is 127.0.0.1:8000: words of 32 bits as the processor stores them.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words: Vec<[u8; 4]> = ip
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok().map(u32::to_ne_bytes))
        .collect::<Option<_>>()?;
    let ip = match words.as_slice() {
        [word] => IpAddr::V4(Ipv4Addr::from(*word)),
        [a, b, c, d] => {
            let bytes = [*a, *b, *c, *d].concat();
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_owner_of_a_port_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let owner = Owner::of_tcp(listener.local_addr().unwrap()).unwrap();
        assert_eq!(owner.pid, std::process::id());
        assert!(!owner.program.is_empty());
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_listener_on_all_addresses_stands_in_the_way_of_each() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 11 1
   1: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22 1
   2: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 33 1
";
        let inode = |address: &str| listener_inode(table, address.parse().unwrap());
        assert_eq!(inode("127.0.0.1:8000"), Some(22));
        assert_eq!(inode("0.0.0.0:8001"), Some(33));
        assert_eq!(inode("127.0.0.2:8001"), None);
    }

    #[test]
    fn a_connection_to_a_unix_socket_is_not_its_listener() {
        let table = "\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00000000 0001 02     0 /run/a b.sock
0000000000000000: 00000002 00000000 00010000 0001 01 48216 /run/a b.sock
0000000000000000: 00000003 00000000 00000000 0001 03 48217 /run/a b.sock
0000000000000000: 00000003 00000000 00000000 0001 03 48218
";
        assert_eq!(unix_listener_inode(table, Path::new("/run/a b.sock")), Some(48216));
        assert_eq!(unix_listener_inode(table, Path::new("/run/a")), None);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn addresses_are_read_as_the_system_prints_them() {
        let read = |text: &str| parse_address(text).map(|address| address.to_string());
        assert_eq!(read("0100007F:1F90").as_deref(), Some("127.0.0.1:8080"));
        let v6 = "00000000000000000000000001000000:0050";
        assert_eq!(read(v6).as_deref(), Some("[::1]:80"));
        assert_eq!(read("nonsense"), None);
    }
}

//! Programs that serve HTTP and do not know us: they are told where to listen, and watched until
//! they do.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::Path,
    time::Duration,
};

use api::{Body, Endpoint, worker::Address};
use fleet::HttpEndpoint;
use http::Request;
use tokio::{
    net::{TcpStream, UnixStream},
    time,
};

const PORT: &str = "{port}";
const SOCKET: &str = "{socket}";

/// How often it is tried whether the program listens: soon enough for a person, and no load.
const TRY_EVERY: Duration = Duration::from_millis(100);

/// How long one question after readiness may take: a program that loads may be deaf for a while.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A command with its blanks filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) words: Vec<String>,
    /// Where the program will listen. `None` if it was not told where: then it is a worker in its
    /// own right, which reads its launch and registers itself.
    pub(super) address: Option<Address>,
}

/// Fills `{port}` with a free port and `{socket}` with the path of a socket.
///
/// # Errors
/// The reason for the operator, if there is no free port or the command wants both.
pub(super) fn fill(command: &[String], socket: &Path) -> Result<Filled, String> {
    let wants = |blank| command.iter().any(|word| word.contains(blank));
    match (wants(PORT), wants(SOCKET)) {
        (true, true) => Err("`command` may contain {port} or {socket}, not both".into()),
        (false, false) => Ok(Filled { words: command.to_vec(), address: None }),
        (false, true) => {
            let path = socket.display().to_string();
            let words = command.iter().map(|word| word.replace(SOCKET, &path)).collect();
            Ok(Filled { words, address: Some(Address::Unix(socket.to_owned())) })
        }
        (true, false) => {
            let port = free_port().map_err(|error| format!("no port is free: {error}"))?;
            let words = command.iter().map(|word| word.replace(PORT, &port.to_string())).collect();
            let address = Address::Tcp(format!("{}:{port}", Ipv4Addr::LOCALHOST));
            Ok(Filled { words, address: Some(address) })
        }
    }
}

/// Somebody else may take the port before the program does. Then the program fails and is started
/// again with another one.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Waits until something listens there.
pub(crate) async fn listens(address: &Address) {
    loop {
        let listens = match address {
            Address::Unix(path) => UnixStream::connect(path).await.is_ok(),
            Address::Tcp(host) => TcpStream::connect(host).await.is_ok(),
        };
        if listens {
            return;
        }
        time::sleep(TRY_EVERY).await;
    }
}

/// Waits until `path` is answered with 2xx: a server may listen while it still loads its weights.
pub(crate) async fn is_ready(address: &Address, path: &str) {
    let endpoint = HttpEndpoint::new(address.clone(), None);
    loop {
        let mut request = Request::new(Body::empty());
        // The path was checked with the configuration; one that is none never becomes ready.
        *request.uri_mut() = path.parse().unwrap_or_default();
        let asked = time::timeout(ANSWER_WITHIN, endpoint.call(request));
        if asked.await.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status().is_success())) {
            return;
        }
        time::sleep(TRY_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_filled_in_wherever_it_stands() {
        let filled = check(&["serve", "--port={port}", "--url", "http://0.0.0.0:{port}/"]).unwrap();
        let Some(Address::Tcp(host)) = filled.address else { panic!("a port") };
        let port = host.strip_prefix("127.0.0.1:").unwrap();
        assert_eq!(filled.words[1], format!("--port={port}"));
        assert_eq!(filled.words[3], format!("http://0.0.0.0:{port}/"));
    }

    #[test]
    fn a_socket_is_filled_in() {
        let filled = check(&["serve", "--uds", "{socket}"]).unwrap();
        assert_eq!(filled.words[2], "/run/a.sock");
        assert_eq!(filled.address, Some(Address::Unix("/run/a.sock".into())));
    }

    #[test]
    fn a_command_without_blanks_registers_itself() {
        assert_eq!(check(&["serve"]).unwrap().address, None);
    }

    #[test]
    fn only_one_of_both_can_be_wanted() {
        assert!(check(&["serve", "{port}", "{socket}"]).unwrap_err().contains("not both"));
    }

    fn check(command: &[&str]) -> Result<Filled, String> {
        let command: Vec<_> = command.iter().map(|&word| word.to_owned()).collect();
        fill(&command, Path::new("/run/a.sock"))
    }
}

//! A worker that the test itself is: it joins by the workers' door, and answers with any bytes.

use std::sync::{Arc, Mutex};

use api::worker::{Address, Membership};
use http::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

use super::{ask::Ask, yard::Yard};

/// Lines of a configuration that let strangers in.
pub(crate) const LET_IN: &str =
    "server.internal_listen = 'unix:inner.sock'\nworkers.join_token = 'only-for-these-tests'\n";

/// A model of which no worker is started here.
pub(crate) const FAR: &str = "[models.far]\nnum_workers = 0\n";

/// A request at the workers' door, with the token.
pub(crate) fn inside(yard: &Yard, method: Method, path: &str) -> Ask {
    let door = Address::Unix(yard.path().join("inner.sock"));
    Ask::new(&door, method, path).header("authorization", "Bearer only-for-these-tests")
}

/// What a worker of the model `far` at this address says when it joins.
pub(crate) fn registration(address: &Address) -> Value {
    json!({
        "model": "far", "version": "1", "address": address, "token": "open-sesame",
        "description": {
            "name": "far", "version": "1", "default_route": "/go", "capacity": 4,
            "routes": [{"path": "/go", "method": "POST", "kind": "api"}],
        },
    })
}

/// Joins the gateway as a worker of the model `far` at this address, whether one is there or not.
pub(crate) async fn join(yard: &Yard, address: &Address) -> Membership {
    let asked = inside(yard, Method::POST, "/internal/v1/workers");
    let told = asked.json(&registration(address)).send().await.json().await;
    serde_json::from_value(told).unwrap()
}

/// A worker that listens; it stops when this is dropped.
pub(crate) struct Stranger {
    address: Address,
    requests: Arc<Mutex<Vec<String>>>,
    accepting: AbortHandle,
}

impl Stranger {
    /// Answers each request with these bytes, and closes the connection.
    pub(crate) async fn answering(bytes: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap().to_string());
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let kept = requests.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read(&mut stream).await;
                kept.lock().unwrap().push(request);
                // The gateway may have left, which is its right.
                let _ = stream.write_all(bytes).await;
            }
        });
        Self { address, requests, accepting: accepting.abort_handle() }
    }

    /// Joins the gateway as a worker of the model `far`.
    pub(crate) async fn join(&self, yard: &Yard) -> Membership {
        join(yard, &self.address).await
    }

    /// The requests that came, as they stood on the wire.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Reads one request whose body, if any, has a declared length.
async fn read(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    loop {
        let head = text.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4);
        if head.is_some_and(|head| text.len() >= head + length(&text[..head])) {
            return String::from_utf8(text).unwrap();
        }
        if stream.read_buf(&mut text).await.unwrap_or(0) == 0 {
            return String::from_utf8_lossy(&text).into_owned();
        }
    }
}

fn length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let found = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    found.map_or(0, |text| text.parse().unwrap())
}

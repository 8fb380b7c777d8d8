//! A WebSocket, or any other switched protocol, between a client and a worker: bytes in both
//! directions, nothing looked at.

use dispatch::Tunnel;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::task::TaskTracker;

/// Joins the two ends once both have switched. `held` keeps the call's place until one end closes.
pub(crate) fn join(
    tunnels: &TaskTracker,
    client: OnUpgrade,
    worker: OnUpgrade,
    held: Option<Tunnel>,
) {
    tunnels.spawn(async move {
        let _held = held;
        let (client, worker) = match tokio::try_join!(client, worker) {
            Ok(ends) => ends,
            Err(error) => {
                tracing::debug!(%error, "a protocol switch was not completed");
                return;
            }
        };
        let (mut client, mut worker) = (TokioIo::new(client), TokioIo::new(worker));
        if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut worker).await {
            tracing::debug!(%error, "a tunnel ended");
        }
    });
}

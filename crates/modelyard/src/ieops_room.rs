//! The room where workers of the IEOPS SDK register, if the configuration has one.

use dispatch::Dispatcher;
use fleet::Fleet;
use gateway::{Gateway, Server};
use ieops::{Proxy, ProxyService};
use tasks::Tasks;
use telemetry::Metrics;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{self, Settings},
    house::{HouseError, system},
    listen::{self, SocketFile},
};

/// The proxy and its loop.
pub(crate) fn proxy(
    settings: &Settings,
    fleet: &Fleet,
    dispatcher: &Dispatcher,
    tasks: &Tasks,
    metrics: &Metrics,
) -> Option<(Proxy, ProxyService)> {
    settings.ieops_socket.as_ref()?;
    let template = config::ieops_model(settings.workers.default_max_concurrency);
    let (fleet, dispatcher) = (fleet.clone(), dispatcher.clone());
    Some(Proxy::new(fleet, dispatcher, tasks.clone(), metrics.clone(), template))
}

/// Opens its door.
pub(crate) fn open(
    settings: &Settings,
    gateway: &Gateway,
    end: &CancellationToken,
) -> Result<Option<(Server, Option<SocketFile>)>, HouseError> {
    let Some(path) = &settings.ieops_socket else { return Ok(None) };
    let door = listen::open_ieops(path).map_err(HouseError::Ieops)?;
    let server = Server::ieops(gateway.clone(), end.clone())
        .map_err(|error| system("start a thread", error))?;
    tracing::info!(socket = %path.display(), "workers of the IEOPS SDK may register");
    server.listen(door.listener);
    Ok(Some((server, door.file)))
}

//! The room where workers of the IEOPS SDK register, if the configuration has one.

use dispatch::Dispatcher;
use fleet::Fleet;
use gateway::{Gateway, Server};
use ieops::{Proxy, ProxyService};
use tasks::Tasks;
use telemetry::Metrics;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{self, Settings},
    house::{HouseError, system},
    listen::{self, Door, SocketFile},
};

/// The room, open.
pub(crate) struct IeopsRoom {
    server: Server,
    /// The socket's file goes when this is dropped.
    _file: Option<SocketFile>,
}

/// The room before it is opened: its loop, and the door.
pub(crate) struct Furnished {
    service: ProxyService,
    door: Door,
}

/// Takes the door, and makes the handle and its loop; `None` if there is to be no room.
pub(crate) fn furnish(
    settings: &Settings,
    fleet: &Fleet,
    dispatcher: &Dispatcher,
    tasks: &Tasks,
    metrics: &Metrics,
) -> Result<Option<(Proxy, Furnished)>, HouseError> {
    let Some(path) = &settings.ieops_socket else { return Ok(None) };
    let door = listen::open_ieops(path).map_err(HouseError::Ieops)?;
    let template = config::ieops_model(settings.workers.default_max_concurrency);
    let (fleet, dispatcher) = (fleet.clone(), dispatcher.clone());
    let (proxy, service) = Proxy::new(fleet, dispatcher, tasks.clone(), metrics.clone(), template);
    Ok(Some((proxy, Furnished { service, door })))
}

/// Opens it until `end`; its loop is one of `loops`.
pub(crate) fn open(
    furnished: Option<Furnished>,
    gateway: &Gateway,
    loops: &TaskTracker,
    end: &CancellationToken,
) -> Result<Option<IeopsRoom>, HouseError> {
    let Some(Furnished { service, door }) = furnished else { return Ok(None) };
    loops.spawn(service.run(end.clone()));
    let server = Server::ieops(gateway.clone(), end.clone())
        .map_err(|error| system("start a thread", error))?;
    tracing::info!(socket = %door.address, "workers of the IEOPS SDK may register");
    server.listen(door.listener);
    Ok(Some(IeopsRoom { server, _file: door.file }))
}

impl IeopsRoom {
    /// Waits until its door is closed.
    ///
    /// # Cancel safety
    /// Dropping it does not keep the door from closing.
    pub(crate) async fn drained(self) {
        self.server.drained().await;
    }
}

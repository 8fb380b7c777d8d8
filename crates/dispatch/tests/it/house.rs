//! A fleet, a dispatcher, and endpoints that follow a script.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use api::{
    Body, Endpoint, EndpointError,
    endpoint::Answer,
    headers,
    worker::{
        Address, Description, Heartbeat, Membership, Outcome, Registration, Report, Reports,
        RunningCall,
    },
};
use dispatch::{Call, Dispatcher, Prefix, Route};
use fleet::{Fleet, FleetSettings};
use http::{Request, Response};
use parking_lot::Mutex;
use telemetry::metrics::Metrics;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use types::{CallId, Fault, ModelName, ModelSpec, Priority, Tenant};
use uuid::Uuid;

pub(crate) enum Reply {
    Now(Response<Body>),
    After(Duration, Response<Body>),
    Fail(EndpointError),
}

pub(crate) fn ok(text: &'static str) -> Response<Body> {
    Response::new(Body::full(text))
}

type Script = Box<dyn Fn(&Request<Body>) -> Reply + Send + Sync>;

/// An endpoint that remembers the priority of each call.
pub(crate) struct Scripted {
    script: Script,
    seen: Mutex<Vec<String>>,
}

impl Scripted {
    pub(crate) fn calls(&self) -> usize {
        self.seen.lock().len()
    }

    pub(crate) fn priorities(&self) -> Vec<String> {
        self.seen.lock().clone()
    }
}

impl Endpoint for Scripted {
    fn call(&self, request: Request<Body>) -> Answer<'_> {
        let priority = request.headers()[headers::PRIORITY].to_str().unwrap().to_owned();
        self.seen.lock().push(priority);
        let reply = (self.script)(&request);
        Box::pin(async move {
            match reply {
                Reply::Now(response) => Ok(response),
                Reply::After(time, response) => {
                    tokio::time::sleep(time).await;
                    Ok(response)
                }
                Reply::Fail(error) => Err(error),
            }
        })
    }
}

pub(crate) struct House {
    pub(crate) fleet: Fleet,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) model: ModelName,
}

impl House {
    pub(crate) fn with(spec: ModelSpec) -> Self {
        let settings = FleetSettings {
            heartbeat: Duration::from_secs(10),
            lease: Duration::from_secs(30),
            join_token: String::new(),
            epoch: 1,
        };
        let fleet = Fleet::new(settings, Metrics::new("test"));
        let model: ModelName = "echo".parse().unwrap();
        fleet.add_model(&model, Arc::new(spec));
        let stop = CancellationToken::new();
        let dispatcher = Dispatcher::new(fleet.clone(), Metrics::new("test"), stop);
        dispatcher.add_model(&model);
        Self { fleet, dispatcher, model }
    }

    pub(crate) fn declare(
        &self,
        lanes: u32,
        script: impl Fn(&Request<Body>) -> Reply + Send + Sync + 'static,
    ) -> Arc<Scripted> {
        let endpoint = Arc::new(Scripted { script: Box::new(script), seen: Mutex::default() });
        self.fleet.declare(&self.model, endpoint.clone(), lanes);
        endpoint
    }

    /// Registers a worker that gives every call this answer, word for word.
    pub(crate) fn register(&self, folder: &Path, answer: &'static str) -> Membership {
        self.register_as(&folder.join("worker.sock"), move |mut peer, _| async move {
            let mut buffer = [0; 4096];
            while peer.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {
                peer.write_all(answer.as_bytes()).await.unwrap();
            }
        })
    }

    /// Registers a worker that does this with each connection, which are counted from 1.
    pub(crate) fn register_as<S>(
        &self,
        path: &Path,
        serve: impl Fn(UnixStream, usize) -> S + Send + Sync + 'static,
    ) -> Membership
    where
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = UnixListener::bind(path).unwrap();
        tokio::spawn(async move {
            for number in 1.. {
                let (peer, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(peer, number));
            }
        });
        let description = Description {
            name: self.model.to_string(),
            version: "1".into(),
            routes: Vec::new(),
            default_route: "/".into(),
            capacity: 8,
            capabilities: Vec::new(),
        };
        let registration = Registration {
            model: self.model.clone(),
            version: "1".into(),
            address: Address::Unix(path.to_owned()),
            token: None,
            description,
            launch_id: String::new(),
            pid: 0,
        };
        self.fleet.register(registration).unwrap()
    }

    /// The worker says that this call runs and has shown no progress for so long.
    pub(crate) fn beat(&self, member: &Membership, call_id: CallId, idle: Duration) {
        let idle_ms = u64::try_from(idle.as_millis()).unwrap();
        let running = vec![RunningCall { call_id, age_ms: idle_ms, idle_ms }];
        let heartbeat = Heartbeat { epoch: member.epoch, running, engine: None };
        self.fleet.heartbeat(member.worker_id, &heartbeat).unwrap();
    }

    /// The worker says that this call has ended.
    pub(crate) fn report_end(&self, member: &Membership, call_id: CallId) {
        let ended =
            Report::Ended { call_id, outcome: Outcome::Cancelled, usage: BTreeMap::default() };
        let reports = Reports { epoch: member.epoch, reports: vec![ended] };
        self.fleet.report(member.worker_id, &reports).unwrap();
    }

    pub(crate) fn call(&self) -> Call {
        Call {
            call_id: CallId::new(Uuid::now_v7()),
            model: self.model.clone(),
            route: Route::Default,
            tenant: Tenant::default(),
            priority: Priority::Normal,
            deadline: None,
            prefix: Prefix::default(),
            request: Request::post("/invoke/echo").body(Body::full("{}")).unwrap(),
        }
    }

    pub(crate) fn spawn_call(&self) -> JoinHandle<Result<Response<Body>, Fault>> {
        self.spawn_call_with(Priority::Normal)
    }

    pub(crate) fn spawn_call_with(
        &self,
        priority: Priority,
    ) -> JoinHandle<Result<Response<Body>, Fault>> {
        let dispatcher = self.dispatcher.clone();
        let call = Call { priority, ..self.call() };
        tokio::spawn(async move { dispatcher.call(call).await })
    }

    /// Lets every task run until it waits.
    pub(crate) async fn settle(&self) {
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
    }
}

//! A server without its doors: deployer, fleet and control, in a directory of their own.

use std::{
    env,
    net::TcpListener,
    process,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use api::worker::{Address, Description, Heartbeat, Registration, RunningCall};
use control::{Control, ControlSettings};
use deploy::{Deployer, Local, Process, ProcessState};
use fleet::{Availability, Fleet, FleetSettings, Member};
use telemetry::Metrics;
use tempfile::TempDir;
use tokio::{task::JoinHandle, time};
use tokio_util::sync::CancellationToken;
use types::{CallId, ModelKind, ModelName, ModelSpec, WorkerId};

/// Far longer than anything here takes; a test that needs it has failed.
const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Stage {
    control: Option<Control>,
    pub(crate) metrics: Metrics,
    local: Local,
    fleet: Fleet,
    folder: TempDir,
    shutdown: CancellationToken,
    service: Mutex<Option<JoinHandle<()>>>,
}

impl Stage {
    pub(crate) fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shutdown = CancellationToken::new();
        let (local, deployer) = Local::new().unwrap();
        tokio::spawn(deployer.run(CancellationToken::new()));
        let metrics = Metrics::new("test");
        let joining = FleetSettings {
            heartbeat: Duration::from_millis(200),
            lease: LONG,
            join_token: "secret".into(),
            epoch: 1,
        };
        let fleet = Fleet::new(joining, metrics.clone());
        let timekeeper = fleet.clone();
        let stop = shutdown.clone();
        tokio::spawn(async move { timekeeper.keep_time(stop).await });

        let settings = ControlSettings {
            run_dir: folder.path().into(),
            config_dir: folder.path().into(),
            program: env::current_exe().unwrap(),
            python: None,
            gpus: vec!["0".into()],
            gateway: Address::Unix(folder.path().join("gate.sock")),
            shutdown_grace: Duration::from_millis(300),
        };
        let (control, service) =
            Control::new(settings, Arc::new(local.clone()), fleet.clone(), metrics.clone());
        let service = Mutex::new(Some(tokio::spawn(service.run(shutdown.clone()))));
        Self { control: Some(control), metrics, local, fleet, folder, shutdown, service }
    }

    pub(crate) fn control(&self) -> &Control {
        self.control.as_ref().expect("the handle was not dropped")
    }

    pub(crate) async fn set(&self, model: &str, spec: ModelSpec) {
        let spec = Arc::new(spec);
        self.fleet.add_model(&name(model), spec.clone());
        self.control().set_model(name(model), spec).await.unwrap();
    }

    /// A worker that runs this script as a file, so that `$0` is a path in our directory.
    pub(crate) fn script(&self, file: &str, script: &str) -> ModelSpec {
        let path = self.folder.path().join(file);
        std::fs::write(&path, script).unwrap();
        command(["/bin/sh", path.to_str().unwrap()])
    }

    pub(crate) fn touch(&self, file: &str) {
        std::fs::write(self.folder.path().join(file), "").unwrap();
    }

    pub(crate) fn has(&self, file: &str) -> bool {
        self.folder.path().join(file).exists()
    }

    /// Leaves the loop without a handle.
    pub(crate) fn drop_handle(&mut self) {
        self.control = None;
    }

    /// Ends the loop as the server's end does.
    pub(crate) async fn close(self) -> Self {
        self.shutdown.cancel();
        let service = self.service.lock().unwrap().take().unwrap();
        time::timeout(LONG, service).await.expect("the loop ends").unwrap();
        self
    }

    // --- processes ---

    pub(crate) async fn processes(&self) -> Vec<Process> {
        self.local.list().await.unwrap()
    }

    /// Waits until so many processes of the model run, started in full; their launch ids.
    pub(crate) async fn running(&self, model: &str, count: usize) -> Vec<String> {
        let deadline = Instant::now() + LONG;
        loop {
            let running = self.running_now(model).await;
            if running.len() == count {
                return running;
            }
            assert!(Instant::now() < deadline, "{running:?} run, not {count}");
            time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for a process of the model that is none of these.
    pub(crate) async fn other_than(&self, model: &str, known: &[&str]) -> String {
        let deadline = Instant::now() + LONG;
        loop {
            let running = self.running_now(model).await;
            if let Some(other) = running.into_iter().find(|id| !known.contains(&id.as_str())) {
                return other;
            }
            assert!(Instant::now() < deadline, "no other process was started");
            time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn until_ended(&self, launch: &str) {
        let deadline = Instant::now() + LONG;
        while self.processes().await.iter().any(|process| process.launch.as_str() == launch) {
            assert!(Instant::now() < deadline, "{launch} still runs");
            time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Kills a worker behind everybody's back.
    pub(crate) async fn kill(&self, launch: &str) {
        let processes = self.processes().await;
        let victim = processes.iter().find(|process| process.launch.as_str() == launch).unwrap();
        let ProcessState::Running { pid: Some(pid) } = victim.state else { panic!("it runs") };
        let killed = process::Command::new("kill").args(["-9", &pid.to_string()]).status();
        assert!(killed.unwrap().success());
    }

    async fn running_now(&self, model: &str) -> Vec<String> {
        let runs =
            |process: &Process| matches!(process.state, ProcessState::Running { pid: Some(_) });
        let processes = self.processes().await.into_iter();
        let running = processes.filter(|process| process.model.as_str() == model && runs(process));
        running.map(|process| process.launch.to_string()).collect()
    }

    // --- the fleet ---

    /// Registers a process as the worker in it would.
    pub(crate) fn register(&self, model: &str, launch: &str) -> WorkerId {
        let registration = Registration {
            model: name(model),
            version: "1".into(),
            address: Address::Unix(self.folder.path().join("none.sock")),
            token: None,
            description: Description {
                name: model.into(),
                version: "1".into(),
                routes: Vec::new(),
                default_route: "/".into(),
                capacity: 1,
                capabilities: Vec::new(),
            },
            launch_id: launch.into(),
            pid: 0,
        };
        self.fleet.register(registration).unwrap().worker_id
    }

    /// A call on this worker was cancelled, and its code does not end, as its heartbeat says.
    pub(crate) fn hold_a_call(&self, worker: WorkerId) {
        let call = CallId::new(uuid::Uuid::now_v7());
        self.fleet.linger(worker, call, Instant::now(), Box::new(()));
        let running = vec![RunningCall { call_id: call, age_ms: 1000, idle_ms: 1000 }];
        let epoch = self.fleet.settings().epoch;
        self.fleet.heartbeat(worker, &Heartbeat { epoch, running, engine: None }).unwrap();
    }

    pub(crate) fn members(&self, model: &str) -> Vec<Member> {
        self.fleet.view(&name(model)).unwrap().members.clone()
    }

    pub(crate) fn availability(&self, model: &str) -> Availability {
        self.fleet.view(&name(model)).unwrap().availability()
    }

    pub(crate) async fn becomes(&self, model: &str, availability: Availability) {
        let what = format!("{model} becomes {}", availability.as_str());
        self.until(&what, || self.availability(model) == availability).await;
    }

    /// Waits until the model is failing; the reason.
    pub(crate) async fn failure(&self, model: &str) -> String {
        let fails = || matches!(self.availability(model), Availability::Failing { .. });
        self.until(&format!("{model} fails"), fails).await;
        self.availability(model).reason().unwrap().to_owned()
    }

    pub(crate) fn is_loading(&self, model: &str) -> bool {
        self.control().loading().borrow().contains(&name(model))
    }

    pub(crate) async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + LONG;
        while !is_so() {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub(crate) fn name(model: &str) -> ModelName {
    model.parse().unwrap()
}

/// A worker that runs this script.
pub(crate) fn sh(script: &str) -> ModelSpec {
    command(["/bin/sh", "-c", script])
}

/// This test program, once more, as a server that does not know us.
pub(crate) fn foreign_server() -> ModelSpec {
    let program = env::current_exe().unwrap();
    let program = program.to_str().unwrap();
    // The harness knows no arguments for tests; a name to skip does no harm.
    let command = command([program, "--exact", "a_foreign_server", "--skip", "port-{port}"]);
    ModelSpec { worker_capacity: Some(5), ..command }
}

/// Listens on the port that the command names, if it names one.
pub(crate) fn serve_as_foreigner() {
    let Some(port) = env::args().find_map(|word| word.strip_prefix("port-")?.parse().ok()) else {
        return;
    };
    let port: u16 = port;
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    thread::sleep(LONG);
}

fn command<const N: usize>(words: [&str; N]) -> ModelSpec {
    ModelSpec {
        kind: ModelKind::Command,
        command: words.map(str::to_owned).into(),
        timeout_seconds: 1.0,
        ..ModelSpec::default()
    }
}

//! What is started for which model.

use std::time::Duration;

use api::worker::{Address, LAUNCH_ENV, WorkerLaunch};
use deploy::python::PythonFinder;
use serde_json::json;
use types::{ModelKind, ModelSpec};

use super::{Joining, Launch, Prepared};
use crate::ControlSettings;

#[tokio::test]
async fn a_builtin_worker_is_this_program_with_all_that_it_must_know() {
    let spec = ModelSpec {
        kind: ModelKind::Builtin,
        implementation: Some("echo".into()),
        warmup: Some(json!({"text": "hi"})),
        worker_capacity: Some(3),
        ..ModelSpec::default()
    };
    let process = prepare(&spec).await.unwrap().process;
    assert_eq!(process.program.to_str(), Some("/opt/modelyard"));
    assert_eq!(process.args, ["worker", "builtin"]);
    assert_eq!(process.workdir.unwrap().to_str(), Some("/etc/models"));

    let launch: WorkerLaunch = serde_json::from_str(&process.env[LAUNCH_ENV]).unwrap();
    assert_eq!((launch.model.as_str(), launch.implementation.as_str()), ("m", "echo"));
    assert_eq!(launch.listen, Address::Unix("/run/my/00000000002a.sock".into()));
    assert_eq!(launch.gateway, Some(Address::Unix("/run/my/gate.sock".into())));
    assert_eq!((launch.join_token.as_str(), launch.heartbeat_ms), ("secret", 250));
    assert_eq!(launch.launch_id, "m-00000000002a");
    assert_eq!((launch.capacity, launch.warmup), (Some(3), spec.warmup));
}

#[tokio::test]
async fn threads_and_devices_come_with_the_model_and_its_own_variables_win() {
    let env = [("OMP_NUM_THREADS", "7"), ("TOKEN", "${HOME_OF_TOKENS}/t")];
    let spec = ModelSpec {
        kind: ModelKind::Builtin,
        num_cpus: 2.5,
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..ModelSpec::default()
    };
    let env = prepare(&spec).await.unwrap().process.env;
    assert_eq!((env["OMP_NUM_THREADS"].as_str(), env["MKL_NUM_THREADS"].as_str()), ("7", "3"));
    assert_eq!(env["TOKEN"], "/tokens/t");
    assert_eq!(env["CUDA_VISIBLE_DEVICES"], "1");
}

#[tokio::test]
async fn a_variable_that_is_missing_is_the_reason() {
    let env = [("KEY".to_owned(), "${NOT_SET}".to_owned())].into();
    let spec = ModelSpec { kind: ModelKind::Builtin, env, ..ModelSpec::default() };
    assert_eq!(prepare(&spec).await.unwrap_err(), "NOT_SET is not set, and env.KEY needs it");
}

#[tokio::test]
async fn a_model_without_python_says_what_was_tried() {
    let spec = ModelSpec {
        implementation: Some("app.py:Model".into()),
        python: Some("venv/bin/python".into()),
        ..ModelSpec::default()
    };
    let reason = prepare(&spec).await.unwrap_err();
    assert!(
        reason.contains("tried /etc/models/venv/bin/python (not found); run `make python`"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_command_is_told_where_to_listen_and_is_to_be_declared_there() {
    let spec = ModelSpec {
        kind: ModelKind::Command,
        command: ["./serve.sh", "--uds", "{socket}"].map(str::to_owned).into(),
        workdir: Some("tools".into()),
        ..ModelSpec::default()
    };
    let Prepared { process, foreign } = prepare(&spec).await.unwrap();
    assert_eq!(process.program.to_str(), Some("/etc/models/tools/./serve.sh"));
    assert_eq!(process.args, ["--uds", "/run/my/00000000002a.sock"]);
    assert_eq!(foreign, Some(Address::Unix("/run/my/00000000002a.sock".into())));
}

async fn prepare(spec: &ModelSpec) -> Result<Prepared, String> {
    let settings = ControlSettings {
        run_dir: "/run/my".into(),
        config_dir: "/etc/models".into(),
        program: "/opt/modelyard".into(),
        python: None,
        gpus: Vec::new(),
        gateway: Address::Unix("/run/my/gate.sock".into()),
        shutdown_grace: Duration::ZERO,
    };
    let launch = Launch {
        settings: &settings,
        joining: &Joining { token: "secret".into(), heartbeat_ms: 250 },
        id: deploy::LaunchId::new("m-00000000002a"),
        generation: 1,
        model: &"m".parse().unwrap(),
        spec,
        gpus: Some("1".into()),
    };
    let lookup = |name: &str| (name == "HOME_OF_TOKENS").then(|| "/tokens".to_owned());
    launch.prepare(&PythonFinder::default(), &lookup).await
}

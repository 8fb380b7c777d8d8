//! What child processes on one machine promise beyond the conformance suite.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Local;
use crate::{
    DeployError, Deployer, ExitCause, LaunchId, Process, ProcessSpec, ProcessState,
    conformance::{appearance_of, deployer_conformance, end_of, shell, within},
};

deployer_conformance!(local, open());

#[tokio::test]
async fn a_program_that_does_not_exist_is_named_and_not_listed() {
    let local = open();
    let process = ProcessSpec { program: "/no/such/program".into(), ..shell("a", "") };
    let error = local.start(process).await.unwrap_err();
    assert!(matches!(&error, DeployError::Spawn { .. }));
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    assert_eq!(local.list().await.unwrap(), []);
}

#[tokio::test]
async fn a_missing_directory_is_told_apart_from_a_missing_program() {
    let local = open();
    let error =
        local.start(within(Path::new("/no/such/folder"), shell("a", ""))).await.unwrap_err();
    assert!(matches!(&error, DeployError::NoWorkdir(_)));
    assert!(error.to_string().contains("/no/such/folder"), "{error}");
}

#[tokio::test]
async fn a_child_is_told_that_its_stdin_is_its_lifeline() {
    let local = open();
    local.start(shell("a", "echo $MODELYARD_LIFELINE")).await.unwrap();
    assert_eq!(end_of(&local, "a").await.last_lines, ["stdin"]);
}

#[tokio::test]
async fn stdin_stays_open_while_the_child_runs() {
    let local = open();
    // `read` fails at the end of stdin; here it must still wait when the second process looks.
    local.start(shell("a", "read line; exit 9")).await.unwrap();
    local.start(shell("b", "sleep 0.1")).await.unwrap();
    end_of(&local, "b").await;
    assert!(matches!(local.list().await.unwrap()[0].state, ProcessState::Running { .. }));
}

#[tokio::test]
async fn what_a_child_started_ends_with_it() {
    let local = open();
    let folder = tempfile::tempdir().unwrap();
    let script = "sleep 1000 & echo $! > pid; exit 1";
    local.start(within(folder.path(), shell("a", script))).await.unwrap();
    let exit = end_of(&local, "a").await;
    assert_eq!(exit.cause, ExitCause::Code(1));
    wait_until_gone(read_pid(&folder.path().join("pid")));
}

#[tokio::test]
async fn a_grandchild_that_holds_the_output_open_does_not_delay_the_end() {
    let local = open();
    let folder = tempfile::tempdir().unwrap();
    // In a session of its own it is out of reach of the group's end.
    let script = "setsid sh -c 'echo $$ > pid; exec sleep 1000' & while ! [ -s pid ]; do :; done";
    local.start(within(folder.path(), shell("a", script))).await.unwrap();
    assert_eq!(end_of(&local, "a").await.cause, ExitCause::Code(0));
    kill(read_pid(&folder.path().join("pid")), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_flood_of_output_neither_blocks_the_child_nor_is_kept() {
    let local = open();
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; \
        head -c 1000000 /dev/zero | tr '\\0' x; echo; echo last";
    local.start(shell("a", script)).await.unwrap();
    let lines = end_of(&local, "a").await.last_lines;
    assert_eq!(lines.len(), 40);
    assert_eq!((lines[0].as_str(), lines[39].as_str()), ("line 19962", "last"));
    assert!(lines[38].ends_with("x … (cut)"), "the long line is cut");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_memory_limit_holds() {
    let local = open();
    let process = ProcessSpec { memory_mb_max: Some(64), ..shell("a", "ulimit -v") };
    local.start(process).await.unwrap();
    assert_eq!(end_of(&local, "a").await.last_lines, ["65536"]);
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_child_inherits_no_descriptor_but_its_streams() {
    let local = open();
    let folder = tempfile::tempdir().unwrap();
    let file = fs::File::create(folder.path().join("open")).unwrap();
    let inheritable = nix::fcntl::FdFlag::empty();
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFD(inheritable)).unwrap();

    local.start(within(folder.path(), shell("a", "ls -l /proc/$$/fd > fds"))).await.unwrap();
    end_of(&local, "a").await;
    let listing = fs::read_to_string(folder.path().join("fds")).unwrap();
    assert!(listing.contains("pipe:") && !listing.contains("/open"), "{listing}");
}

#[tokio::test]
async fn the_end_of_the_service_ends_the_children() {
    let (local, service) = Local::new().unwrap();
    let shutdown = CancellationToken::new();
    let service = tokio::spawn(service.run(shutdown.clone()));
    let pid = start_sleeper(&local).await;
    shutdown.cancel();
    service.await.unwrap();
    wait_until_gone(pid);
    assert!(matches!(local.list().await, Err(DeployError::Stopped)));
}

#[tokio::test]
async fn children_that_nobody_could_stop_any_more_are_ended() {
    let (local, service) = Local::new().unwrap();
    let service = tokio::spawn(service.run(CancellationToken::new()));
    let pid = start_sleeper(&local).await;
    drop(local);
    service.await.unwrap();
    wait_until_gone(pid);
}

#[tokio::test]
async fn a_service_that_is_dropped_ends_the_children() {
    let (local, service) = Local::new().unwrap();
    let service: JoinHandle<()> = tokio::spawn(service.run(CancellationToken::new()));
    let pid = start_sleeper(&local).await;
    service.abort();
    assert!(service.await.unwrap_err().is_cancelled());
    wait_until_gone(pid);
}

/// Starts this test program a second time, where [`a_server_to_be_killed`] starts a worker.
#[test]
#[cfg(target_os = "linux")]
fn children_die_with_a_server_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Command::new(env::current_exe().unwrap())
        .args(["--exact", "local::tests::a_server_to_be_killed", "--nocapture"])
        .env(SERVER_TO_BE_KILLED, folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(server.stdout.take().unwrap());
    let line = output.lines().map_while(Result::ok).find(|line| line.contains("worker-pid "));
    let line = line.expect("the server says its worker's pid");
    let pid = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(kill(Pid::from_raw(pid), None).is_ok(), "the worker runs");

    server.kill().unwrap();
    server.wait().unwrap();
    wait_until_gone(Pid::from_raw(pid));
}

const SERVER_TO_BE_KILLED: &str = "MODELYARD_TEST_SERVER_TO_BE_KILLED";

/// Does nothing unless the test above started it.
#[tokio::test]
async fn a_server_to_be_killed() {
    if env::var_os(SERVER_TO_BE_KILLED).is_some() {
        let local = open();
        let pid = start_sleeper(&local).await;
        println!("worker-pid {pid}");
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

/// A deployer whose service ends with the test.
fn open() -> Local {
    let (local, service) = Local::new().unwrap();
    tokio::spawn(service.run(CancellationToken::new()));
    local
}

/// A child that does nothing, and would for long: neither signals nor the end of stdin move it.
async fn start_sleeper(local: &Local) -> Pid {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap '' TERM HUP INT PIPE; touch ready; while :; do sleep 0.05; done";
    local.start(within(folder.path(), shell("sleeper", script))).await.unwrap();
    appearance_of(&folder.path().join("ready")).await;
    let listed = local.list().await.unwrap();
    let [Process { state: ProcessState::Running { pid: Some(pid) }, launch, .. }] = &listed[..]
    else {
        panic!("one process with a pid, not {listed:?}")
    };
    assert_eq!(launch, &LaunchId::new("sleeper"));
    Pid::from_raw(pid.cast_signed())
}

fn read_pid(path: &Path) -> Pid {
    Pid::from_raw(fs::read_to_string(path).unwrap().trim().parse().unwrap())
}

/// Waits until nothing runs under this number. One that was killed but not yet reaped is gone.
#[track_caller]
fn wait_until_gone(pid: Pid) {
    for _ in 0..1000 {
        let state = fs::read_to_string(format!("/proc/{pid}/stat"));
        let is_zombie = state.is_ok_and(|stat| stat.contains(") Z "));
        if is_zombie || kill(pid, None).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("process {pid} still runs");
}

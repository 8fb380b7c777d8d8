//! The thread that starts child processes.
//!
//! A child asks the system to be killed when its parent dies, and the system takes "parent" to be
//! the *thread* that forked it. Threads of the runtime come and go, so that a child could be killed
//! in the middle of its work; this thread lives exactly as long as the deployer.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
};

use api::worker::LIFELINE_ENV;
use tokio::sync::mpsc;

use super::child::OwnedChild;
use crate::{DeployError, LaunchId, ProcessSpec};

/// Starts that may wait. Each takes about a millisecond, so more than these is a loop gone wild.
const WAITING_MAX: usize = 256;

/// What became of one start.
pub(super) struct Spawned {
    pub(super) launch: LaunchId,
    pub(super) result: Result<OwnedChild, DeployError>,
}

/// Hands starts to the thread. Dropping it ends the thread, and with it all children.
pub(super) struct Spawner {
    requests: SyncSender<ProcessSpec>,
}

impl Spawner {
    /// Starts the thread; the outcomes come over the receiver.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn new() -> io::Result<(Self, mpsc::Receiver<Spawned>)> {
        let (requests, inbox) = sync_channel(WAITING_MAX);
        let (results, outcomes) = mpsc::channel(WAITING_MAX);
        thread::Builder::new().name("spawner".into()).spawn(move || serve(&inbox, &results))?;
        Ok((Self { requests }, outcomes))
    }

    /// Asks for one start.
    ///
    /// # Errors
    /// [`DeployError::Busy`] or [`DeployError::Stopped`].
    pub(super) fn request(&self, process: ProcessSpec) -> Result<(), DeployError> {
        self.requests.try_send(process).map_err(|refused| match refused {
            TrySendError::Full(_) => DeployError::Busy,
            TrySendError::Disconnected(_) => DeployError::Stopped,
        })
    }
}

fn serve(inbox: &Receiver<ProcessSpec>, results: &mpsc::Sender<Spawned>) {
    while let Ok(process) = inbox.recv() {
        let spawned = Spawned { launch: process.launch.clone(), result: spawn(&process) };
        // If nobody listens any more, dropping the child kills it.
        if results.blocking_send(spawned).is_err() {
            return;
        }
    }
}

fn spawn(process: &ProcessSpec) -> Result<OwnedChild, DeployError> {
    let mut command = Command::new(&process.program);
    command
        .args(&process.args)
        .envs(&process.env)
        .env(LIFELINE_ENV, "stdin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: Ctrl-C at the terminal is for us, and we tell the workers.
        .process_group(0);
    if let Some(workdir) = &process.workdir {
        // The system's "not found" does not tell a missing directory from a missing program.
        if !workdir.is_dir() {
            return Err(DeployError::NoWorkdir(workdir.clone()));
        }
        command.current_dir(workdir);
    }
    confine(&mut command, process.memory_mb_max);
    match command.spawn() {
        Ok(child) => Ok(OwnedChild::new(child)),
        Err(source) => Err(DeployError::Spawn { program: process.program.clone(), source }),
    }
}

/// Bounds the child's memory, closes what it must not inherit, and ties its life to ours.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "there is no safe way to run code between fork and exec")]
fn confine(command: &mut Command, memory_mb_max: Option<u64>) {
    use nix::{
        libc,
        sys::{
            prctl,
            resource::{Resource, setrlimit},
            signal::Signal,
        },
        unistd::{Pid, getppid},
    };
    const STANDARD_STREAMS: libc::c_uint = 3;

    let parent = Pid::this();
    let memory_bytes_max = memory_mb_max.map(|mib| mib.saturating_mul(1024 * 1024));
    // SAFETY: the closure runs in the child between fork and exec, where other threads' locks may
    // be held for ever. It makes plain system calls on values captured by copy: it allocates
    // nothing, takes no lock, and cannot panic. The descriptors are not closed, only marked to be
    // closed by exec, so those of `std` itself stay valid until then.
    unsafe {
        command.pre_exec(move || {
            if let Some(bytes) = memory_bytes_max {
                setrlimit(Resource::RLIMIT_AS, bytes, bytes)?;
            }
            // Ours are marked already, a library's may not be. Kernels before 5.11 refuse, and
            // then ours are all that matter.
            let _ = libc::syscall(
                libc::SYS_close_range,
                STANDARD_STREAMS,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            );
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            // We died before the line above: the signal will never come.
            if getppid() != parent {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            Ok(())
        });
    }
}

/// Elsewhere the end of stdin alone tells a child that we died, and memory is not bounded.
#[cfg(not(target_os = "linux"))]
fn confine(_command: &mut Command, memory_mb_max: Option<u64>) {
    if memory_mb_max.is_some() {
        tracing::warn!("`memory_mb_max` has no effect on this system");
    }
}

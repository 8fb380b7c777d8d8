//! One child process and its process group.

use std::{
    fmt,
    os::fd::OwnedFd,
    process::{Child, ChildStdin},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::net::unix::pipe;

use crate::ExitCause;

/// A child that has not been reaped, with everything in its process group.
///
/// Until it is reaped the system keeps its number, so that a signal to the group can hit nobody
/// else. Dropping it kills the group: a child never outlives its owner.
pub(super) struct OwnedChild {
    child: Child,
    /// Our end of its stdin. Never written; when we die, however that happens, it sees the end.
    _lifeline: Option<ChildStdin>,
    reaped: bool,
}

impl OwnedChild {
    /// Takes a child that leads a process group of its own.
    pub(super) fn new(mut child: Child) -> Self {
        let lifeline = child.stdin.take();
        Self { child, _lifeline: lifeline, reaped: false }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its output pipes, made ready for the runtime; the second time nothing.
    pub(super) fn take_output(&mut self) -> [Option<pipe::Receiver>; 2] {
        let asynchronous = |fd: OwnedFd| pipe::Receiver::from_owned_fd(fd).ok();
        [
            self.child.stdout.take().map(OwnedFd::from).and_then(asynchronous),
            self.child.stderr.take().map(OwnedFd::from).and_then(asynchronous),
        ]
    }

    /// Sends a signal to the whole group.
    pub(super) fn signal(&self, signal: Signal) {
        if !self.reaped {
            // It fails only for a group that has ended already.
            let _ = killpg(self.group(), signal);
        }
    }

    /// Whether the child has ended; if so, what is left of its group is killed and it is reaped.
    pub(super) fn poll_end(&mut self) -> Option<ExitCause> {
        if !self.has_ended() {
            return None;
        }
        // Before the child is reaped: afterwards its number may belong to a stranger.
        self.signal(Signal::SIGKILL);
        match self.child.try_wait() {
            Ok(Some(status)) => {
                self.reaped = true;
                Some(status.into())
            }
            Ok(None) => None,
            Err(error) => {
                self.reaped = true;
                tracing::error!(pid = self.pid(), %error, "somebody else reaped a worker");
                Some(ExitCause::Code(-1))
            }
        }
    }

    fn group(&self) -> Pid {
        // The system's process ids fit; the type of `Child::id` is wider than they are.
        Pid::from_raw(self.child.id().cast_signed())
    }

    #[cfg(target_os = "linux")]
    fn has_ended(&self) -> bool {
        use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(waitid(Id::Pid(self.group()), look), Ok(WaitStatus::StillAlive))
    }

    /// Other systems cannot look without reaping (in `nix`), so here reaping decides.
    #[cfg(not(target_os = "linux"))]
    fn has_ended(&self) -> bool {
        true
    }
}

impl Drop for OwnedChild {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        // Reaps it if it is gone at once; else the system does when we end.
        let _ = self.child.try_wait();
    }
}

impl fmt::Debug for OwnedChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "child({})", self.pid())
    }
}

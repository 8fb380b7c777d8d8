//! Processes by their number.

use std::{
    fs,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

/// Sends a signal to one process, which must be there.
pub(crate) fn send(pid: i32, signal: Signal) {
    signal::kill(Pid::from_raw(pid), signal).unwrap();
}

/// Stops a process in its tracks. A signal takes a moment to reach every thread; afterwards none of
/// them runs.
pub(crate) fn freeze(pid: i32) {
    send(pid, Signal::SIGSTOP);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !threads(pid).iter().all(|thread| state_and_parent(*thread).is_none_or(|s| s.0 == 'T')) {
        assert!(Instant::now() < deadline, "process {pid} does not stop");
        std::thread::yield_now();
    }
}

fn threads(pid: i32) -> Vec<i32> {
    let all = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Whether it runs. One that has ended and waits to be buried does not.
pub(crate) fn runs(pid: i32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// The processes that this one started and that run.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |child: &i32| {
        state_and_parent(*child)
            .is_some_and(|(state, parent)| parent == pid && !matches!(state, 'Z' | 'X'))
    };
    numbers.filter(is_child).collect()
}

/// From `/proc/PID/stat`: `PID (NAME) STATE PARENT …`, where the name may hold anything.
fn state_and_parent(pid: i32) -> Option<(char, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Its program and arguments, for people.
pub(crate) fn command(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ")
}

//! The owner of all child processes.

use std::{
    collections::{BTreeMap, btree_map},
    future, io,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tokio::{
    signal::unix::{self, SignalKind},
    sync::{mpsc, oneshot, watch},
    task::{Id, JoinSet},
    time,
};
use tokio_util::sync::CancellationToken;

use super::{
    Command,
    capture::{Source, capture},
    child::OwnedChild,
    entry::{Capture, Entry},
    spawner::{Spawned, Spawner},
};
use crate::{DeployError, LaunchId, ProcessSpec};

/// How long the service waits at its own end for killed children to be gone.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Runs the children of one [`super::Local`]. Dropping it kills them all.
pub struct LocalService {
    commands: mpsc::Receiver<Command>,
    spawner: Spawner,
    spawned: mpsc::Receiver<Spawned>,
    /// Wakes us whenever a child of this process, ours or not, has ended.
    children: unix::Signal,
    captures: JoinSet<Vec<String>>,
    entries: BTreeMap<LaunchId, Entry>,
    revision: watch::Sender<u64>,
}

/// Everything that can wake the loop.
enum Event {
    Command(Command),
    Spawned(Spawned),
    SomeChildEnded,
    Captured(Id, Vec<String>),
    KillDue,
    Shutdown,
}

impl LocalService {
    pub(super) fn new(
        commands: mpsc::Receiver<Command>,
        revision: watch::Sender<u64>,
    ) -> io::Result<Self> {
        let (spawner, spawned) = Spawner::new()?;
        Ok(Self {
            commands,
            spawner,
            spawned,
            children: unix::signal(SignalKind::child())?,
            captures: JoinSet::new(),
            entries: BTreeMap::new(),
            revision,
        })
    }

    /// Serves until `shutdown`, or until the last handle is gone and nobody could stop a child any
    /// more; then kills what still runs. To end children gently, stop them first.
    ///
    /// # Cancel safety
    /// Dropping the future kills every child.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            match self.next_event(&shutdown).await {
                Event::Command(command) => self.apply(command),
                Event::Spawned(spawned) => self.adopt(spawned),
                Event::SomeChildEnded => self.sweep(),
                Event::Captured(task, lines) => self.hear_last_words(task, lines),
                Event::KillDue => self.kill_the_late(),
                Event::Shutdown => break,
            }
        }
        // Whether all were gone in time changes nothing: they have been killed.
        let _ = time::timeout(LAST_WAIT, self.kill_and_reap_all()).await;
    }

    /// Waits; changes nothing.
    async fn next_event(&mut self, shutdown: &CancellationToken) -> Event {
        let kill_at = self.entries.values().filter_map(Entry::kill_at).min();
        tokio::select! {
            () = shutdown.cancelled() => Event::Shutdown,
            _ = self.children.recv() => Event::SomeChildEnded,
            Some(done) = self.captures.join_next_with_id() => match done {
                Ok((task, lines)) => Event::Captured(task, lines),
                Err(failed) => Event::Captured(failed.id(), Vec::new()),
            },
            Some(spawned) = self.spawned.recv() => Event::Spawned(spawned),
            command = self.commands.recv() => command.map_or(Event::Shutdown, Event::Command),
            () = sleep_until(kill_at) => Event::KillDue,
        }
    }

    fn apply(&mut self, command: Command) {
        match command {
            Command::Start { process, reply } => self.start(process, reply),
            Command::Stop { launch, grace, reply } => match self.entries.get_mut(&launch) {
                None => drop(reply.send(())),
                Some(entry) => {
                    entry.stop(Instant::now(), grace, reply);
                    self.sweep();
                }
            },
            Command::List { reply } => {
                let list = self.entries.iter().map(|(launch, entry)| entry.show(launch)).collect();
                drop(reply.send(list));
            }
        }
    }

    fn start(&mut self, process: ProcessSpec, reply: oneshot::Sender<Result<(), DeployError>>) {
        match self.entries.entry(process.launch.clone()) {
            btree_map::Entry::Occupied(taken) => {
                drop(reply.send(Err(DeployError::LaunchInUse(taken.key().clone()))));
            }
            btree_map::Entry::Vacant(free) => {
                let entry = Entry::new(&process, reply);
                match self.spawner.request(process) {
                    Ok(()) => drop(free.insert(entry)),
                    Err(error) => entry.refuse(error),
                }
            }
        }
    }

    /// A start has been tried.
    fn adopt(&mut self, Spawned { launch, result }: Spawned) {
        match result {
            Err(error) => {
                if let Some(entry) = self.entries.remove(&launch) {
                    entry.refuse(error);
                }
            }
            Ok(child) => {
                if let Some(entry) = self.entries.get_mut(&launch) {
                    begin(&mut self.captures, entry, launch, child);
                }
            }
        }
        self.changed();
        // It may have ended before it was known here; then its signal came too early for us.
        self.sweep();
    }

    fn hear_last_words(&mut self, task: Id, lines: Vec<String>) {
        // Each entry but the right one hands the lines on.
        let _ = self.entries.values_mut().try_fold(lines, |lines, entry| {
            match entry.captured(task, lines) {
                Ok(()) => ControlFlow::Break(()),
                Err(lines) => ControlFlow::Continue(lines),
            }
        });
        self.sweep();
    }

    fn kill_the_late(&mut self) {
        let now = Instant::now();
        for entry in self.entries.values_mut() {
            entry.kill_if_late(now);
        }
    }

    /// Looks after every child: reaps it, notes its end, forgets it if it was stopped.
    fn sweep(&mut self) {
        let mut news = false;
        for (launch, entry) in &mut self.entries {
            entry.reap();
            if entry.settle() {
                news = true;
                tracing::debug!(model = %entry.model(), launch_id = %launch, "a process has ended");
            }
        }
        for (_, done) in self.entries.extract_if(.., |_, entry| entry.is_done()) {
            news = true;
            done.forget();
        }
        if news {
            self.changed();
        }
    }

    fn changed(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    async fn kill_and_reap_all(&mut self) {
        for entry in self.entries.values() {
            entry.signal(Signal::SIGKILL);
        }
        while self.entries.values_mut().any(Entry::reap) {
            self.children.recv().await;
        }
    }
}

/// Reads the child's output from now on, and tells its entry that it runs.
fn begin(
    captures: &mut JoinSet<Vec<String>>,
    entry: &mut Entry,
    launch: LaunchId,
    mut child: OwnedChild,
) {
    let source = Source { model: entry.model().clone(), launch, pid: child.pid() };
    tracing::debug!(model = %source.model, launch_id = %source.launch, source.pid, "started a process");
    let [stdout, stderr] = child.take_output();
    let ended = CancellationToken::new();
    let task = captures.spawn(capture(source, stdout, stderr, ended.clone())).id();
    entry.started(child, Capture { task, ended });
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => time::sleep_until(moment.into()).await,
        None => future::pending().await,
    }
}

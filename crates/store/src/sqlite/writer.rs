//! Group commit: one thread owns the connection that writes, takes whatever waits, commits it as
//! one transaction with one sync, and then answers everybody.
//!
//! What need not survive a power cut (claims, renewals) is committed first and without a sync; the
//! next synced commit carries it to the disk too. Ids, answers and order are not affected: jobs that
//! wait at the same time have no order yet.

use std::{path::PathBuf, thread};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::{SqliteOptions, checkpoint::Checkpointer, ledger::Ledger, lock::Lock, schema::fault};
use crate::StoreError;

/// Jobs in one transaction. More would save no time that can be measured and delay the first.
const GROUP_MAX: usize = 256;

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// Survives a power cut from the answer on.
    Synced,
    /// Survives the end of the process; may be lost with the machine.
    Relaxed,
}

/// The way to the writer thread.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    // Emptied by `close`; the thread ends when no sender is left.
    jobs: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Writer {
    pub(super) fn start(
        ledger: Ledger,
        lock: Lock,
        options: &SqliteOptions,
    ) -> Result<Self, StoreError> {
        let path = options.path.clone();
        let (jobs, waiting) = mpsc::channel(options.waiting_max.max(1));
        let (end, ended) = oneshot::channel();
        let checkpointer = Checkpointer::start(&path)?;
        let writing = Writing { path: path.clone(), ledger, waiting, checkpointer };
        thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                writing.run();
                // Only now may another server have the file.
                drop(lock);
                let _ = end.send(());
            })
            .map_err(|error| super::checkpoint::no_thread(&path, error))?;
        Ok(Self { path, jobs: Mutex::new(Some(jobs)), ended: Mutex::new(Some(ended)) })
    }

    /// Does `work` in the next group, waiting for room if too much waits already.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        durability: Durability,
        work: impl FnMut(&mut Ledger) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (errand, answer) = Errand::post(durability, work);
        self.jobs()?.send(errand).await.map_err(|_| self.closed())?;
        answer.await.map_err(|_| self.closed())?
    }

    /// Like [`Self::write`], but refused at once when too much waits already.
    pub(super) async fn offer<T: Send + 'static>(
        &self,
        durability: Durability,
        work: impl FnMut(&mut Ledger) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (errand, answer) = Errand::post(durability, work);
        let jobs = self.jobs()?;
        jobs.try_send(errand).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy { waiting: jobs.max_capacity() },
            mpsc::error::TrySendError::Closed(_) => self.closed(),
        })?;
        drop(jobs);
        answer.await.map_err(|_| self.closed())?
    }

    /// Lets the thread complete what waits, and waits for its end.
    pub(super) async fn close(&self) {
        drop(self.jobs.lock().take());
        let ended = self.ended.lock().take();
        if let Some(ended) = ended {
            let _ = ended.await;
        }
    }

    fn jobs(&self) -> Result<mpsc::Sender<Box<dyn Job>>, StoreError> {
        self.jobs.lock().clone().ok_or_else(|| self.closed())
    }

    fn closed(&self) -> StoreError {
        StoreError::closed(&self.path)
    }
}

/// Something to be written, and somebody who waits for the answer.
trait Job: Send {
    fn durability(&self) -> Durability;
    /// Does the work inside a transaction. May be called again after a rollback.
    fn run(&mut self, ledger: &mut Ledger) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Errand<T, W> {
    durability: Durability,
    work: W,
    done: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, W> Errand<T, W>
where
    T: Send + 'static,
    W: FnMut(&mut Ledger) -> rusqlite::Result<T> + Send + 'static,
{
    fn post(
        durability: Durability,
        work: W,
    ) -> (Box<dyn Job>, oneshot::Receiver<Result<T, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (Box::new(Self { durability, work, done: None, reply }), answer)
    }
}

impl<T, W> Job for Errand<T, W>
where
    T: Send,
    W: FnMut(&mut Ledger) -> rusqlite::Result<T> + Send,
{
    fn durability(&self) -> Durability {
        self.durability
    }

    fn run(&mut self, ledger: &mut Ledger) -> rusqlite::Result<()> {
        // Whoever asked has left before we began: it is withdrawn.
        if !self.reply.is_closed() {
            self.done = Some((self.work)(ledger)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match (committed, self.done) {
            (Ok(()), Some(done)) => Ok(done),
            (Err(error), _) => Err(error),
            (Ok(()), None) => return,
        };
        let _ = self.reply.send(answer);
    }
}

/// The thread's own side.
struct Writing {
    path: PathBuf,
    ledger: Ledger,
    waiting: mpsc::Receiver<Box<dyn Job>>,
    checkpointer: Checkpointer,
}

impl Writing {
    fn run(mut self) {
        while let Some(first) = self.waiting.blocking_recv() {
            let (mut relaxed, mut synced) = (Vec::new(), Vec::new());
            let rest = std::iter::from_fn(|| self.waiting.try_recv().ok());
            for job in std::iter::once(first).chain(rest).take(GROUP_MAX) {
                match job.durability() {
                    Durability::Relaxed => relaxed.push(job),
                    Durability::Synced => synced.push(job),
                }
            }
            self.commit_group(Durability::Relaxed, relaxed);
            self.commit_group(Durability::Synced, synced);
            self.checkpointer.wrote(&self.ledger);
        }
    }

    fn commit_group(&mut self, durability: Durability, mut group: Vec<Box<dyn Job>>) {
        let committed = self.commit(durability, &mut group);
        if committed.is_err() && group.len() > 1 {
            // One of them may be too large for the disk: it must not take the others with it.
            for job in group {
                self.commit_group(durability, vec![job]);
            }
            return;
        }
        let committed = committed.map_err(|error| {
            let error = fault(&self.path, error);
            tracing::error!(error = %error, source = ?std::error::Error::source(&error), "a change could not be written");
            error
        });
        for job in group {
            job.answer(committed.clone());
        }
    }

    fn commit(
        &mut self,
        durability: Durability,
        group: &mut [Box<dyn Job>],
    ) -> rusqlite::Result<()> {
        if group.is_empty() {
            return Ok(());
        }
        self.ledger.begin(durability)?;
        let done = group.iter_mut().try_for_each(|job| job.run(&mut self.ledger));
        let committed = done.and_then(|()| self.ledger.commit());
        if committed.is_err() {
            self.ledger.roll_back();
        }
        committed
    }
}

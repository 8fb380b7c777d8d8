//! The threads: each takes its own contiguous share of an operation, then helps the others.

use std::{
    cell::UnsafeCell,
    hint,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use crate::{memory::MemoryError, scratch::Scratch};

/// How often a thread looks for work before it sleeps: about 100 µs, longer than the gaps between
/// the operations of a step, shorter than what a person would call a busy idle process.
const SPINS_BEFORE_SLEEP: u32 = 3_000;
/// How often the caller looks for the end before it lets other programs run.
const SPINS_BEFORE_YIELD: u32 = 20_000;

/// Threads could not be started.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// A pool has at least the thread that calls it.
    #[error("a pool needs at least one thread")]
    Empty,
    /// The system refused a thread.
    #[error("thread {index} of the pool could not be started")]
    Thread {
        /// Which of them.
        index: usize,
        /// Why.
        source: std::io::Error,
    },
    /// No memory for what a thread works with.
    #[error("no memory for the threads' working space")]
    Scratch(#[from] MemoryError),
}

type Job<'a> = dyn Fn(&mut Worker<'_>) + Sync + 'a;

/// A fixed set of threads, of which the caller is one.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Common>,
    helpers: Vec<JoinHandle<()>>,
    /// One operation at a time; also owns the caller's working space.
    caller: Mutex<Scratch>,
}

/// The units of one thread that nobody has taken yet: `next..end`. On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Share {
    next: AtomicUsize,
    end: AtomicUsize,
    asleep: AtomicBool,
}

#[derive(Debug)]
struct Common {
    shares: Box<[Share]>,
    /// Counts operations. A helper that sees it change has a job.
    turn: AtomicU32,
    /// Helpers that are still at the current job.
    busy: AtomicUsize,
    job: JobCell,
    panicked: AtomicBool,
    closed: AtomicBool,
}

#[derive(Debug)]
struct JobCell(UnsafeCell<Option<*const Job<'static>>>);

// SAFETY: written by the caller before it counts `turn` up (release), read by helpers after they
// have seen that (acquire); the caller does not return before `busy` is back at zero.
unsafe impl Send for JobCell {}
// SAFETY: as above.
unsafe impl Sync for JobCell {}

/// One thread's hold on the current operation.
pub(crate) struct Worker<'a> {
    shares: &'a [Share],
    /// This thread's number, the caller's being 0.
    index: usize,
    /// Whose share is being worked on, counted from its own.
    ahead: usize,
    pub(crate) scratch: &'a mut Scratch,
}

impl Worker<'_> {
    /// The next unit of work, until all are taken. Its own share comes first and in order, so that
    /// what it prefetched ahead is its own.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<usize> {
        let count = self.shares.len();
        while self.ahead < count {
            let share = &self.shares[(self.index + self.ahead) % count];
            let unit = share.next.fetch_add(1, Ordering::Relaxed);
            if unit < share.end.load(Ordering::Relaxed) {
                return Some(unit);
            }
            self.ahead += 1;
        }
        None
    }
}

impl Pool {
    pub(crate) fn new(threads: usize) -> Result<Self, PoolError> {
        if threads == 0 {
            return Err(PoolError::Empty);
        }
        let shared = Arc::new(Common {
            shares: (0..threads).map(|_| Share::default()).collect(),
            turn: AtomicU32::new(0),
            busy: AtomicUsize::new(0),
            job: JobCell(UnsafeCell::new(None)),
            panicked: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        // Fewer threads than processors share them with other pools, which would choose the same ones.
        let is_pinned = affinity::processors().is_some_and(|processors| processors == threads);
        // If a thread is refused, dropping the pool ends those that were started.
        let mut pool = Self { shared, helpers: Vec::new(), caller: Mutex::new(Scratch::new()?) };
        for index in 1..threads {
            let mut scratch = Scratch::new()?;
            let common = pool.shared.clone();
            let body = move || {
                if is_pinned {
                    affinity::pin(index);
                }
                common.help(index, &mut scratch);
            };
            let name = format!("kernels-{index}");
            let helper = thread::Builder::new().name(name).spawn(body);
            pool.helpers.push(helper.map_err(|source| PoolError::Thread { index, source })?);
        }
        Ok(pool)
    }

    pub(crate) fn threads(&self) -> usize {
        self.shared.shares.len()
    }

    /// Calls `job` once on every thread; together they take each of the `units` once. Returns when
    /// all are done.
    pub(crate) fn run(&self, units: usize, job: impl Fn(&mut Worker<'_>) + Sync) {
        let mut scratch = self.caller.lock().unwrap_or_else(PoisonError::into_inner);
        let common = &*self.shared;
        // Fewer units than threads would only wake threads for nothing.
        let threads = if units <= 1 { 1 } else { common.shares.len() };
        for (index, share) in common.shares.iter().enumerate() {
            let bound = |index: usize| units * index.min(threads) / threads;
            share.next.store(bound(index), Ordering::Relaxed);
            share.end.store(bound(index + 1), Ordering::Relaxed);
        }
        if threads > 1 {
            let job: *const Job<'_> = &job;
            // SAFETY: only the lifetime changes; `run` outlives every use, since it waits for `busy`.
            let job = unsafe { std::mem::transmute::<*const Job<'_>, *const Job<'static>>(job) };
            // SAFETY: no helper reads the cell while `busy` is zero.
            unsafe { *common.job.0.get() = Some(job) };
            common.busy.store(threads - 1, Ordering::Relaxed);
            common.turn.fetch_add(1, Ordering::SeqCst);
            self.wake();
        }
        let mine = Worker { shares: &common.shares, index: 0, ahead: 0, scratch: &mut scratch };
        let outcome = run_caught(&job, mine);
        common.wait();
        let helper_panicked = common.panicked.swap(false, Ordering::Relaxed);
        if let Err(cause) = outcome {
            panic::resume_unwind(cause);
        }
        assert!(!helper_panicked, "a thread of the pool has panicked");
    }

    fn wake(&self) {
        for (share, helper) in self.shared.shares.iter().skip(1).zip(&self.helpers) {
            if share.asleep.swap(false, Ordering::SeqCst) {
                helper.thread().unpark();
            }
        }
    }
}

/// A panic must not leave the others waiting, nor end the borrow of the job early.
fn run_caught(job: &Job<'_>, mut worker: Worker<'_>) -> thread::Result<()> {
    panic::catch_unwind(AssertUnwindSafe(|| job(&mut worker)))
}

impl Common {
    fn help(&self, index: usize, scratch: &mut Scratch) {
        let mut seen = 0;
        while let Some(turn) = self.next_turn(index, seen) {
            seen = turn;
            // SAFETY: `turn` has changed, so the caller has set a job and waits for us.
            let Some(job) = (unsafe { *self.job.0.get() }) else { continue };
            let worker = Worker { shares: &self.shares, index, ahead: 0, scratch };
            // SAFETY: the caller keeps the job alive until `busy` is zero.
            if run_caught(unsafe { &*job }, worker).is_err() {
                self.panicked.store(true, Ordering::Relaxed);
            }
            self.busy.fetch_sub(1, Ordering::Release);
        }
    }

    /// Waits for a turn after `seen`: a short while awake, then asleep. `None` is the end.
    fn next_turn(&self, index: usize, seen: u32) -> Option<u32> {
        let mut spins = 0;
        loop {
            let turn = self.turn.load(Ordering::SeqCst);
            if self.closed.load(Ordering::Relaxed) {
                return None;
            }
            if turn != seen {
                return Some(turn);
            }
            spins += 1;
            if spins < SPINS_BEFORE_SLEEP {
                hint::spin_loop();
                continue;
            }
            // The caller counts `turn` up and then looks at `asleep`, we do it the other way round:
            // one of us sees the other.
            let asleep = &self.shares[index].asleep;
            asleep.store(true, Ordering::SeqCst);
            if self.turn.load(Ordering::SeqCst) == seen && !self.closed.load(Ordering::SeqCst) {
                thread::park();
            }
            asleep.store(false, Ordering::SeqCst);
        }
    }

    fn wait(&self) {
        let mut spins = 0;
        while self.busy.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < SPINS_BEFORE_YIELD {
                hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // A helper catches the panics of its jobs, so there is nothing to hear of here.
            let _ = helper.join();
        }
    }
}

/// Pins the calling thread as the first of a pool.
pub(crate) fn pin_caller() {
    affinity::pin(0);
}

/// Keeps a thread on one of the processors that this process may use.
mod affinity {
    /// How many processors this process may use, where the system tells.
    pub(super) fn processors() -> Option<usize> {
        Some(set::allowed()?.len())
    }

    /// Pins the calling thread to the `index`-th processor of its set. Best effort: a system that
    /// refuses loses some speed.
    pub(super) fn pin(index: usize) {
        if let Some(&processor) = set::allowed().unwrap_or_default().get(index) {
            set::choose(processor);
        }
    }

    #[cfg(target_os = "linux")]
    mod set {
        /// The processors of the calling thread's set.
        pub(super) fn allowed() -> Option<Vec<usize>> {
            let capacity = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
            // SAFETY: a processor set is an array of bits, for which all zero is a value; the call gets
            // its real size and touches only it, and so does the macro below the capacity.
            unsafe {
                let mut allowed: libc::cpu_set_t = std::mem::zeroed();
                let bytes = size_of::<libc::cpu_set_t>();
                let failed = libc::sched_getaffinity(0, bytes, &raw mut allowed) != 0;
                let mine = (0..capacity).filter(|&cpu| libc::CPU_ISSET(cpu, &allowed));
                (!failed).then(|| mine.collect())
            }
        }

        /// Makes `processor` all of the calling thread's set.
        pub(super) fn choose(processor: usize) {
            // SAFETY: as in `allowed`, which gave the processor.
            unsafe {
                let mut one: libc::cpu_set_t = std::mem::zeroed();
                libc::CPU_SET(processor, &mut one);
                libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const one);
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    mod set {
        pub(super) fn allowed() -> Option<Vec<usize>> {
            None
        }

        pub(super) fn choose(_processor: usize) {}
    }
}

//! What is ready for Python, and who sleeps until something is.
//!
//! One inbox serves the threads of the synchronous handlers, another the event loop of the
//! asynchronous ones. Its length is bounded by the worker's capacity: a call holds its place from
//! arrival to end, and each call is in here once.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    sync::Arc,
};

use parking_lot::{Condvar, Mutex};

use crate::{batches::Grouping, call::Call, socket::Socket};

/// Names a call inside this process.
pub(crate) type CallKey = u64;

/// Calls whose code can start.
pub(crate) enum Work {
    /// For a route that takes them one by one.
    One(Call),
    /// For a route that takes them together.
    Batch(Vec<Call>),
    /// For a WebSocket route.
    Socket(Socket),
}

/// What stands in line for a route.
enum Waiting {
    Work(Work),
    /// A batch whose time has come; it is closed when Python takes it.
    Offer(Arc<Grouping>),
}

/// Something for Python to do.
pub(crate) enum Event {
    /// Start the code of this route.
    Begin { route: usize, work: Work },
    /// The stream of this call has room again, or has lost its reader.
    Resume(CallKey),
    /// The client of this call left.
    Left(CallKey),
}

struct State {
    ready: VecDeque<(usize, Waiting)>,
    lanes: Vec<Lane>,
    left: VecDeque<CallKey>,
    /// Threads that wait for the bell.
    asleep: usize,
    /// The bell of an event loop was rung and not yet stilled.
    rung: bool,
    closed: bool,
}

/// One consumer. A stream goes on in the lane in which it began, because code may keep things that
/// belong to a thread.
#[derive(Clone, Default)]
struct Lane {
    resumed: VecDeque<CallKey>,
    /// The last event was a stream that goes on; a waiting call is next.
    resumed_last: bool,
}

/// How a sleeping consumer is woken.
enum Bell {
    Threads(Condvar),
    Loop { ring: UnixStream, heard: UnixStream },
}

/// A queue between the HTTP side and Python.
pub(crate) struct Inbox {
    state: Mutex<State>,
    bell: Bell,
}

impl Inbox {
    /// An inbox for `lanes` threads.
    pub(crate) fn for_threads(lanes: usize) -> Self {
        Self::new(lanes, Bell::Threads(Condvar::new()))
    }

    /// An inbox for one event loop, which watches [`Self::descriptor`].
    ///
    /// # Errors
    /// If the system has no descriptors left.
    pub(crate) fn for_loop() -> io::Result<Self> {
        let (ring, heard) = UnixStream::pair()?;
        ring.set_nonblocking(true)?;
        heard.set_nonblocking(true)?;
        Ok(Self::new(1, Bell::Loop { ring, heard }))
    }

    fn new(lanes: usize, bell: Bell) -> Self {
        let state = State {
            ready: VecDeque::new(),
            lanes: vec![Lane::default(); lanes],
            left: VecDeque::new(),
            asleep: 0,
            rung: false,
            closed: false,
        };
        Self { state: Mutex::new(state), bell }
    }

    /// Readable while an event loop should look in here.
    pub(crate) fn descriptor(&self) -> Option<i32> {
        match &self.bell {
            Bell::Threads(_) => None,
            Bell::Loop { heard, .. } => Some(heard.as_raw_fd()),
        }
    }

    /// Whether threads are served, not an event loop.
    pub(crate) const fn serves_threads(&self) -> bool {
        matches!(self.bell, Bell::Threads(_))
    }

    /// Hands calls over to Python.
    pub(crate) fn push(&self, route: usize, work: Work) {
        self.line_up(route, Waiting::Work(work));
    }

    /// Offers Python a batch that may still grow until it is taken.
    pub(crate) fn offer(&self, route: usize, batch: Arc<Grouping>) {
        self.line_up(route, Waiting::Offer(batch));
    }

    fn line_up(&self, route: usize, waiting: Waiting) {
        let mut state = self.state.lock();
        state.ready.push_back((route, waiting));
        self.wake_one(&mut state);
    }

    /// Takes a call out whose client left before its code could start.
    pub(crate) fn withdraw(&self, key: CallKey) {
        let is_it = |waiting: &Waiting| matches!(waiting, Waiting::Work(Work::One(call)) if call.key() == key);
        self.state.lock().ready.retain(|(_, waiting)| !is_it(waiting));
    }

    /// Says that the stream of a call can go on in its lane.
    pub(crate) fn resume(&self, lane: usize, key: CallKey) {
        let mut state = self.state.lock();
        if let Some(lane) = state.lanes.get_mut(lane) {
            lane.resumed.push_back(key);
            self.wake_all(&mut state);
        }
    }

    /// Says that the client of a call left. Threads are not told: they cannot be stopped, and look
    /// for themselves where they can stop.
    pub(crate) fn left(&self, key: CallKey) {
        if matches!(self.bell, Bell::Loop { .. }) {
            let mut state = self.state.lock();
            state.left.push_back(key);
            self.wake_all(&mut state);
        }
    }

    /// Whether a generator in this lane should let others go first.
    pub(crate) fn others_wait(&self, lane: usize) -> bool {
        let state = self.state.lock();
        let others_stream = || state.lanes.get(lane).is_some_and(|lane| !lane.resumed.is_empty());
        !state.ready.is_empty() || others_stream()
    }

    /// What comes next in this lane, if anything is there. If not, the bell of an event loop is
    /// set to ring when something comes.
    pub(crate) fn try_next(&self, lane: usize) -> Option<Event> {
        let mut state = self.state.lock();
        let event = state.pop(lane);
        if event.is_none() {
            self.still_bell(&mut state);
        }
        event
    }

    /// What comes next in this lane; `None` once the inbox is closed and empty.
    pub(crate) fn wait_next(&self, lane: usize) -> Option<Event> {
        let mut state = self.state.lock();
        loop {
            if let Some(event) = state.pop(lane) {
                return Some(event);
            }
            match &self.bell {
                Bell::Threads(bell) if !state.closed => {
                    state.asleep += 1;
                    bell.wait(&mut state);
                    state.asleep -= 1;
                }
                _ => return None,
            }
        }
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        self.wake_all(&mut state);
    }

    /// Whether nothing more will come.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    fn wake_one(&self, state: &mut State) {
        match &self.bell {
            Bell::Threads(bell) if state.asleep > 0 => {
                bell.notify_one();
            }
            Bell::Threads(_) => {}
            Bell::Loop { .. } => self.wake_all(state),
        }
    }

    fn wake_all(&self, state: &mut State) {
        match &self.bell {
            Bell::Threads(bell) => {
                bell.notify_all();
            }
            Bell::Loop { ring, .. } if !state.rung => {
                state.rung = true;
                // A full pipe is loud enough.
                let _ = (&*ring).write(&[1]);
            }
            Bell::Loop { .. } => {}
        }
    }

    fn still_bell(&self, state: &mut State) {
        if let Bell::Loop { heard, .. } = &self.bell
            && std::mem::take(&mut state.rung)
        {
            let _ = (&*heard).read(&mut [0; 8]);
        }
    }
}

impl State {
    /// News of clients that left first; then streams and waiting calls take turns.
    fn pop(&mut self, lane: usize) -> Option<Event> {
        if let Some(key) = self.left.pop_front() {
            return Some(Event::Left(key));
        }
        let lane = self.lanes.get_mut(lane)?;
        let may_resume = !lane.resumed_last || self.ready.is_empty();
        if may_resume && !lane.resumed.is_empty() {
            lane.resumed_last = true;
            return lane.resumed.pop_front().map(Event::Resume);
        }
        lane.resumed_last = false;
        loop {
            let (route, waiting) = self.ready.pop_front()?;
            let work = match waiting {
                Waiting::Work(work) => Some(work),
                Waiting::Offer(grouping) => grouping.take_due().map(Work::Batch),
            };
            if let Some(work) = work {
                return Some(Event::Begin { route, work });
            }
        }
    }
}

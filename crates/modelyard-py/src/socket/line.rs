//! What the HTTP side and Python share of one WebSocket: messages that wait in both directions,
//! and how it ends.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, atomic::AtomicBool},
};

use http::{HeaderMap, StatusCode};
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;
use worker::{Acceptance, Message, Parting};

use super::news::News;
use crate::{
    inbox::{CallKey, Inbox},
    stream::Sent,
};

/// Bytes that wait in one direction before the other side waits: a few network buffers. One message
/// may be longer; then it waits alone.
const BYTES_WAITING_MAX: usize = 64 * 1024;

/// Messages that wait in one direction; empty ones take room too.
const MESSAGES_WAITING_MAX: usize = 256;

/// Code of a connection that broke (RFC 6455, section 7.4.1).
pub(crate) const BROKEN: u16 = 1006;

/// What Python has said, for the HTTP side.
pub(crate) enum Said {
    Message(Message),
    Close {
        code: u16,
        reason: String,
    },
    /// The code has ended; with that error, if it raised one.
    End(Option<String>),
}

/// What Python does with a client that wants a socket.
pub(crate) enum Decision {
    Accept(Acceptance),
    Refuse { status: StatusCode, headers: HeaderMap, body: Vec<u8> },
}

/// What [`Line::take`] finds.
pub(crate) enum Arrived {
    Message(Message),
    /// Nothing yet; Python is told when there is.
    Nothing,
    /// Nothing more will come.
    Over(Parting),
}

struct Queue<T> {
    waiting: VecDeque<T>,
    bytes: usize,
}

// Derived, it would ask the same of what waits.
impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Queue<T> {
    fn is_full(&self) -> bool {
        self.bytes >= BYTES_WAITING_MAX || self.waiting.len() >= MESSAGES_WAITING_MAX
    }
}

#[derive(Default)]
struct State {
    arrived: Queue<Message>,
    said: Queue<Said>,
    decision: Option<Decision>,
    /// Python looked for a message and found none.
    python_listens: bool,
    /// Python said more than there is room for.
    parked: bool,
    /// The HTTP side found no room for a message.
    held_up: bool,
    /// Nothing more will arrive.
    over: Option<Parting>,
    /// Nothing can be sent any more.
    gone: bool,
    /// The code has ended.
    ended: bool,
}

/// One socket between the HTTP side and Python.
pub(crate) struct Line {
    pub(crate) key: CallKey,
    inbox: Arc<Inbox>,
    news: Arc<News>,
    state: Mutex<State>,
    /// For threads that wait for room.
    room: Condvar,
    /// In the list of [`News`].
    pub(super) listed: AtomicBool,
    /// Python has said or decided something.
    pub(super) said: Notify,
    /// Python has made room for a message.
    pub(super) made_room: Notify,
}

fn length(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) => bytes.len(),
    }
}

impl Line {
    pub(crate) fn new(key: CallKey, inbox: Arc<Inbox>, news: Arc<News>) -> Arc<Self> {
        Arc::new(Self {
            key,
            inbox,
            news,
            state: Mutex::default(),
            room: Condvar::new(),
            listed: AtomicBool::new(false),
            said: Notify::new(),
            made_room: Notify::new(),
        })
    }

    // --- Python's side ---

    /// The next message.
    pub(crate) fn take(self: &Arc<Self>) -> Arrived {
        let mut state = self.state.lock();
        let Some(message) = state.arrived.waiting.pop_front() else {
            if let Some(parting) = &state.over {
                return Arrived::Over(parting.clone());
            }
            state.python_listens = true;
            return Arrived::Nothing;
        };
        state.arrived.bytes -= length(&message);
        let frees = !state.arrived.is_full() && mem::take(&mut state.held_up);
        drop(state);
        if frees {
            self.news.tell(self);
        }
        Arrived::Message(message)
    }

    /// Sends a message.
    pub(crate) fn send(self: &Arc<Self>, message: Message) -> Sent {
        let bytes = length(&message);
        self.say(Said::Message(message), bytes)
    }

    /// Sends a close frame. What is sent later is lost.
    pub(crate) fn close(self: &Arc<Self>, code: u16, reason: String) {
        self.say(Said::Close { code, reason }, 0);
    }

    fn say(self: &Arc<Self>, said: Said, bytes: usize) -> Sent {
        let mut state = self.state.lock();
        if state.gone || state.ended {
            return Sent::Gone;
        }
        state.said.waiting.push_back(said);
        state.said.bytes += bytes;
        let is_full = state.said.is_full();
        state.parked = is_full;
        drop(state);
        self.news.tell(self);
        if is_full { Sent::Parked } else { Sent::Room }
    }

    /// Waits until there is room, or nobody reads any more; for threads that may block. Whether
    /// there is somebody.
    pub(crate) fn wait_for_room(&self) -> bool {
        let mut state = self.state.lock();
        while state.parked && !state.gone {
            self.room.wait(&mut state);
        }
        !state.gone
    }

    /// Whether the client gets a socket.
    pub(crate) fn decide(self: &Arc<Self>, decision: Decision) -> bool {
        let mut state = self.state.lock();
        if state.gone {
            return false;
        }
        state.decision = Some(decision);
        drop(state);
        self.news.tell(self);
        true
    }

    /// The code has ended.
    pub(crate) fn end(self: &Arc<Self>, error: Option<String>) {
        let mut state = self.state.lock();
        if mem::replace(&mut state.ended, true) {
            return;
        }
        state.said.waiting.push_back(Said::End(error));
        drop(state);
        self.news.tell(self);
    }

    pub(crate) fn parting(&self) -> Option<Parting> {
        self.state.lock().over.clone()
    }

    pub(crate) fn is_parked(&self) -> bool {
        let state = self.state.lock();
        state.parked && !state.gone
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.state.lock().gone
    }

    // --- the HTTP side ---

    /// Leaves a message for Python.
    pub(crate) fn deliver(&self, message: Message) {
        let mut state = self.state.lock();
        if state.over.is_some() {
            return;
        }
        state.arrived.bytes += length(&message);
        state.arrived.waiting.push_back(message);
        if mem::take(&mut state.python_listens) {
            drop(state);
            self.inbox.resume(0, self.key);
        }
    }

    /// Whether there is room for another message; if not, it stirs when there is.
    pub(crate) fn has_room(&self) -> bool {
        let mut state = self.state.lock();
        state.held_up = state.arrived.is_full();
        !state.held_up
    }

    /// Whether nothing more arrives although the peer is there.
    pub(crate) fn winds_down(&self) -> bool {
        let state = self.state.lock();
        state.over.is_some() && !state.gone
    }

    pub(crate) fn take_decision(&self) -> Option<Decision> {
        self.state.lock().decision.take()
    }

    /// All that Python has said.
    pub(crate) fn take_said(&self) -> VecDeque<Said> {
        let mut state = self.state.lock();
        state.said.bytes = 0;
        mem::take(&mut state.said.waiting)
    }

    /// What was said has been sent: there is room again.
    pub(crate) fn make_room(&self) {
        let mut state = self.state.lock();
        if !state.said.is_full() && mem::take(&mut state.parked) {
            drop(state);
            self.room.notify_all();
            self.inbox.resume(0, self.key);
        }
    }

    /// Nothing more will arrive, and nothing can be sent. `stop`: the code has no more to do.
    pub(crate) fn part(&self, parting: Parting, stop: bool) {
        let mut state = self.state.lock();
        state.over.get_or_insert(parting);
        state.gone = true;
        let waits = mem::take(&mut state.python_listens) | mem::take(&mut state.parked);
        let ended = state.ended;
        drop(state);
        self.room.notify_all();
        if waits && !ended {
            self.inbox.resume(0, self.key);
        }
        if stop && !ended {
            self.inbox.left(self.key);
        }
    }

    /// Nothing more will arrive, and what waits is forgotten; what is under way may be sent.
    pub(crate) fn wind_down(&self, parting: Parting) {
        let mut state = self.state.lock();
        state.over.get_or_insert(parting);
        state.arrived = Queue::default();
        if mem::take(&mut state.python_listens) {
            drop(state);
            self.inbox.resume(0, self.key);
        }
    }
}

//! One thread of load: it owns its connections, and one poll wakes it for all of them.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

use mio::{Events, Poll, Token, event::Event};

use super::{
    Times,
    alarm::Alarm,
    line::{Line, Sent},
    pace::Pace,
    tally::Tally,
    target::Target,
};
use crate::framing::Answer;

/// Lines have the numbers below.
const ALARM: Token = Token(usize::MAX);

/// Longest sleep, so that the end is noticed.
const NAP_MAX: Duration = Duration::from_millis(50);

/// The thread's state.
pub(super) struct Driver<'a> {
    target: &'a Target,
    times: Times,
    pace: Pace,
    poll: Poll,
    alarm: Alarm,
    /// `None` where a connection was lost and could not be made again.
    lines: Vec<Option<Line>>,
    /// Lines without a request, in the order in which they became free.
    idle: VecDeque<usize>,
    tally: Tally,
}

impl<'a> Driver<'a> {
    /// Connects.
    pub(super) fn new(
        target: &'a Target,
        lines: usize,
        pace: Pace,
        times: Times,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let alarm = Alarm::new(poll.registry(), ALARM)?;
        let open = |index| Line::open(target.address, poll.registry(), Token(index)).map(Some);
        let lines: Vec<_> = (0..lines).map(open).collect::<io::Result<_>>()?;
        let idle = (0..lines.len()).collect();
        Ok(Self { target, times, pace, poll, alarm, lines, idle, tally: Tally::new() })
    }

    /// Runs to the end.
    pub(super) fn run(mut self) -> io::Result<Tally> {
        let mut events = Events::with_capacity(256);
        loop {
            let now = Instant::now();
            self.send_what_is_due(now);
            if self.is_over(now) {
                return Ok(self.finish());
            }
            self.wait(&mut events, now)?;
            for event in events.iter().filter(|event| event.token() != ALARM) {
                self.attend(event);
            }
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        let alive = self.lines.iter().flatten().count();
        let all_idle = self.idle.len() == alive;
        alive == 0 || now >= self.times.give_up || (all_idle && self.pace.is_over(now))
    }

    fn finish(mut self) -> Tally {
        let busy = self.lines.iter().flatten().filter(|line| line.sent.is_some()).count();
        self.tally.unanswered = u64::try_from(busy).unwrap_or(u64::MAX);
        self.tally.unsent = self.pace.left();
        self.tally
    }

    fn wait(&mut self, events: &mut Events, now: Instant) -> io::Result<()> {
        let mut nap = NAP_MAX;
        if let Some(next) = self.pace.next().filter(|_| !self.idle.is_empty()) {
            let wait = next.saturating_duration_since(now);
            self.alarm.set(wait)?;
            nap = nap.min(wait);
        }
        match self.poll.poll(events, Some(nap)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn send_what_is_due(&mut self, now: Instant) {
        // Counted before, because a line that breaks at once is idle again.
        for _ in 0..self.idle.len() {
            let Some(due) = self.pace.take(now) else { return };
            let Some(index) = self.idle.pop_front() else { return };
            let Some(line) = &mut self.lines[index] else { continue };
            if line.send(&self.target.request, Sent { due, at: now }).is_err() {
                self.break_off(index);
            }
        }
    }

    /// Something happened on a line.
    fn attend(&mut self, event: &Event) {
        let Token(index) = event.token();
        let Some(line) = self.lines.get_mut(index).and_then(Option::as_mut) else { return };
        let Some(sent) = line.sent else {
            if event.is_read_closed() {
                self.reopen_idle(index);
            }
            return;
        };
        let progress = line.write_on(&self.target.request).and_then(|()| line.read_on());
        match progress {
            Ok(None) => {}
            Ok(Some(answer)) => self.answered(index, sent, answer, event.is_read_closed()),
            Err(_) => self.break_off(index),
        }
    }

    fn answered(&mut self, index: usize, sent: Sent, answer: Answer, is_closed: bool) {
        let now = Instant::now();
        if sent.due >= self.times.counts_from {
            self.tally.answered(sent, answer, now);
        }
        if is_closed || !answer.keeps_open {
            self.tally.reopened += 1;
            self.reopen(index);
        } else if let Some(line) = &mut self.lines[index] {
            line.sent = None;
        }
        if self.lines[index].is_some() {
            self.idle.push_back(index);
        }
        self.send_what_is_due(now);
    }

    /// The server closed a line that waited for work, as servers may.
    fn reopen_idle(&mut self, index: usize) {
        self.tally.reopened += 1;
        self.reopen(index);
        if self.lines[index].is_none() {
            self.idle.retain(|idle| *idle != index);
        }
    }

    /// A request broke off.
    fn break_off(&mut self, index: usize) {
        self.tally.errors += 1;
        self.reopen(index);
        if self.lines[index].is_some() {
            self.idle.push_back(index);
        }
    }

    fn reopen(&mut self, index: usize) {
        self.lines[index] =
            Line::open(self.target.address, self.poll.registry(), Token(index)).ok();
        if self.lines[index].is_none() {
            self.tally.errors += 1;
        }
    }
}

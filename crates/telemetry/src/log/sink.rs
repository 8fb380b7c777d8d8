//! One output: a bounded buffer, and a thread that writes it out.

use std::{
    io::{self, Write},
    mem,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::metrics::Count;

/// A line is at most this late.
const DELAY_MAX: Duration = Duration::from_millis(50);
/// So much is written without waiting for more: large enough that the system call costs little.
const FLUSH_BYTES: usize = 64 * 1024;
/// So much may wait for a stalled output: a few seconds of a busy server.
const PENDING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A buffer that grew beyond this is given back after a burst.
const KEEP_BYTES_MAX: usize = 512 * 1024;
/// How long the end of the program waits for an output.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(1);

/// A bounded buffer in front of an output.
#[derive(Debug)]
pub(super) struct Sink {
    pending: Mutex<Pending>,
    /// The thread waits here for lines, for more lines, and for the end.
    wake: Condvar,
    /// [`Sink::close`] waits here for the thread.
    done: Condvar,
    dropped: Count,
}

#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    /// A line of it should not wait.
    urgent: bool,
    /// Lines that found no place since the last write.
    missing: u64,
    closing: bool,
    closed: bool,
}

impl Sink {
    /// Starts the thread that writes to `output`.
    ///
    /// - `dropped`: counts lines that found no place or could not be written.
    /// - `notice`: the line that tells a reader how many lines are missing.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        name: &str,
        output: impl Write + Send + 'static,
        dropped: Count,
        notice: fn(u64) -> String,
    ) -> io::Result<Arc<Self>> {
        let sink = Arc::new(Self {
            pending: Mutex::default(),
            wake: Condvar::new(),
            done: Condvar::new(),
            dropped,
        });
        let writer = Arc::clone(&sink);
        thread::Builder::new().name(name.into()).spawn(move || writer.run(output, notice))?;
        Ok(sink)
    }

    /// Takes a line; never waits for the output.
    fn append(&self, line: &[u8], urgent: bool) {
        let mut pending = self.pending.lock();
        if pending.closing || pending.bytes.len() + line.len() > PENDING_BYTES_MAX {
            pending.missing += 1;
            drop(pending);
            self.dropped.inc();
            return;
        }
        let before = pending.bytes.len();
        pending.bytes.extend_from_slice(line);
        let large = before < FLUSH_BYTES && pending.bytes.len() >= FLUSH_BYTES;
        let wake = before == 0 || large || (urgent && !pending.urgent);
        pending.urgent |= urgent;
        drop(pending);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Writes out what is left and ends the thread, unless the output stalls.
    fn close(&self) {
        let deadline = Instant::now() + CLOSE_WAIT_MAX;
        let mut pending = self.pending.lock();
        pending.closing = true;
        self.wake.notify_one();
        while !pending.closed && !self.done.wait_until(&mut pending, deadline).timed_out() {}
    }

    fn run(&self, mut output: impl Write, notice: fn(u64) -> String) {
        let mut bytes = Vec::new();
        loop {
            let (missing, closing) = self.next(&mut bytes);
            if missing > 0 {
                bytes.extend_from_slice(notice(missing).as_bytes());
            }
            if output.write_all(&bytes).and_then(|()| output.flush()).is_err() {
                // There is nobody to tell but the counter.
                self.dropped.add(bytes.iter().filter(|byte| **byte == b'\n').count() as u64);
            }
            bytes.clear();
            bytes.shrink_to(KEEP_BYTES_MAX);
            if closing {
                break;
            }
        }
        self.pending.lock().closed = true;
        self.done.notify_all();
    }

    /// Waits until something should be written and moves it to `bytes`, which is empty.
    /// Returns how many lines are missing from it, and whether it is the last.
    fn next(&self, bytes: &mut Vec<u8>) -> (u64, bool) {
        let mut pending = self.pending.lock();
        while pending.bytes.is_empty() && !pending.closing {
            self.wake.wait(&mut pending);
        }
        let deadline = Instant::now() + DELAY_MAX;
        while pending.bytes.len() < FLUSH_BYTES && !pending.urgent && !pending.closing {
            if self.wake.wait_until(&mut pending, deadline).timed_out() {
                break;
            }
        }
        mem::swap(&mut pending.bytes, bytes);
        pending.urgent = false;
        (mem::take(&mut pending.missing), pending.closing)
    }
}

/// All outputs; each line goes to every one.
#[derive(Debug, Clone)]
pub(super) struct Sinks(Arc<[Arc<Sink>]>);

impl Sinks {
    pub(super) fn new(sinks: Vec<Arc<Sink>>) -> Self {
        Self(sinks.into())
    }

    pub(super) fn close(&self) {
        for sink in self.0.iter() {
            sink.close();
        }
    }
}

/// What the formatter writes one line to.
pub(super) struct LineWriter<'a> {
    sinks: &'a Sinks,
    urgent: bool,
}

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        for sink in self.sinks.0.iter() {
            sink.append(line, self.urgent);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sinks {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter { sinks: self, urgent: false }
    }

    /// An error may be the last thing that we say, so it does not wait for company.
    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> LineWriter<'a> {
        LineWriter { sinks: self, urgent: *meta.level() == Level::ERROR }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// An output that hands out what it is given and waits for a word before it goes on.
    struct Slow {
        written: mpsc::Sender<Vec<u8>>,
        go_on: mpsc::Receiver<()>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.written.send(bytes.to_vec()).unwrap();
            self.go_on.recv().map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow_sink() -> (Arc<Sink>, mpsc::Receiver<Vec<u8>>, mpsc::Sender<()>) {
        let (written, outcome) = mpsc::channel();
        let (word, go_on) = mpsc::channel();
        let notice = |lines| format!("{lines} missing\n");
        let sink = Sink::start("test", Slow { written, go_on }, Count::default(), notice).unwrap();
        (sink, outcome, word)
    }

    #[test]
    fn lines_are_written_together_and_in_order() {
        let (sink, written, go_on) = slow_sink();
        sink.append(b"one\n", false);
        sink.append(b"two\n", false);
        assert_eq!(written.recv().unwrap(), b"one\ntwo\n");
        go_on.send(()).unwrap();
    }

    #[test]
    fn a_stalled_output_costs_lines_which_are_counted_and_told() {
        let (sink, written, go_on) = slow_sink();
        sink.append(b"first\n", true);
        written.recv().unwrap();

        // The output hangs. The buffer fills up, and nobody waits.
        let line = [b'x'; 1024];
        for _ in 0..PENDING_BYTES_MAX / line.len() + 3 {
            sink.append(&line, false);
        }
        assert_eq!(sink.dropped.get(), 3);

        go_on.send(()).unwrap();
        let rest = written.recv().unwrap();
        assert_eq!(rest.len(), PENDING_BYTES_MAX + b"3 missing\n".len());
        assert!(rest.ends_with(b"x3 missing\n"));
        go_on.send(()).unwrap();
    }

    #[test]
    fn closing_writes_what_is_left_and_takes_no_more() {
        let (sink, written, go_on) = slow_sink();
        sink.append(b"last\n", false);
        go_on.send(()).unwrap();
        sink.close();
        assert_eq!(written.try_recv().unwrap(), b"last\n");
        sink.append(b"too late\n", false);
        assert_eq!(sink.dropped.get(), 1);
    }

    #[test]
    fn lines_that_an_output_refuses_are_counted() {
        let (sink, written, go_on) = slow_sink();
        drop(go_on);
        sink.append(b"one\ntwo\n", false);
        written.recv().unwrap();
        sink.close();
        assert_eq!(sink.dropped.get(), 2);
    }
}

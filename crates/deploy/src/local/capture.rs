//! What a child writes, into the log, line by line.
//!
//! The child never waits for us longer than one read: its pipes are emptied whatever the log does
//! with the lines, and nothing here grows with what it writes.

use std::{
    collections::VecDeque,
    future,
    time::{Duration, Instant},
};

use tokio::{io::AsyncReadExt, net::unix::pipe, time};
use tokio_util::sync::CancellationToken;
use tracing::Level;
use types::ModelName;

use super::{
    flood::{FloodGate, Verdict},
    lines::LineSplitter,
    progress::Progress,
    record::Record,
};
use crate::LaunchId;

/// Lines kept to explain a crash: enough for a traceback with its message.
const LAST_LINES: usize = 40;

/// How long the pipes are read after the child has ended. They end by themselves unless a
/// grandchild that left the process group holds them open.
const AFTERGLOW: Duration = Duration::from_millis(300);

/// Whose output it is; part of each log record.
pub(super) struct Source {
    pub(super) model: ModelName,
    pub(super) launch: LaunchId,
    pub(super) pid: u32,
}

/// Reads both streams until they end, or shortly after `ended`; gives back the last lines.
pub(super) async fn capture(
    source: Source,
    stdout: Option<pipe::Receiver>,
    stderr: Option<pipe::Receiver>,
    ended: CancellationToken,
) -> Vec<String> {
    let mut stdout = Stream::new("stdout", stdout);
    let mut stderr = Stream::new("stderr", stderr);
    let mut notebook = Notebook::new(source);
    let last_call = async {
        ended.cancelled().await;
        time::sleep(AFTERGLOW).await;
    };
    tokio::pin!(last_call);
    while stdout.pipe.is_some() || stderr.pipe.is_some() {
        tokio::select! {
            bytes = stdout.read() => stdout.pass_on(bytes, &mut notebook),
            bytes = stderr.read() => stderr.pass_on(bytes, &mut notebook),
            () = &mut last_call => break,
        }
    }
    stdout.finish(&mut notebook);
    stderr.finish(&mut notebook);
    notebook.close()
}

/// One pipe, with the line that is not complete yet.
struct Stream {
    name: &'static str,
    pipe: Option<pipe::Receiver>,
    buffer: Box<[u8; 8192]>,
    lines: LineSplitter,
}

impl Stream {
    fn new(name: &'static str, pipe: Option<pipe::Receiver>) -> Self {
        Self { name, pipe, buffer: Box::new([0; 8192]), lines: LineSplitter::default() }
    }

    /// How many bytes stand in the buffer now; zero when the pipe has ended. Never returns once
    /// that was told.
    async fn read(&mut self) -> usize {
        match &mut self.pipe {
            Some(pipe) => pipe.read(&mut self.buffer[..]).await.unwrap_or(0),
            None => future::pending().await,
        }
    }

    fn pass_on(&mut self, bytes: usize, notebook: &mut Notebook) {
        if bytes == 0 {
            self.pipe = None;
        }
        self.lines.feed(&self.buffer[..bytes], |line| notebook.write(self.name, line));
    }

    fn finish(&mut self, notebook: &mut Notebook) {
        self.lines.finish(|line| notebook.write(self.name, line));
    }
}

/// Keeps the last lines of both streams and passes them to the log.
struct Notebook {
    source: Source,
    last: VecDeque<String>,
    gate: FloodGate,
    progress: Progress,
}

impl Notebook {
    fn new(source: Source) -> Self {
        let gate = FloodGate::new(Instant::now());
        let last = VecDeque::with_capacity(LAST_LINES);
        Self { source, last, gate, progress: Progress::default() }
    }

    fn write(&mut self, stream: &'static str, line: &str) {
        let record = Record::parse(line);
        if let Some(percent) = record.percent {
            self.show(percent, false, &record.message);
            if !self.progress.is_news(percent) {
                return;
            }
        }
        match self.gate.judge(Instant::now()) {
            Verdict::LeaveOut => {}
            Verdict::Log => self.log(stream, &record),
            Verdict::LogAfter(held) => {
                self.confess(held);
                self.log(stream, &record);
            }
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(record.message);
    }

    fn close(mut self) -> Vec<String> {
        match self.gate.take_held() {
            0 => {}
            held => self.confess(held),
        }
        if self.progress.is_open() {
            self.show(0.0, true, "");
        }
        self.last.into()
    }

    /// Tells whoever shows bars: crate `telemetry` knows this target, and makes no line of it.
    fn show(&self, percent: f64, over: bool, what: &str) {
        let Source { model, launch, .. } = &self.source;
        tracing::info!(
            target: "worker::progress", %model, launch_id = %launch, percent, over, "{what}"
        );
    }

    fn confess(&self, held: u64) {
        let Source { model, launch, pid } = &self.source;
        tracing::warn!(
            target: "worker", %model, launch_id = %launch, pid, lines = held,
            "the worker wrote faster than it is logged; lines were left out"
        );
    }

    fn log(&self, stream: &'static str, record: &Record) {
        let Source { model, launch, pid } = &self.source;
        // The level of an event is part of its static description, hence one call site for each.
        macro_rules! event {
            ($level:expr) => {
                match record.fields.as_str() {
                    "" => tracing::event!(
                        target: "worker", $level, %model, launch_id = %launch, stream, pid,
                        "{}", record.message
                    ),
                    fields => tracing::event!(
                        target: "worker", $level, %model, launch_id = %launch, stream, pid, fields,
                        "{}", record.message
                    ),
                }
            };
        }
        match record.level {
            Level::ERROR => event!(Level::ERROR),
            Level::WARN => event!(Level::WARN),
            Level::INFO => event!(Level::INFO),
            Level::DEBUG => event!(Level::DEBUG),
            Level::TRACE => event!(Level::TRACE),
        }
    }
}

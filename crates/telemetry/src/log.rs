//! The log: what is written, in which form, and where.
//!
//! A line is formatted on the thread that logs it and copied into a buffer in memory; one thread
//! per output writes the buffers out. The hot path makes no system call, and an output that stalls
//! costs lines, which are counted, but never a wait.

mod clock;
mod file;
mod levels;
mod progress;
mod sink;
mod text;

use std::{
    io::{self, Write},
    path::PathBuf,
};

use tracing::Dispatch;
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
};

use self::{
    clock::Rfc3339,
    progress::{Bars, PROGRESS_TARGET},
    sink::{Sink, Sinks},
    text::{TextEvent, TextFields},
};
use crate::metrics::Count;

pub use self::levels::{BadLevels, LogLevels};

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// `2026-11-20 20:34:47,123 | INFO | gateway::access | message key=value`, times in UTC.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// What to log, how and where. Standard output always gets every line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogSettings {
    /// Levels by module.
    pub levels: LogLevels,
    /// The form of a line.
    pub format: LogFormat,
    /// A file beside standard output: at 10 MB it is renamed `.1`, and five old ones are kept.
    pub file: Option<PathBuf>,
}

/// The log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be written.
    #[error("could not open the log file `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The system gave no thread.
    #[error("could not start a thread for the log")]
    Thread(#[source] io::Error),
    /// Another log was started before in this process.
    #[error("the log was already started")]
    Twice(#[source] tracing::dispatcher::SetGlobalDefaultError),
}

/// Keeps the log going; dropping it writes out what is left, for at most a second per output.
#[derive(Debug)]
#[must_use = "the log ends when this is dropped"]
pub struct LogGuard(Sinks);

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Makes this the log of the whole process.
///
/// - `lines_dropped`: counts what a stalled output cost.
///
/// # Errors
/// [`LogError`] if the file cannot be written, or if there is a log already.
pub fn start(settings: &LogSettings, lines_dropped: Count) -> Result<LogGuard, LogError> {
    let (dispatch, guard) = open(settings, lines_dropped)?;
    tracing::dispatcher::set_global_default(dispatch).map_err(LogError::Twice)?;
    Ok(guard)
}

/// A log that is nobody's default yet.
///
/// # Errors
/// [`LogError`] if the file cannot be written.
pub fn open(
    settings: &LogSettings,
    lines_dropped: Count,
) -> Result<(Dispatch, LogGuard), LogError> {
    let notice = settings.format.notice();
    let mut sinks = Vec::with_capacity(2);
    if let Some(path) = &settings.file {
        let file =
            file::open(path).map_err(|source| LogError::File { path: path.clone(), source })?;
        sinks.push(Sink::start("log-file", file, lines_dropped.clone(), notice));
    }
    let bars = Bars::of_terminal();
    let stdout: Box<dyn Write + Send> = match &bars {
        Some(bars) => Box::new(bars.beside(io::stdout())),
        None => Box::new(io::stdout()),
    };
    sinks.push(Sink::start("log-stdout", stdout, lines_dropped, notice));
    let sinks = Sinks::new(sinks.into_iter().collect::<io::Result<_>>().map_err(LogError::Thread)?);

    let lines = settings.levels.targets().with_target(PROGRESS_TARGET, LevelFilter::OFF);
    let lines = settings.format.layer(sinks.clone()).with_filter(lines);
    let progress = Targets::new().with_target(PROGRESS_TARGET, LevelFilter::INFO);
    let bars = bars.map(|bars| bars.with_filter(progress));
    Ok((Dispatch::new(Registry::default().with(lines).with(bars)), LogGuard(sinks)))
}

impl LogFormat {
    fn layer(self, sinks: Sinks) -> Box<dyn Layer<Registry> + Send + Sync> {
        let layer = fmt::layer().with_ansi(false).with_writer(sinks);
        match self {
            Self::Text => layer.fmt_fields(TextFields).event_format(TextEvent).boxed(),
            Self::Json => layer.json().flatten_event(true).with_timer(Rfc3339).boxed(),
        }
    }

    /// The line that tells how many lines are missing.
    fn notice(self) -> fn(u64) -> String {
        match self {
            Self::Text => |lines| {
                let mut line = String::new();
                clock::now().write_asctime(&mut line);
                line + &format!(" | WARNING | telemetry::log | {lines} log lines were dropped\n")
            },
            Self::Json => |lines| {
                let mut time = String::new();
                clock::now().write_rfc3339(&mut time);
                let line = serde_json::json!({
                    "timestamp": time, "level": "WARN", "target": "telemetry::log",
                    "message": "log lines were dropped", "lines": lines,
                });
                format!("{line}\n")
            },
        }
    }
}

//! Bars on a terminal: how far each worker has come with what takes long.
//!
//! Whoever reads what workers report (crate `deploy`) logs events of the target [`PROGRESS_TARGET`] with
//! the fields `model`, `launch_id`, `percent`, `over` and a message. They are no lines of the log.

use std::{
    collections::HashMap,
    fmt::{self, Debug, Write as _},
    io::{self, Write},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer};

/// Events that are bars on a terminal, and nothing elsewhere.
pub(super) const PROGRESS_TARGET: &str = "worker::progress";

/// As wide as the terminal leaves.
const TEMPLATE: &str = "{prefix}: {msg} {wide_bar} {percent:>3}%";

/// The bars of one terminal.
pub(super) struct Bars {
    terminal: MultiProgress,
    by_launch: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    /// Bars on standard error; `None` where that is no terminal.
    pub(super) fn of_terminal() -> Option<Self> {
        let terminal = ProgressDrawTarget::stderr();
        (!terminal.is_hidden()).then(|| Self::on(terminal))
    }

    fn on(terminal: ProgressDrawTarget) -> Self {
        let terminal = MultiProgress::with_draw_target(terminal);
        Self { terminal, by_launch: Mutex::default() }
    }

    /// An output whose lines do not tear the bars.
    pub(super) fn beside<W: Write>(&self, output: W) -> Beside<W> {
        Beside { output, terminal: self.terminal.clone() }
    }

    fn show(&self, seen: Seen) {
        let mut bars = self.by_launch.lock();
        if seen.is_over || seen.percent >= 100.0 {
            if let Some(bar) = bars.remove(&seen.launch) {
                bar.finish_and_clear();
                self.terminal.remove(&bar);
            }
            return;
        }
        let bar = bars.entry(seen.launch).or_insert_with(|| {
            let bar = self.terminal.add(ProgressBar::new(100));
            // The template is ours and right; without it there would be a plainer bar.
            if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                bar.set_style(style);
            }
            bar.set_prefix(seen.model);
            bar
        });
        bar.set_message(seen.message);
        bar.set_position(seen.percent as u64);
    }
}

impl<S: Subscriber> Layer<S> for Bars {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut seen = Seen::default();
        event.record(&mut seen);
        self.show(seen);
    }
}

/// What an event says.
#[derive(Debug, Default)]
struct Seen {
    model: String,
    launch: String,
    message: String,
    percent: f64,
    is_over: bool,
}

impl Visit for Seen {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "percent" {
            self.percent = value;
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "over" {
            self.is_over = value;
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = match field.name() {
            "model" => &mut self.model,
            "launch_id" => &mut self.launch,
            "message" => &mut self.message,
            _ => return,
        };
        // A string does not fail.
        let _ = write!(text, "{value:?}");
    }
}

/// Takes the bars away while it writes.
pub(super) struct Beside<W> {
    output: W,
    terminal: MultiProgress,
}

impl<W: Write> Write for Beside<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { output, terminal } = self;
        terminal.suspend(|| {
            let written = output.write(bytes)?;
            // Before the bars come back.
            output.flush()?;
            Ok(written)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl fmt::Debug for Bars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bars")
    }
}

#[cfg(test)]
mod tests {
    use indicatif::{InMemoryTerm, TermLike};
    use tracing_subscriber::{Registry, layer::SubscriberExt};

    use super::*;

    fn tell(launch: &'static str, percent: f64, over: bool) {
        tracing::info!(
            target: PROGRESS_TARGET, model = %"qwen", launch_id = %launch, percent, over,
            "reading packed weights"
        );
    }

    /// The terminal as an output of lines.
    struct Lines(InMemoryTerm);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            for line in str::from_utf8(bytes).unwrap().lines() {
                self.0.write_line(line)?;
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    /// Runs `work` with bars on a terminal of this size.
    fn watched(work: impl FnOnce(&InMemoryTerm, &mut dyn Write)) {
        let terminal = InMemoryTerm::new(8, 60);
        let bars = Bars::on(ProgressDrawTarget::term_like(Box::new(terminal.clone())));
        let mut output = bars.beside(Lines(terminal.clone()));
        let subscriber = Registry::default().with(bars);
        tracing::subscriber::with_default(subscriber, || work(&terminal, &mut output));
    }

    #[test]
    fn a_bar_grows_and_goes() {
        watched(|terminal, _| {
            tell("one", 40.0, false);
            let shown = terminal.contents();
            assert!(shown.starts_with("qwen: reading packed weights █"), "{shown}");
            assert!(shown.ends_with("░  40%"), "{shown}");
            tell("one", 100.0, false);
            assert_eq!(terminal.contents(), "");
        });
    }

    #[test]
    fn a_bar_of_a_worker_that_ended_goes_and_others_stay() {
        watched(|terminal, _| {
            tell("one", 40.0, false);
            tell("two", 70.0, false);
            assert_eq!(terminal.contents().lines().count(), 2);
            tell("one", 40.0, true);
            let shown = terminal.contents();
            assert!(shown.contains(" 70%") && !shown.contains(" 40%"), "{shown}");
        });
    }

    #[test]
    fn lines_stand_above_the_bars_and_stay() {
        watched(|terminal, output| {
            tell("one", 40.0, false);
            output.write_all(b"a line\n").unwrap();
            tell("one", 50.0, false);
            let shown = terminal.contents();
            let lines: Vec<&str> = shown.lines().collect();
            assert_eq!((lines[0], lines.len()), ("a line", 2), "{shown}");
            tell("one", 100.0, false);
            assert_eq!(terminal.contents(), "a line");
        });
    }
}

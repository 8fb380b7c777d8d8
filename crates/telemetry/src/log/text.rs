//! The text form: `asctime | level | name | message key=value …`, one line per event.

use std::fmt::{self, Debug, Write as _};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, format::Writer},
    registry::LookupSpan,
};

use super::clock;

/// Formats an event, then the fields of the spans around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextEvent;

impl<S> FormatEvent<S, TextFields> for TextEvent
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, TextFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        clock::now().write_asctime(&mut writer);
        writer.write_str(" | ")?;
        writer.write_str(word(*metadata.level()))?;
        writer.write_str(" | ")?;
        writer.write_str(metadata.target())?;
        writer.write_str(" |")?;
        context.format_fields(writer.by_ref(), event)?;
        for span in context.event_scope().into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<FormattedFields<TextFields>>() {
                writer.write_str(fields)?;
            }
        }
        writer.write_char('\n')
    }
}

/// The level names of the seed's log.
fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

/// Formats fields as ` message key=value`, each after a space.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextFields;

impl<'writer> FormatFields<'writer> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = Line { writer, scratch: String::new(), result: Ok(()) };
        fields.record(&mut line);
        line.result
    }
}

struct Line<'writer> {
    writer: Writer<'writer>,
    /// Values that have to be formatted before we know whether they need quotes.
    scratch: String,
    result: fmt::Result,
}

impl Line<'_> {
    fn write(&mut self, field: &Field, value: &str) {
        if self.result.is_ok() {
            self.result = self.try_write(field.name(), value);
        }
    }

    fn try_write(&mut self, name: &str, value: &str) -> fmt::Result {
        self.writer.write_char(' ')?;
        if name == "message" {
            return write_escaped(&mut self.writer, value);
        }
        self.writer.write_str(name)?;
        self.writer.write_char('=')?;
        if !needs_quotes(value) {
            return self.writer.write_str(value);
        }
        self.writer.write_char('"')?;
        for part in value.split_inclusive(['"', '\\']) {
            match part.as_bytes().last() {
                Some(b'"' | b'\\') => {
                    let (text, special) = part.split_at(part.len() - 1);
                    write_escaped(&mut self.writer, text)?;
                    self.writer.write_char('\\')?;
                    self.writer.write_str(special)?;
                }
                _ => write_escaped(&mut self.writer, part)?,
            }
        }
        self.writer.write_char('"')
    }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let _ = write!(scratch, "{value:?}");
        self.write(field, &scratch);
        self.scratch = scratch;
    }
}

fn needs_quotes(value: &str) -> bool {
    value.is_empty()
        || value.bytes().any(|byte| matches!(byte, b' ' | b'"' | b'=' | b'\\') || is_control(byte))
}

const fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

/// An event is one line whatever a client sent, so line ends and other control characters are
/// written as escapes.
fn write_escaped(writer: &mut impl fmt::Write, text: &str) -> fmt::Result {
    if !text.bytes().any(is_control) {
        return writer.write_str(text);
    }
    for char in text.chars() {
        match char {
            '\n' => writer.write_str("\\n")?,
            '\r' => writer.write_str("\\r")?,
            '\t' => writer.write_str("\\t")?,
            _ if char.is_ascii_control() => write!(writer, "\\x{:02x}", u32::from(char))?,
            _ => writer.write_char(char)?,
        }
    }
    Ok(())
}

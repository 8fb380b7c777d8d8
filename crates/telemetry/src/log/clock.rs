//! The time of a line, in UTC. Each thread keeps the text of the current second, so that most lines
//! pay for three digits only.

use std::{
    cell::Cell,
    fmt::{self, Write},
    time::{SystemTime, UNIX_EPOCH},
};

use tracing_subscriber::fmt::{format::Writer, time::FormatTime};

/// `YYYY-MM-DD` and `HH:MM:SS`, a byte between them.
type SecondText = [u8; 19];

/// One moment, ready to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    second: SecondText,
    millis: u32,
}

thread_local! {
    static CURRENT: Cell<(u64, SecondText)> = const { Cell::new((u64::MAX, [b'0'; 19])) };
}

/// The moment of the call.
pub(super) fn now() -> Stamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    at(since_epoch.as_secs(), since_epoch.subsec_millis())
}

fn at(seconds: u64, millis: u32) -> Stamp {
    let (known, text) = CURRENT.get();
    if known == seconds {
        return Stamp { second: text, millis };
    }
    let second = second_text(seconds);
    CURRENT.set((seconds, second));
    Stamp { second, millis }
}

fn second_text(seconds: u64) -> SecondText {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let mut text = *b"0000-00-00 00:00:00";
    let mut put = |at: usize, digits: usize, value: u32| {
        let mut rest = value;
        for place in (at..at + digits).rev() {
            text[place] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    };
    put(0, 4, time.year().unsigned_abs());
    put(5, 2, u8::from(time.month()).into());
    put(8, 2, time.day().into());
    put(11, 2, time.hour().into());
    put(14, 2, time.minute().into());
    put(17, 2, time.second().into());
    text
}

impl Stamp {
    /// `2026-11-20 20:34:47,123`, as Python's logging prints it.
    pub(super) fn write_asctime(&self, out: &mut impl Write) {
        // The outputs are strings, which do not fail.
        let _ = self.write(out, ' ', ',');
    }

    /// `2026-11-20T20:34:47.123Z`.
    pub(super) fn write_rfc3339(&self, out: &mut impl Write) {
        let _ = self.write(out, 'T', '.');
        let _ = out.write_char('Z');
    }

    fn write(&self, out: &mut impl Write, between: char, point: char) -> fmt::Result {
        let (date, time) = (&self.second[..10], &self.second[11..]);
        out.write_str(str::from_utf8(date).unwrap_or_default())?;
        out.write_char(between)?;
        out.write_str(str::from_utf8(time).unwrap_or_default())?;
        write!(out, "{point}{:03}", self.millis)
    }
}

/// The timer of the JSON form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rfc3339;

impl FormatTime for Rfc3339 {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        now().write_rfc3339(writer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_the_seed_and_as_json_want_it() {
        let cases = [
            (0, 7, "1970-01-01 00:00:00,007", "1970-01-01T00:00:00.007Z"),
            (1_709_164_800, 0, "2024-02-29 00:00:00,000", "2024-02-29T00:00:00.000Z"),
            (1_795_206_887, 999, "2026-11-20 20:34:47,999", "2026-11-20T20:34:47.999Z"),
        ];
        for (seconds, millis, asctime, rfc3339) in cases {
            // Twice: freshly made, then remembered.
            for _ in 0..2 {
                let (mut seed, mut json) = (String::new(), String::new());
                at(seconds, millis).write_asctime(&mut seed);
                at(seconds, millis).write_rfc3339(&mut json);
                assert_eq!((seed.as_str(), json.as_str()), (asctime, rfc3339));
            }
        }
    }
}

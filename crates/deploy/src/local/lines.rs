//! Bytes into lines, within a bound.

/// Longest line that is kept, in bytes. A longer one is cut: a program that prints a tensor
/// should not fill the log, and 16 KiB holds any traceback line.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024;

/// Splits a stream of bytes into lines. Holds at most [`LINE_BYTES_MAX`] bytes.
#[derive(Default)]
pub(super) struct LineSplitter {
    partial: Vec<u8>,
    cut: bool,
}

impl LineSplitter {
    /// Takes the next bytes and hands out each line that they complete. A carriage return ends a
    /// line too, so that a progress bar does not become one endless line; empty lines are left out.
    pub(super) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|&byte| is_end(byte)) {
            match piece.split_last() {
                Some((&last, line)) if is_end(last) => {
                    self.keep(line);
                    self.finish(&mut each);
                }
                _ => self.keep(piece),
            }
        }
    }

    /// Hands out what is left: the stream ended without a line end.
    pub(super) fn finish(&mut self, mut each: impl FnMut(&str)) {
        if self.partial.iter().any(|byte| !byte.is_ascii_whitespace()) {
            let mut line = String::from_utf8_lossy(&self.partial).trim_end().to_owned();
            if self.cut {
                line.push_str(" … (cut)");
            }
            each(&line);
        }
        self.partial.clear();
        self.cut = false;
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.partial.len();
        self.cut |= bytes.len() > room;
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_however_the_bytes_arrive() {
        assert_eq!(split(&["on", "e\ntw", "o\r\n\nthree"]), ["one", "two", "three"]);
    }

    #[test]
    fn a_progress_bar_is_many_lines() {
        assert_eq!(split(&["10%\r20%\r30%\n"]), ["10%", "20%", "30%"]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_next_one_is_not() {
        let flood = "x".repeat(3 * LINE_BYTES_MAX);
        let lines = split(&[&flood, &flood, "\nnext\n"]);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with("x … (cut)") && lines[0].len() < LINE_BYTES_MAX + 16);
        assert_eq!(lines[1], "next");
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let mut lines = Vec::new();
        LineSplitter::default().feed(b"a\xffb\n", |line| lines.push(line.to_owned()));
        assert_eq!(lines, ["a\u{fffd}b"]);
    }

    fn split(chunks: &[&str]) -> Vec<String> {
        let (mut splitter, mut lines) = (LineSplitter::default(), Vec::new());
        for chunk in chunks {
            splitter.feed(chunk.as_bytes(), |line| lines.push(line.to_owned()));
        }
        splitter.finish(|line| lines.push(line.to_owned()));
        lines
    }
}

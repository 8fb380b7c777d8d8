//! Stop strings: where an answer ends although the model would go on.

use engine::TokenId;

use crate::detokenizer::Detokenizer;

/// Looks for stop strings in a text that comes in pieces, and holds back just what may become one.
/// However the text is cut into pieces, the same part of it comes out: all before the stop string
/// that is complete first.
#[derive(Debug, Clone, Default)]
pub struct StopScanner {
    stops: Vec<String>,
    /// The end of the text so far that is the beginning of a stop string.
    held: String,
}

impl StopScanner {
    /// Empty strings stop nothing.
    pub fn new(mut stops: Vec<String>) -> Self {
        stops.retain(|stop| !stop.is_empty());
        Self { stops, held: String::new() }
    }

    /// Puts what is certain to belong to the answer at the end of `text`. `true`: a stop string is
    /// complete, and the answer ends before it; push nothing more.
    pub fn push(&mut self, piece: &str, text: &mut String) -> bool {
        if self.stops.is_empty() {
            text.push_str(piece);
            return false;
        }
        let mut seen = std::mem::take(&mut self.held);
        seen.push_str(piece);
        if let Some(start) = self.first_stop(&seen) {
            text.push_str(&seen[..start]);
            return true;
        }
        let certain = seen.len() - self.longest_beginning(&seen);
        text.push_str(&seen[..certain]);
        self.held = seen.split_off(certain);
        false
    }

    /// Nothing follows, so what was held back belongs to the answer.
    pub fn finish(&mut self, text: &mut String) {
        text.push_str(&std::mem::take(&mut self.held));
    }

    /// Where the stop string begins that ends first; of several that end there, the longest.
    fn first_stop(&self, seen: &str) -> Option<usize> {
        let found = self.stops.iter().filter_map(|stop| {
            let start = seen.find(stop.as_str())?;
            Some((start + stop.len(), start))
        });
        found.min().map(|(_, start)| start)
    }

    /// Bytes at the end of `seen` that are the beginning of a stop string.
    fn longest_beginning(&self, seen: &str) -> usize {
        let beginnings = self.stops.iter().filter_map(|stop| {
            let cuts = stop.char_indices().rev().map(|(at, _)| at);
            cuts.filter(|&cut| cut > 0).find(|&cut| seen.ends_with(&stop[..cut]))
        });
        beginnings.max().unwrap_or(0)
    }
}

/// Tells, token by token, where the text of an answer ends. For whoever has the tokens and wants
/// to make no more than needed.
#[derive(Debug, Clone)]
pub struct StopWatch {
    detokenizer: Detokenizer,
    scanner: StopScanner,
}

impl StopWatch {
    /// For one answer that is turned into text in this way and has these stop strings.
    pub fn new(detokenizer: Detokenizer, scanner: StopScanner) -> Self {
        Self { detokenizer, scanner }
    }

    /// Whether a stop string is complete with this token.
    pub fn ends(&mut self, token: TokenId) -> bool {
        let (mut piece, mut certain) = (String::new(), String::new());
        self.detokenizer.push(token, &mut piece);
        self.scanner.push(&piece, &mut certain)
    }
}

#[cfg(test)]
mod tests;

//! Reads the whole input of a batch once: where each line is, and what is wrong with any.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, hash_map::Entry},
    io::{self, BufRead, Read},
};

use api::openai::LineError;
use types::{Fault, ModelName};

use crate::line::{self, Endpoint, Issue};

/// Issues that are named one by one; a file with more is not what was meant to be sent.
const ISSUES_MAX: usize = 1000;

/// Where a line is in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) offset: u64,
    pub(crate) length: usize,
}

/// What may be in a file.
pub(crate) struct Rules<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) lines_max: u32,
    pub(crate) line_bytes_max: usize,
    /// Whether a model can be called.
    pub(crate) knows: &'a dyn Fn(&ModelName) -> Result<(), Fault>,
}

/// Gives the place of every line, or says what is wrong with all that are wrong.
///
/// # Errors
/// The outer one when the file cannot be read.
pub(crate) fn check(
    input: &mut dyn BufRead,
    rules: &Rules<'_>,
) -> io::Result<Result<Vec<Span>, Vec<LineError>>> {
    let mut checking = Checking {
        rules,
        spans: Vec::new(),
        names: HashMap::new(),
        models: HashMap::new(),
        issues: Issues::default(),
    };
    let (mut offset, mut number, mut text) = (0, 0, Vec::new());
    loop {
        text.clear();
        let read = read_line(input, &mut text, rules.line_bytes_max)?;
        if read == 0 {
            break;
        }
        number += 1;
        if checking.spans.len() >= rules.lines_max as usize && !text.trim_ascii().is_empty() {
            let lines_max = rules.lines_max;
            let message = format!("a batch has at most {lines_max} lines; send several batches");
            checking.issues.add(Some(number), Issue::new("too_many_lines", None, message));
            break;
        }
        let span = Span { offset, length: text.len() };
        checking.line(number, span, &text, read);
        offset += read;
    }
    Ok(checking.result())
}

/// Gives the place of every line of a file that was found good, whatever the rules are by now.
pub(crate) fn spans(input: &mut dyn BufRead) -> io::Result<Vec<Span>> {
    let (mut spans, mut offset, mut text) = (Vec::new(), 0, Vec::new());
    loop {
        text.clear();
        let length = input.read_until(b'\n', &mut text)?;
        if length == 0 {
            return Ok(spans);
        }
        if !text.trim_ascii().is_empty() {
            spans.push(Span { offset, length });
        }
        offset += length as u64;
    }
}

struct Checking<'a> {
    rules: &'a Rules<'a>,
    spans: Vec<Span>,
    /// The line of each name.
    names: HashMap<String, u32>,
    /// What is wrong with each model that was asked for.
    models: HashMap<ModelName, Option<String>>,
    issues: Issues,
}

impl Checking<'_> {
    fn line(&mut self, number: u32, span: Span, text: &[u8], read: u64) {
        if read > span.length as u64 {
            let bytes_max = self.rules.line_bytes_max;
            let message = format!("the line is longer than {bytes_max} bytes (server.body_mb_max)");
            return self.issues.add(Some(number), Issue::new("line_too_long", None, message));
        }
        if text.trim_ascii().is_empty() {
            return;
        }
        // Counted also if it is wrong, so that the bound on lines holds.
        self.spans.push(span);
        let checked = line::parse(text, self.rules.endpoint).and_then(|call| {
            self.check_model(&call.model)?;
            self.check_name(number, call.custom_id)
        });
        if let Err(issue) = checked {
            self.issues.add(Some(number), issue);
        }
    }

    fn check_model(&mut self, model: &ModelName) -> Result<(), Issue> {
        if !self.models.contains_key(model) {
            let wrong = (self.rules.knows)(model).err().map(|fault| fault.detail.into_owned());
            self.models.insert(model.clone(), wrong);
        }
        match self.models.get(model) {
            Some(Some(wrong)) => {
                Err(Issue::new("model_not_found", Some("body.model"), wrong.clone()))
            }
            _ => Ok(()),
        }
    }

    fn check_name(&mut self, number: u32, name: String) -> Result<(), Issue> {
        match self.names.entry(name) {
            Entry::Vacant(free) => {
                free.insert(number);
                Ok(())
            }
            Entry::Occupied(taken) => {
                let message = format!(
                    "`custom_id` {:?} is that of line {} already; each line needs its own",
                    taken.key(),
                    taken.get()
                );
                Err(Issue::new("duplicate_custom_id", Some("custom_id"), message))
            }
        }
    }

    fn result(mut self) -> Result<Vec<Span>, Vec<LineError>> {
        if self.spans.is_empty() && self.issues.named.is_empty() {
            let message = "the file has no lines; write one call a line";
            self.issues.add(None, Issue::new("empty_file", None, message));
        }
        self.issues.all().map_or(Ok(self.spans), Err)
    }
}

/// What is wrong, up to a bound, and how much more.
#[derive(Default)]
struct Issues {
    named: Vec<LineError>,
    more: usize,
}

impl Issues {
    fn add(&mut self, line: Option<u32>, issue: Issue) {
        if self.named.len() == ISSUES_MAX {
            self.more += 1;
            return;
        }
        let Issue { code, param, message } = issue;
        let param = param.map(str::to_owned);
        self.named.push(LineError { code: code.into(), line, message, param });
    }

    /// `None` if nothing is wrong.
    fn all(mut self) -> Option<Vec<LineError>> {
        if self.more > 0 {
            let message = format!("{} more lines are wrong", self.more);
            self.named.push(LineError { code: "more".into(), line: None, message, param: None });
        }
        (!self.named.is_empty()).then_some(self.named)
    }
}

/// Reads up to the end of the line, at most `bytes_max` of it into `text`, and tells how much it read.
fn read_line(input: &mut dyn BufRead, text: &mut Vec<u8>, bytes_max: usize) -> io::Result<u64> {
    let mut read = input.take(bytes_max as u64).read_until(b'\n', text)? as u64;
    while read >= bytes_max as u64 && !text.ends_with(b"\n") {
        let piece = input.fill_buf()?;
        let end = piece.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let length = end.unwrap_or(piece.len());
        input.consume(length);
        read += length as u64;
        if end.is_some() || length == 0 {
            break;
        }
    }
    Ok(read)
}

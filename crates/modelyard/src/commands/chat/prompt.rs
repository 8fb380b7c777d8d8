//! Where the person types: a line editor with history on a terminal, plain lines from a pipe.

use std::{
    env,
    io::{self, BufRead, IsTerminal},
    path::PathBuf,
};

use rustyline::{DefaultEditor, error::ReadlineError};

use super::{super::output, answer::Piece};
use crate::failure::Failure;

/// Dim, and back to normal.
const THOUGHT: (&str, &str) = ("\x1b[2m", "\x1b[0m");

/// Reads questions and shows answers.
pub(super) struct Prompt {
    editor: Option<DefaultEditor>,
    history: Option<PathBuf>,
    colours: bool,
}

impl Prompt {
    pub(super) fn open() -> Self {
        let is_person = io::stdin().is_terminal() && io::stdout().is_terminal();
        // A terminal that cannot be edited on still has lines.
        let mut editor = is_person.then(DefaultEditor::new).and_then(Result::ok);
        let history = history_file();
        if let (Some(editor), Some(path)) = (&mut editor, &history) {
            // The first talk has no history.
            let _ = editor.load_history(path);
        }
        let colours = io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
        Self { editor, history, colours }
    }

    /// Whether somebody sits there, rather than a pipe.
    pub(super) const fn is_person(&self) -> bool {
        self.editor.is_some()
    }

    pub(super) fn greet(&self, model: Option<&str>) -> Result<(), Failure> {
        if !self.is_person() {
            return Ok(());
        }
        let model = model.unwrap_or("the default model");
        output::print(
            format!("Talking with {model}. /help shows what can be typed; Ctrl-D ends.\n")
                .as_bytes(),
        )
    }

    /// The next line, joined with those that it goes on in; `None` at the end.
    pub(super) fn line(&mut self) -> Result<Option<String>, Failure> {
        let mut whole = String::new();
        loop {
            let mark = if whole.is_empty() { "> " } else { "… " };
            let Some(line) = self.plain_line(mark)? else { return Ok(None) };
            match line.strip_suffix('\\') {
                Some(begun) => {
                    whole.push_str(begun);
                    whole.push('\n');
                }
                None => {
                    whole.push_str(&line);
                    self.remember(&whole);
                    return Ok(Some(whole));
                }
            }
        }
    }

    fn plain_line(&mut self, mark: &str) -> Result<Option<String>, Failure> {
        let Some(editor) = &mut self.editor else {
            let mut line = String::new();
            let read = io::stdin().lock().read_line(&mut line);
            let read = read.map_err(|error| {
                Failure::misuse(format!("could not read standard input: {error}"))
            })?;
            return Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()));
        };
        match editor.readline(mark) {
            Ok(line) => Ok(Some(line)),
            // Ctrl-C throws the line away, as a shell does.
            Err(ReadlineError::Interrupted) => Ok(Some(String::new())),
            Err(ReadlineError::Eof) => Ok(None),
            Err(error) => Err(Failure::new(format!("could not read the terminal: {error}"))),
        }
    }

    fn remember(&mut self, line: &str) {
        let Some(editor) = &mut self.editor else { return };
        if line.trim().is_empty() {
            return;
        }
        // A talk without history is still a talk.
        let _ = editor.add_history_entry(line);
        if let Some(path) = &self.history {
            let _ = editor.save_history(path);
        }
    }

    /// A piece as it is printed: thoughts are dim, and left out where they would mix with answers.
    pub(super) fn shown(&self, piece: &Piece) -> String {
        match (piece.reasoning.as_str(), self.colours) {
            ("", _) | (_, false) => piece.content.clone(),
            (thought, true) => format!("{}{thought}{}{}", THOUGHT.0, THOUGHT.1, piece.content),
        }
    }
}

/// Beside the tasks and examples, if that directory is there.
fn history_file() -> Option<PathBuf> {
    let data = env::var_os("MODELYARD_DATA_DIR").map(PathBuf::from);
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".local/share/modelyard"));
    data.or_else(home).filter(|folder| folder.is_dir()).map(|folder| folder.join("chat_history"))
}

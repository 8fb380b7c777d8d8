//! What was said so far, and what a typed line means.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::ChatArgs;

/// What a person typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed<'a> {
    Nothing,
    Question(&'a str),
    Clear,
    System(Option<&'a str>),
    Retry,
    History,
    Help,
    Quit,
    Unknown(&'a str),
}

impl<'a> From<&'a str> for Typed<'a> {
    fn from(line: &'a str) -> Self {
        let line = line.trim();
        if !line.starts_with('/') {
            return if line.is_empty() { Self::Nothing } else { Self::Question(line) };
        }
        let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match command {
            "/clear" => Self::Clear,
            "/system" => Self::System((!rest.is_empty()).then_some(rest)),
            "/retry" => Self::Retry,
            "/history" => Self::History,
            "/help" | "/?" => Self::Help,
            "/quit" | "/exit" | "/bye" => Self::Quit,
            _ => Self::Unknown(command),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    System,
    User,
    Assistant,
}

#[derive(Debug, Serialize)]
struct Message {
    role: Role,
    content: String,
}

/// The messages, and the settings that go with each question.
#[derive(Debug)]
pub(super) struct Conversation {
    messages: Vec<Message>,
    settings: Value,
}

impl Conversation {
    pub(super) fn new(args: &ChatArgs) -> Self {
        let mut settings = json!({
            "stream": true,
            "chat_template_kwargs": {"enable_thinking": args.think},
        });
        // A folder is served under its own name, as the only model.
        let model = args.model.as_ref().filter(|model| !std::path::Path::new(model).is_dir());
        for (key, value) in [
            ("model", model.map(|model| json!(model))),
            ("temperature", args.temperature.map(|value| json!(value))),
            ("max_completion_tokens", args.max_tokens.map(|value| json!(value))),
        ] {
            if let Some(value) = value {
                settings[key] = value;
            }
        }
        let mut conversation = Self { messages: Vec::new(), settings };
        conversation.set_system(args.system.as_deref());
        conversation
    }

    pub(super) fn set_system(&mut self, text: Option<&str>) {
        self.messages.retain(|message| message.role != Role::System);
        if let Some(text) = text {
            self.messages.insert(0, Message { role: Role::System, content: text.into() });
        }
    }

    pub(super) fn clear(&mut self) {
        self.messages.retain(|message| message.role == Role::System);
    }

    pub(super) fn ask(&mut self, text: &str) {
        self.messages.push(Message { role: Role::User, content: text.into() });
    }

    pub(super) fn hear(&mut self, text: String) {
        self.messages.push(Message { role: Role::Assistant, content: text });
    }

    /// Forgets the last answer; false if there was no question.
    pub(super) fn take_back_answer(&mut self) -> bool {
        self.messages.pop_if(|last| last.role == Role::Assistant);
        self.messages.last().is_some_and(|last| last.role == Role::User)
    }

    pub(super) fn take_back_question(&mut self) {
        self.messages.pop_if(|last| last.role == Role::User);
    }

    /// The request for the next answer.
    pub(super) fn body(&self) -> Bytes {
        let mut body = self.settings.clone();
        body["messages"] = json!(self.messages);
        body.to_string().into()
    }

    /// The talk as text.
    pub(super) fn told(&self) -> String {
        let line = |message: &Message| {
            let who = match message.role {
                Role::System => "system",
                Role::User => "you",
                Role::Assistant => "model",
            };
            format!("{who}: {}\n", message.content)
        };
        self.messages.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn conversation(args: &[&str]) -> Conversation {
        let line = ["modelyard", "chat"].iter().chain(args);
        let Command::Chat(args) = Cli::parse_from(line).command else { panic!("chat") };
        Conversation::new(&args)
    }

    #[test]
    fn a_line_is_a_question_or_a_command() {
        for (line, typed) in [
            ("  ", Typed::Nothing),
            (" What is 2+2? ", Typed::Question("What is 2+2?")),
            ("/clear", Typed::Clear),
            ("/system  Be brief. ", Typed::System(Some("Be brief."))),
            ("/system", Typed::System(None)),
            ("/nothing here", Typed::Unknown("/nothing")),
        ] {
            assert_eq!(Typed::from(line), typed, "{line}");
        }
    }

    #[test]
    fn every_question_carries_the_talk_so_far() {
        let mut talk = conversation(&["some-model", "--system", "Be brief.", "--max-tokens", "9"]);
        talk.ask("One?");
        talk.hear("1".into());
        talk.ask("Two?");
        let body: Value = serde_json::from_slice(&talk.body()).unwrap();
        assert_eq!(body["model"], "some-model");
        assert_eq!(body["max_completion_tokens"], 9);
        let said: Vec<_> =
            body["messages"].as_array().unwrap().iter().map(|m| &m["content"]).collect();
        assert_eq!(said, ["Be brief.", "One?", "1", "Two?"]);
    }

    #[test]
    fn what_was_said_can_be_taken_back() {
        let mut talk = conversation(&[]);
        assert!(!talk.take_back_answer());
        talk.ask("One?");
        talk.hear("2".into());
        assert!(talk.take_back_answer());
        assert_eq!(talk.told(), "you: One?\n");
        talk.set_system(Some("Think."));
        talk.clear();
        assert_eq!(talk.told(), "system: Think.\n");
    }
}

//! Answers of `POST /v1/chat/completions`.

use api::openai::{
    ChatChoice, ChatChunk, ChatChunkChoice, ChatCompletion, ChatDelta, ChatLogprobs, ChatMessage,
    ToolCall, ToolCallDelta, ToolCallFunction, ToolCallFunctionDelta, Usage,
};
use bytes::Bytes;

use super::{Head, body, frame, logprobs};
use crate::{
    openai::choice::{Delta, Finish, Told},
    parse::Piece,
};

const ASSISTANT: &str = "assistant";
const FUNCTION: &str = "function";

/// Messages, and their log-probabilities if they are wanted.
pub(in crate::openai) struct ChatStyle {
    wants_logprobs: bool,
    is_stream: bool,
    messages: Vec<Message>,
}

/// One message.
#[derive(Default)]
struct Message {
    content: String,
    reasoning: String,
    /// Names and arguments.
    calls: Vec<(String, String)>,
    /// Not told yet, or all if the answer is told whole.
    told: Vec<Told>,
    finish: Option<Finish>,
}

impl ChatStyle {
    pub(in crate::openai) fn new(choices: usize, wants_logprobs: bool, is_stream: bool) -> Self {
        let messages = (0..choices).map(|_| Message::default()).collect();
        Self { wants_logprobs, is_stream, messages }
    }

    pub(super) fn begin(&self, head: &Head) -> Vec<Bytes> {
        if !self.is_stream {
            return Vec::new();
        }
        let role = Some(ASSISTANT.to_owned());
        let delta = ChatDelta { role, content: Some(String::new()), ..ChatDelta::default() };
        (0..self.messages.len())
            .map(|index| event(head, index, delta.clone(), None, None))
            .collect()
    }

    pub(super) fn tell(
        &mut self,
        head: &Head,
        sequence: usize,
        delta: Delta,
        finish: Option<Finish>,
    ) -> Vec<Bytes> {
        let Some(message) = self.messages.get_mut(sequence) else { return Vec::new() };
        message.told.extend(delta.logprobs);
        message.finish = finish;
        let mut events = Vec::new();
        for piece in delta.pieces {
            let calls_before = message.calls.len();
            if !self.is_stream {
                message.add(piece);
                continue;
            }
            // Log-probabilities go with what is said.
            let is_said = matches!(piece, Piece::Content(_)) && self.wants_logprobs;
            let told = is_said.then(|| message.take_told(head));
            if let Piece::Call { name } = &piece {
                message.calls.push((name.clone(), String::new()));
            }
            let delta = delta_of(piece, head, sequence, calls_before);
            events.push(event(head, sequence, delta, told, None));
        }
        if let (true, Some(finish)) = (self.is_stream, finish) {
            let told =
                (self.wants_logprobs && !message.told.is_empty()).then(|| message.take_told(head));
            events.push(event(head, sequence, ChatDelta::default(), told, Some(finish)));
        }
        events
    }

    pub(super) fn whole(&mut self, head: &Head, usage: Usage) -> Bytes {
        let messages = std::mem::take(&mut self.messages).into_iter().enumerate();
        let choices = messages.map(|(sequence, mut message)| {
            let logprobs = self.wants_logprobs.then(|| message.take_told(head));
            message.into_choice(head, sequence, logprobs)
        });
        body(&ChatCompletion {
            id: id(head),
            object: "chat.completion".into(),
            created: head.created,
            model: head.model.clone(),
            choices: choices.collect(),
            usage,
        })
    }
}

impl Message {
    fn add(&mut self, piece: Piece) {
        match piece {
            Piece::Reasoning(text) => self.reasoning.push_str(&text),
            Piece::Content(text) => self.content.push_str(&text),
            Piece::Call { name } => self.calls.push((name, String::new())),
            Piece::Arguments(text) => {
                if let Some((_, arguments)) = self.calls.last_mut() {
                    arguments.push_str(&text);
                }
            }
        }
    }

    fn take_told(&mut self, head: &Head) -> ChatLogprobs {
        logprobs::for_chat(&std::mem::take(&mut self.told), &head.vocabulary)
    }

    fn into_choice(
        self,
        head: &Head,
        sequence: usize,
        logprobs: Option<ChatLogprobs>,
    ) -> ChatChoice {
        let is_silent = self.content.is_empty() && !self.calls.is_empty();
        let calls: Vec<ToolCall> = (0..)
            .zip(self.calls)
            .map(|(number, (name, arguments))| ToolCall {
                id: call_id(head, sequence, number),
                kind: FUNCTION.into(),
                function: ToolCallFunction { name, arguments },
            })
            .collect();
        let message = ChatMessage {
            role: ASSISTANT.into(),
            content: (!is_silent).then_some(self.content),
            reasoning_content: (!self.reasoning.is_empty()).then_some(self.reasoning),
            tool_calls: (!calls.is_empty()).then_some(calls),
        };
        let finish_reason = self.finish.unwrap_or(Finish::Stop).as_str().into();
        ChatChoice { index: index(sequence), message, logprobs, finish_reason }
    }
}

/// `calls`: the calls before this piece.
fn delta_of(piece: Piece, head: &Head, sequence: usize, calls: usize) -> ChatDelta {
    let call = |number: usize, name: Option<String>, arguments: String| ToolCallDelta {
        index: index(number),
        id: name.is_some().then(|| call_id(head, sequence, number)),
        kind: name.is_some().then(|| FUNCTION.into()),
        function: ToolCallFunctionDelta { name, arguments: Some(arguments) },
    };
    let mut delta = ChatDelta::default();
    match piece {
        Piece::Reasoning(text) => delta.reasoning_content = Some(text),
        Piece::Content(text) => delta.content = Some(text),
        Piece::Call { name } => {
            delta.tool_calls = Some(vec![call(calls, Some(name), String::new())]);
        }
        Piece::Arguments(text) => {
            delta.tool_calls = Some(vec![call(calls.saturating_sub(1), None, text)]);
        }
    }
    delta
}

pub(super) fn usage_event(head: &Head, usage: Usage) -> Bytes {
    frame(&chunk(head, Vec::new(), Some(usage)))
}

fn event(
    head: &Head,
    sequence: usize,
    delta: ChatDelta,
    logprobs: Option<ChatLogprobs>,
    finish: Option<Finish>,
) -> Bytes {
    let finish_reason = finish.map(|finish| finish.as_str().to_owned());
    let choice = ChatChunkChoice { index: index(sequence), delta, logprobs, finish_reason };
    frame(&chunk(head, vec![choice], None))
}

fn chunk(head: &Head, choices: Vec<ChatChunkChoice>, usage: Option<Usage>) -> ChatChunk {
    ChatChunk {
        id: id(head),
        object: "chat.completion.chunk".into(),
        created: head.created,
        model: head.model.clone(),
        choices,
        usage,
    }
}

fn id(head: &Head) -> String {
    format!("chatcmpl-{}", head.id)
}

/// Unique among all answers, as the answer's id is.
fn call_id(head: &Head, sequence: usize, number: usize) -> String {
    format!("call_{}_{sequence}_{number}", head.id)
}

fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

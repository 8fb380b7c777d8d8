//! The OpenAI HTTP API as clients write it and read it, with the additions that vLLM made common.
//!
//! Requests take every field as optional and wide (`max_tokens` is an `i64`), so that whoever
//! checks them can name the field and the fix. Unknown fields are ignored, as servers of this API do.

mod batch;
mod chat;
mod chat_answer;
mod completion;
mod embedding;
mod error;
mod file;
mod generate;
mod sampling;
mod text_input;
mod tokenize;
mod tools;
mod usage;

pub use batch::{
    BatchErrors, BatchObject, BatchRequest, BatchStatus, ExpiresAfter, LineError, OutputError,
    OutputLine, OutputResponse, RequestCounts,
};
pub use chat::{ChatRequest, Content, ContentPart, JsonSchemaFormat, Message, ResponseFormat};
pub use chat_answer::{
    ChatChoice, ChatChunk, ChatChunkChoice, ChatCompletion, ChatDelta, ChatLogprobs, ChatMessage,
    TokenLogprob, TopLogprob,
};
pub use completion::{Completion, CompletionChoice, CompletionLogprobs, CompletionRequest};
pub use embedding::{EmbeddingAnswer, EmbeddingData, EmbeddingRequest, Vector};
pub use error::{ErrorBody, ErrorDetail};
pub use file::{FileDeleted, FileObject, ListPage};
pub use generate::{GenerateAnswer, GenerateRequest, Generated};
pub use sampling::{OneOrMany, SamplingFields, StreamOptions, StructuredOutputs};
pub use text_input::TextInput;
pub use tokenize::{DetokenizeAnswer, DetokenizeRequest, TokenizeAnswer, TokenizeRequest};
pub use tools::{
    FunctionDefinition, FunctionName, NamedTool, PastCall, PastFunction, Tool, ToolCall,
    ToolCallDelta, ToolCallFunction, ToolCallFunctionDelta, ToolChoice,
};
pub use usage::{CompletionDetails, PromptDetails, Usage};

//! The engine worker: text to tokens and back, the step loop, the OpenAI API.

pub mod defaults;
pub mod detokenizer;
pub mod guide;
pub mod openai;
pub mod parse;
pub mod stop;
pub mod template;
pub mod text;
pub mod tokenizer;
pub mod vocabulary;

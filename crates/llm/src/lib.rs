//! The engine worker: text to tokens and back, the step loop, the OpenAI API.

pub mod defaults;
pub mod detokenizer;
pub mod generation;
pub mod encoder;
pub mod guide;
pub mod memory;
pub mod load;
mod metrics;
pub mod openai;
pub mod parse;
mod sample;
pub mod service;
mod step;
pub mod serving;
pub mod stop;
pub mod template;
pub mod text;
pub mod tokenizer;
pub mod vocabulary;

#[cfg(test)]
mod testing;

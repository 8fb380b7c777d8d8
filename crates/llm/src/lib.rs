//! The engine worker: text to tokens and back, the step loop, the OpenAI API.

pub mod bench;
pub mod defaults;
pub mod demo;
pub mod detokenizer;
pub mod encoder;
pub mod generation;
pub mod guide;
pub mod load;
pub mod memory;
mod metrics;
pub mod openai;
pub mod parse;
mod sample;
pub mod service;
pub mod serving;
mod step;
pub mod stop;
pub mod template;
pub mod text;
pub mod tokenizer;
pub mod vocabulary;

#[cfg(test)]
mod testing;

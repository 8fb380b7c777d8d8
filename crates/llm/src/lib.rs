//! The engine worker: text to tokens and back, the step loop, the OpenAI API.

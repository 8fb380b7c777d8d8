//! The LLM engine's decisions: sequences, KV blocks, prefix cache, scheduler, sampler. Pure.

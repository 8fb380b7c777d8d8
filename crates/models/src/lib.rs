//! Models on disk: Hugging Face directories to something that runs. One file per architecture.

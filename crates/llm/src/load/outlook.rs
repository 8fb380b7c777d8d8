//! Whether a model that could not be made ready will be when it is tried again.

use std::io::ErrorKind;

use models::LoadError;

use super::StartError;
use crate::{text::TextError, tokenizer::TokenizerError};

/// What to expect of another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// Nobody knows.
    Unknown,
    /// It may help later: something is lacking that others may give back.
    Later,
    /// The same, unless a person changes the files or the settings.
    Hopeless,
}

impl StartError {
    /// What to expect of another try with the same files and settings.
    pub fn outlook(&self) -> Outlook {
        match self {
            Self::Load(error) => of_load(error),
            Self::Text(TextError::Tokenizer(error)) | Self::Tokenizer(error) => of_tokenizer(error),
            // What is wrong stands in the files; and a model that cannot answer a first prompt
            // computes the same every time.
            Self::Text(TextError::Template(_) | TextError::Defaults(_)) | Self::WarmUp(_) => {
                Outlook::Hopeless
            }
            Self::Memory(_) => Outlook::Later,
            Self::Thread(_) => Outlook::Unknown,
        }
    }
}

fn of_load(error: &LoadError) -> Outlook {
    match error {
        LoadError::Read { source, .. } => of_read(source.kind()),
        LoadError::Json { .. }
        | LoadError::Field { .. }
        | LoadError::NoWeights { .. }
        | LoadError::Weights { .. }
        | LoadError::MissingTensor { .. }
        | LoadError::Shape { .. }
        | LoadError::Dtype { .. }
        | LoadError::Option { .. } => Outlook::Hopeless,
        LoadError::Memory(_) | LoadError::KvCache(_) => Outlook::Later,
        _ => Outlook::Unknown,
    }
}

fn of_tokenizer(error: &TokenizerError) -> Outlook {
    match error {
        TokenizerError::Read { source, .. } => of_read(source.kind()),
        TokenizerError::Missing { .. }
        | TokenizerError::Invalid { .. }
        | TokenizerError::Mismatch { .. }
        | TokenizerError::Decoder { .. } => Outlook::Hopeless,
    }
}

/// A disk may recover from an error; a file that is not there, or that is none, stays so.
fn of_read(kind: ErrorKind) -> Outlook {
    match kind {
        ErrorKind::NotFound
        | ErrorKind::PermissionDenied
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::InvalidData => Outlook::Hopeless,
        _ => Outlook::Unknown,
    }
}

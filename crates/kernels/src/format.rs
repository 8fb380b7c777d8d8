//! In what precision weights and keys and values are kept.

use std::{fmt, str::FromStr};

use crate::tile;

/// How weights are stored, and in what precision activations meet them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightFormat {
    /// bf16 weights, bf16 activations.
    Bf16,
    /// 8-bit weights with one multiplier per output and 16 inputs; bf16 activations. Weights become bf16 again
    /// in the first-level cache, so memory gives half as many bytes as for bf16.
    Int8,
    /// 8-bit weights and 8-bit activations, with one scale per output or row and 512 inputs.
    W8a8,
    /// 4-bit weights with one scale per output and 64 inputs; 16-bit integer activations.
    Int4,
}

/// How activations are stored. It follows from the weights that they meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActivationFormat {
    Bf16,
    Int8,
    /// Two planes of int8: `256 * high + low`.
    Int16,
}

/// How keys and values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KvFormat {
    /// bf16.
    Bf16,
    /// int8 with one scale per token and head.
    Int8,
}

/// There is no such format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{asked}` is no format; choose {choices}")]
pub struct UnknownFormat {
    asked: String,
    choices: &'static str,
}

impl WeightFormat {
    pub(crate) const fn activations(self) -> ActivationFormat {
        match self {
            Self::Bf16 | Self::Int8 => ActivationFormat::Bf16,
            Self::W8a8 => ActivationFormat::Int8,
            Self::Int4 => ActivationFormat::Int16,
        }
    }

    /// Inner steps per tile.
    pub(crate) const fn depth(self) -> usize {
        self.activations().depth()
    }
}

impl ActivationFormat {
    /// Inner steps per tile.
    pub(crate) const fn depth(self) -> usize {
        match self {
            Self::Bf16 => tile::DEPTH_BF16,
            Self::Int8 | Self::Int16 => tile::DEPTH_INT8,
        }
    }

    pub(crate) const fn planes(self) -> usize {
        match self {
            Self::Bf16 | Self::Int8 => 1,
            Self::Int16 => 2,
        }
    }
}

impl fmt::Display for WeightFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
            Self::W8a8 => "w8a8",
            Self::Int4 => "int4",
        })
    }
}

impl FromStr for WeightFormat {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let all = [Self::Bf16, Self::Int8, Self::W8a8, Self::Int4];
        let unknown =
            || UnknownFormat { asked: name.to_owned(), choices: "bf16, int8, w8a8 or int4" };
        all.into_iter().find(|format| format.to_string() == name).ok_or_else(unknown)
    }
}

impl fmt::Display for KvFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}

impl FromStr for KvFormat {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let unknown = || UnknownFormat { asked: name.to_owned(), choices: "bf16 or int8" };
        [Self::Bf16, Self::Int8].into_iter().find(|f| f.to_string() == name).ok_or_else(unknown)
    }
}

//! Which instructions this processor has, and which of them are used.

use std::{env, fmt, str::FromStr};

/// A family of instructions. Every operation has a path for each; all of them share one layout of
/// the data, so a packed model serves them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust, for every processor; what the other paths are checked against.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ, VL, VBMI, VNNI and BF16.
    Avx512,
    /// All of `Avx512`, AMX tiles with bf16 and int8, and the VBMI2 and FP16 that all such processors have.
    Amx,
}

/// The name of an instruction set is unknown, or this machine lacks it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IsaError {
    /// No such name.
    #[error("`{0}` is no instruction set; choose amx, avx512, avx2 or portable")]
    Unknown(String),
    /// The processor, or the system that runs it, does not offer it.
    #[error("this machine cannot run {0} instructions; its best is {best}", best = Isa::best())]
    Missing(Isa),
}

impl Isa {
    /// All of them, simplest first.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Amx];

    /// The fastest that this machine can run.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|isa| isa.is_available()).unwrap_or(Self::Portable)
    }

    /// What the environment variable `MODELYARD_ISA` names, or else the best.
    ///
    /// # Errors
    /// [`IsaError`] when it names something unknown or missing.
    pub fn from_env() -> Result<Self, IsaError> {
        match env::var("MODELYARD_ISA") {
            Ok(name) if !name.is_empty() => name.parse::<Self>()?.require(),
            _ => Ok(Self::best()),
        }
    }

    /// Itself, if this machine can run it.
    ///
    /// # Errors
    /// [`IsaError::Missing`] otherwise.
    pub fn require(self) -> Result<Self, IsaError> {
        if self.is_available() { Ok(self) } else { Err(IsaError::Missing(self)) }
    }

    /// Can this machine run it? For [`Isa::Amx`] this also asks the kernel for leave to use tiles.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vbmi")
                    && is_x86_feature_detected!("avx512vnni")
                    && is_x86_feature_detected!("avx512bf16")
            }
            Self::Amx => Self::Avx512.is_available() && crate::amx::is_permitted(),
        }
    }

    /// Can this machine run it?
    #[cfg(not(target_arch = "x86_64"))]
    pub fn is_available(self) -> bool {
        self == Self::Portable
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Amx => "amx",
        })
    }
}

impl FromStr for Isa {
    type Err = IsaError;

    fn from_str(name: &str) -> Result<Self, IsaError> {
        let known = Self::ALL.into_iter().find(|isa| isa.to_string() == name);
        known.ok_or_else(|| IsaError::Unknown(name.to_owned()))
    }
}

/// Compiles one body of plain Rust once per instruction set and calls the copy for `isa`.
///
/// Bodies avoid fused multiply-adds and write reductions over sixteen explicit lanes, so that every
/// copy gives the same bits.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name(isa: $crate::isa::Isa, $($arg: $ty),*) $(-> $ret)? {
            $crate::isa::copies!(isa, ($($arg: $ty),*) $(-> $ret)?, $body)
        }
    };
    ($(#[$meta:meta])* $vis:vis unsafe fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis unsafe fn $name(isa: $crate::isa::Isa, $($arg: $ty),*) $(-> $ret)? {
            $crate::isa::copies!(isa, ($($arg: $ty),*) $(-> $ret)?, $body)
        }
    };
}

/// The copies of a body, and the choice between them.
macro_rules! copies {
    ($isa:ident, ($($arg:ident: $ty:ty),*) $(-> $ret:ty)?, $body:block) => {{
        #[inline(always)]
        fn plain($($arg: $ty),*) $(-> $ret)? $body

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn avx2($($arg: $ty),*) $(-> $ret)? {
            plain($($arg),*)
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn avx512($($arg: $ty),*) $(-> $ret)? {
            plain($($arg),*)
        }

        match $isa {
            // SAFETY: an `Isa` reaches an operation only through a `Cpu`, which has asked for it.
            #[cfg(target_arch = "x86_64")]
            $crate::isa::Isa::Avx2 => unsafe { avx2($($arg),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            $crate::isa::Isa::Avx512 | $crate::isa::Isa::Amx => unsafe { avx512($($arg),*) },
            _ => plain($($arg),*),
        }
    }};
}

pub(crate) use copies;
pub(crate) use multiversion;

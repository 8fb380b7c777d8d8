//! How the vectors of all tokens become one: 1_Pooling/config.json, as sentence-transformers has it.

use std::path::Path;

use crate::{LoadError, config::Fields};

/// How an encoder's rows become one vector. The result always has length 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooling {
    /// The average of all tokens.
    #[default]
    Mean,
    /// The first token's vector.
    Cls,
}

impl Pooling {
    /// Reads `1_Pooling/config.json`; without one the average is taken.
    ///
    /// # Errors
    /// [`LoadError`] for a file that cannot be read, or asks for another kind of pooling.
    pub(crate) fn read(directory: &Path) -> Result<Self, LoadError> {
        let path = directory.join("1_Pooling").join("config.json");
        if !path.exists() {
            return Ok(Self::default());
        }
        let fields = Fields::open(&path)?;
        let is = |name| fields.optional::<bool>(name).map(|set| set.unwrap_or(false));
        for other in [
            "pooling_mode_max_tokens",
            "pooling_mode_mean_sqrt_len_tokens",
            "pooling_mode_weightedmean_tokens",
            "pooling_mode_lasttoken",
        ] {
            if is(other)? {
                let problem = "is set; supported: pooling_mode_mean_tokens, pooling_mode_cls_token";
                return Err(fields.wrong(other, problem));
            }
        }
        match (is("pooling_mode_mean_tokens")?, is("pooling_mode_cls_token")?) {
            (_, false) => Ok(Self::Mean),
            (false, true) => Ok(Self::Cls),
            (true, true) => {
                Err(fields.wrong("pooling_mode_cls_token", "cannot be joined with the mean"))
            }
        }
    }

    /// One vector of length 1 from the rows of one text, `[tokens, width]`. Zero rows give zeros.
    pub(crate) fn apply(self, rows: &[f32], width: usize) -> Vec<f32> {
        let mut sum = vec![0.0_f64; width];
        let taken = match self {
            Self::Mean => rows.len() / width,
            Self::Cls => 1,
        };
        for row in rows.chunks_exact(width).take(taken) {
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += f64::from(*value);
            }
        }
        // The length is divided out below, so the sum serves as the mean.
        let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt().max(1e-12);
        sum.iter().map(|value| (value / length) as f32).collect()
    }
}

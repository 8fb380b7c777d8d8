//! Rotary position embedding: which angle each pair of dimensions turns by per position.

use std::f64::consts::TAU;

use super::Fields;
use crate::LoadError;

/// How positions become angles.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rope {
    /// The base of the geometric row of frequencies.
    pub(crate) theta: f64,
    pub(crate) scaling: RopeScaling,
}

/// How the frequencies are stretched for contexts that are longer than in pre-training.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RopeScaling {
    Default,
    /// All frequencies divided by the factor.
    Linear {
        factor: f64,
    },
    /// Llama 3: slow frequencies divided, fast ones kept, a smooth passage between.
    Llama3 {
        factor: f64,
        low_freq_factor: f64,
        high_freq_factor: f64,
        original_max_position_embeddings: f64,
    },
}

impl Rope {
    /// Reads `rope_theta` with `rope_scaling`, or the newer `rope_parameters` that holds both.
    ///
    /// # Errors
    /// [`LoadError::Field`]: a field is wrong, or a kind of scaling that we do not have.
    pub(crate) fn read(config: &Fields, theta_default: f64) -> Result<Self, LoadError> {
        let newer = config.object("rope_parameters")?;
        let holder = match &newer {
            Some(parameters) if parameters.has("rope_theta") => parameters,
            _ => config,
        };
        let theta =
            if holder.has("rope_theta") { holder.positive("rope_theta")? } else { theta_default };
        for fields in newer.iter().chain([config]) {
            if fields.optional::<f64>("partial_rotary_factor")?.is_some_and(|factor| factor != 1.0)
            {
                return Err(fields.wrong("partial_rotary_factor", "must be 1: not supported"));
            }
        }
        let scaling = match newer.map_or_else(|| config.object("rope_scaling"), |p| Ok(Some(p)))? {
            Some(fields) => RopeScaling::read(&fields)?,
            None => RopeScaling::Default,
        };
        Ok(Self { theta, scaling })
    }

    /// Radians per position of each pair of dimensions, `head_dim / 2` of them.
    pub(crate) fn frequencies(&self, head_dim: usize) -> Vec<f32> {
        (0..head_dim / 2)
            .map(|pair| {
                let exponent = (2 * pair) as f64 / head_dim as f64;
                self.scaling.apply(self.theta.powf(-exponent)) as f32
            })
            .collect()
    }
}

impl RopeScaling {
    fn read(fields: &Fields) -> Result<Self, LoadError> {
        // `type` is the name that older exports use.
        let name = if fields.has("rope_type") { "rope_type" } else { "type" };
        Ok(match fields.required::<String>(name)?.as_str() {
            "default" => Self::Default,
            "linear" => Self::Linear { factor: fields.positive("factor")? },
            "llama3" => Self::read_llama3(fields)?,
            other => {
                let problem = format!("is `{other}`; supported: default, linear, llama3");
                return Err(fields.wrong(name, problem));
            }
        })
    }

    fn read_llama3(fields: &Fields) -> Result<Self, LoadError> {
        let low_freq_factor = fields.positive("low_freq_factor")?;
        let high_freq_factor = fields.positive("high_freq_factor")?;
        if high_freq_factor <= low_freq_factor {
            return Err(fields.wrong("high_freq_factor", "must be above `low_freq_factor`"));
        }
        Ok(Self::Llama3 {
            factor: fields.positive("factor")?,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings: fields
                .positive("original_max_position_embeddings")?,
        })
    }

    fn apply(&self, frequency: f64) -> f64 {
        match *self {
            Self::Default => frequency,
            Self::Linear { factor } => frequency / factor,
            Self::Llama3 {
                factor,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_position_embeddings: context,
            } => {
                // How often this pair turns fully within the original context.
                let turns = context * frequency / TAU;
                if turns < low {
                    frequency / factor
                } else if turns > high {
                    frequency
                } else {
                    let kept = (turns - low) / (high - low);
                    frequency * (kept + (1.0 - kept) / factor)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frequencies(scaling: RopeScaling) -> Vec<f32> {
        Rope { theta: 10_000.0, scaling }.frequencies(8)
    }

    #[test]
    fn frequencies_fall_from_one_by_equal_factors() {
        assert_eq!(frequencies(RopeScaling::Default), [1.0, 0.1, 0.01, 0.001]);
    }

    #[test]
    fn linear_scaling_slows_every_pair() {
        let scaling = RopeScaling::Linear { factor: 4.0 };
        assert_eq!(frequencies(scaling), [0.25, 0.025, 0.0025, 0.00025]);
    }

    #[test]
    fn llama_3_keeps_the_fast_pairs_and_slows_the_slow_ones() {
        let scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 128.0,
        };
        // 128 tokens are 20.4, 2.04, 0.2 and 0.02 turns: fast, between, slow, slow.
        let found = frequencies(scaling);
        assert_eq!((found[0], found[2], found[3]), (1.0, 0.001_25, 0.000_125));
        assert!(0.0125 < found[1] && found[1] < 0.1, "{}", found[1]);
    }
}

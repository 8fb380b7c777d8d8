//! An encoder's weights as the kernels hold them.

use std::sync::Arc;

use kernels::{LayerNorm, Linear, Rows};

use super::tensors::{EncoderLayerTensors, EncoderTensors, Norm};
use crate::{
    LoadError,
    checkpoint::Tensor,
    config::EncoderConfig,
    decoder::Projection,
    options::Formats,
    packing::{LinearSize, Recipe, RecipeRows, next_linear},
};

/// Everything that the forward pass reads.
#[derive(Debug)]
pub(super) struct EncoderWeights {
    pub(super) words: Arc<Linear>,
    /// `[positions][hidden]`: the learned position and the first segment together.
    positions: Vec<f32>,
    pub(super) norm: NormWeights,
    pub(super) layers: Vec<EncoderLayerWeights>,
}

/// One layer's weights.
#[derive(Debug)]
pub(super) struct EncoderLayerWeights {
    /// Queries, keys and values from one product.
    pub(super) qkv: Arc<Linear>,
    pub(super) qkv_bias: Vec<f32>,
    pub(super) output: Arc<Linear>,
    pub(super) output_bias: Vec<f32>,
    pub(super) attention_norm: NormWeights,
    pub(super) up: Arc<Linear>,
    pub(super) up_bias: Vec<f32>,
    pub(super) down: Arc<Linear>,
    pub(super) down_bias: Vec<f32>,
    pub(super) norm: NormWeights,
}

/// Scale and shift of a layer norm.
#[derive(Debug)]
pub(super) struct NormWeights {
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// The linear layers of such a model, in the order in which they are packed.
pub(crate) fn linear_sizes(config: &EncoderConfig, formats: Formats) -> Vec<LinearSize> {
    let (hidden, wide) = (config.hidden_size, config.intermediate_size);
    let layer = [
        LinearSize::new(formats.layers, 3 * hidden, hidden),
        LinearSize::new(formats.layers, hidden, hidden),
        LinearSize::new(formats.layers, wide, hidden),
        LinearSize::new(formats.layers, hidden, wide),
    ];
    let words = LinearSize::new(formats.table, config.vocab_size, hidden);
    [words].into_iter().chain((0..config.layers).flat_map(|_| layer)).collect()
}

/// How each of [`linear_sizes`] is made.
pub(super) fn recipes<'a>(
    tensors: &EncoderTensors<'a>,
    config: &EncoderConfig,
    formats: Formats,
) -> Vec<Recipe<'a>> {
    let stacked = |tensors: &[&Tensor<'a>]| {
        RecipeRows::Stacked(tensors.iter().map(|&tensor| tensor.clone()).collect())
    };
    let layer = |layer: &EncoderLayerTensors<'a>| {
        [
            stacked(&[&layer.query.weight, &layer.key.weight, &layer.value.weight]),
            stacked(&[&layer.output.weight]),
            stacked(&[&layer.up.weight]),
            stacked(&[&layer.down.weight]),
        ]
    };
    let words = stacked(&[&tensors.words]);
    let rows = [words].into_iter().chain(tensors.layers.iter().flat_map(layer));
    let sizes = linear_sizes(config, formats).into_iter();
    sizes.zip(rows).map(|(size, rows)| Recipe { size, rows }).collect()
}

impl EncoderWeights {
    /// Joins the packed layers, in the order of the recipes, with the vectors of the checkpoint.
    pub(super) fn new(
        tensors: &EncoderTensors<'_>,
        config: &EncoderConfig,
        linears: Vec<Arc<Linear>>,
    ) -> Result<Self, LoadError> {
        let mut linears = linears.into_iter();
        let words = next_linear(&mut linears)?;
        let mut layer = |tensors: &EncoderLayerTensors<'_>| -> Result<_, LoadError> {
            let qkv = [&tensors.query, &tensors.key, &tensors.value];
            let qkv_bias = qkv.map(bias).into_iter().collect::<Result<Vec<_>, _>>()?;
            Ok(EncoderLayerWeights {
                qkv: next_linear(&mut linears)?,
                qkv_bias: qkv_bias.concat(),
                output: next_linear(&mut linears)?,
                output_bias: bias(&tensors.output)?,
                attention_norm: NormWeights::new(&tensors.attention_norm)?,
                up: next_linear(&mut linears)?,
                up_bias: bias(&tensors.up)?,
                down: next_linear(&mut linears)?,
                down_bias: bias(&tensors.down)?,
                norm: NormWeights::new(&tensors.norm)?,
            })
        };
        let layers = tensors.layers.iter().map(&mut layer).collect::<Result<_, _>>()?;
        let mut positions = tensors.positions.read()?;
        let segments = tensors.segments.read()?;
        // Every token of a single text is in the first segment.
        let first = &segments[..config.hidden_size];
        for row in positions.chunks_exact_mut(first.len()) {
            row.iter_mut().zip(first).for_each(|(value, segment)| *value += segment);
        }
        Ok(Self { words, positions, norm: NormWeights::new(&tensors.norm)?, layers })
    }

    /// Adds to each row what its place in its text has learned.
    pub(super) fn add_positions(&self, texts: &[Vec<u32>], first: usize, rows: &mut Rows) {
        let width = rows.columns();
        let mut values = vec![0.0; width];
        let places = texts.iter().flat_map(|text| first..first + text.len());
        for (row, place) in places.enumerate() {
            rows.read(row, &mut values);
            let position = &self.positions[place * width..][..width];
            values.iter_mut().zip(position).for_each(|(value, position)| *value += position);
            rows.write(row, &values);
        }
    }
}

impl NormWeights {
    fn new(norm: &Norm<'_>) -> Result<Self, LoadError> {
        Ok(Self { weight: norm.weight.read()?, bias: norm.bias.read()? })
    }

    pub(super) fn with(&self, epsilon: f32) -> LayerNorm<'_> {
        LayerNorm { weight: &self.weight, bias: &self.bias, epsilon }
    }
}

fn bias(projection: &Projection<'_>) -> Result<Vec<f32>, LoadError> {
    projection.bias.as_ref().map_or_else(|| Ok(Vec::new()), Tensor::read)
}

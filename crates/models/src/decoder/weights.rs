//! A decoder's weights as the kernels hold them.

use std::sync::Arc;

use kernels::{Cpu, Linear, Rows, WeightFormat};

use super::tensors::{DecoderTensors, LayerTensors};
use crate::{
    LoadError,
    checkpoint::{Table, Tensor},
    config::{DecoderConfig, DecoderShape},
    options::Formats,
    packing::{LinearSize, Recipe, RecipeRows, next_linear},
};

/// Everything that the forward pass reads.
#[derive(Debug)]
pub(super) struct DecoderWeights {
    /// Embeddings as the checkpoint has them: what a quantised table loses goes through all layers. Only the rows of
    /// a batch are read, so the table takes no memory. `None` when the head is as exact, and the same table.
    table: Option<Table>,
    pub(super) layers: Vec<LayerWeights>,
    pub(super) norm: Vec<f32>,
    pub(super) head: Arc<Linear>,
}

/// One layer's weights.
#[derive(Debug)]
pub(super) struct LayerWeights {
    pub(super) input_norm: Vec<f32>,
    /// Queries, keys and values from one product.
    pub(super) qkv: Arc<Linear>,
    pub(super) qkv_bias: Option<Vec<f32>>,
    /// Of queries and of keys.
    pub(super) qk_norms: Option<(Vec<f32>, Vec<f32>)>,
    pub(super) output: Arc<Linear>,
    pub(super) output_bias: Option<Vec<f32>>,
    pub(super) post_norm: Vec<f32>,
    pub(super) gate_up: Arc<Linear>,
    pub(super) down: Arc<Linear>,
}

/// The linear layers of such a model, in the order in which they are packed: what is largest comes
/// first, while the least is resident beside it.
pub(crate) fn linear_sizes(config: &DecoderConfig, formats: Formats) -> Vec<LinearSize> {
    let DecoderShape { vocab_size, hidden_size, layers, .. } = config.shape;
    let head = LinearSize::new(formats.head, vocab_size, hidden_size);
    [head]
        .into_iter()
        .chain((0..layers).flat_map(|_| layer_sizes(&config.shape, formats)))
        .collect()
}

/// Queries with keys and values, attention's output, gate with up, down.
fn layer_sizes(shape: &DecoderShape, formats: Formats) -> [LinearSize; 4] {
    let (hidden, wide) = (shape.hidden_size, shape.intermediate_size);
    let queries = shape.query_width();
    [
        LinearSize::new(formats.layers, queries + 2 * shape.kv_width(), hidden),
        LinearSize::new(formats.layers, hidden, queries),
        LinearSize::gated(formats.layers, wide, hidden),
        LinearSize::new(formats.layers, hidden, wide),
    ]
}

/// How each of [`linear_sizes`] is made.
pub(super) fn recipes<'a>(
    tensors: &DecoderTensors<'a>,
    config: &DecoderConfig,
    formats: Formats,
) -> Vec<Recipe<'a>> {
    let stacked = |tensors: &[&Tensor<'a>]| {
        RecipeRows::Stacked(tensors.iter().map(|&tensor| tensor.clone()).collect())
    };
    let layer = |layer: &LayerTensors<'a>| {
        [
            stacked(&[&layer.query.weight, &layer.key.weight, &layer.value.weight]),
            stacked(&[&layer.output.weight]),
            RecipeRows::Gated { gate: layer.gate.clone(), up: layer.up.clone() },
            stacked(&[&layer.down]),
        ]
    };
    let head = stacked(&[tensors.head.as_ref().unwrap_or(&tensors.embedding)]);
    let rows = [head].into_iter().chain(tensors.layers.iter().flat_map(layer));
    let sizes = linear_sizes(config, formats).into_iter();
    sizes.zip(rows).map(|(size, rows)| Recipe { size, rows }).collect()
}

impl DecoderWeights {
    /// Joins the packed layers, in the order of the recipes, with the vectors of the checkpoint.
    pub(super) fn new(
        tensors: &DecoderTensors<'_>,
        linears: Vec<Arc<Linear>>,
    ) -> Result<Self, LoadError> {
        let mut linears = linears.into_iter();
        let head = next_linear(&mut linears)?;
        let is_exact = tensors.head.is_none() && head.format() == WeightFormat::Bf16;
        let table = (!is_exact).then(|| tensors.embedding.keep());
        let mut layer = |tensors: &LayerTensors<'_>| -> Result<LayerWeights, LoadError> {
            let qkv = [&tensors.query, &tensors.key, &tensors.value];
            let qkv_bias = qkv.iter().filter_map(|part| part.bias.as_ref().map(Tensor::read));
            let qkv_bias = qkv_bias.collect::<Result<Vec<_>, _>>()?;
            let qk_norms = tensors.qk_norms.as_ref();
            Ok(LayerWeights {
                input_norm: tensors.input_norm.read()?,
                qkv: next_linear(&mut linears)?,
                // All three have one, or none has.
                qkv_bias: (!qkv_bias.is_empty()).then(|| qkv_bias.concat()),
                qk_norms: match qk_norms {
                    Some((query, key)) => Some((query.read()?, key.read()?)),
                    None => None,
                },
                output: next_linear(&mut linears)?,
                output_bias: tensors.output.bias.as_ref().map(Tensor::read).transpose()?,
                post_norm: tensors.post_norm.read()?,
                gate_up: next_linear(&mut linears)?,
                down: next_linear(&mut linears)?,
            })
        };
        let layers = tensors.layers.iter().map(&mut layer).collect::<Result<_, _>>()?;
        Ok(Self { table, layers, norm: tensors.norm.read()?, head })
    }

    /// Row `i` of `to` becomes the embedding of `tokens[i]`, which must be in the vocabulary.
    ///
    /// # Errors
    /// [`LoadError::Read`] when the checkpoint cannot be read any more.
    pub(super) fn embed(&self, cpu: &Cpu, tokens: &[u32], to: &mut Rows) -> Result<(), LoadError> {
        let Some(table) = &self.table else {
            cpu.embed(&self.head, tokens, to);
            return Ok(());
        };
        to.resize(tokens.len());
        let mut values = vec![0.0; to.columns()];
        for (row, &token) in tokens.iter().enumerate() {
            table.read_row(token as usize, &mut values)?;
            to.write(row, &values);
        }
        Ok(())
    }
}

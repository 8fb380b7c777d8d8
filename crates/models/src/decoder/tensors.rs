//! The tensors of a decoder checkpoint, by the names that Qwen, Llama and Mistral share.

use crate::{
    LoadError,
    checkpoint::{Checkpoint, Tensor},
    config::DecoderConfig,
};

/// Everything that a decoder needs, checked for presence, shape and dtype.
pub(crate) struct DecoderTensors<'a> {
    /// `[vocabulary, hidden]`
    pub(crate) embedding: Tensor<'a>,
    pub(crate) layers: Vec<LayerTensors<'a>>,
    /// `[hidden]`
    pub(crate) norm: Tensor<'a>,
    /// `[vocabulary, hidden]`; `None` when the embedding is the head.
    pub(crate) head: Option<Tensor<'a>>,
}

/// One layer's tensors.
pub(crate) struct LayerTensors<'a> {
    pub(crate) input_norm: Tensor<'a>,
    pub(crate) query: Projection<'a>,
    pub(crate) key: Projection<'a>,
    pub(crate) value: Projection<'a>,
    /// `[head_dim]`, for queries and for keys.
    pub(crate) qk_norms: Option<(Tensor<'a>, Tensor<'a>)>,
    pub(crate) output: Projection<'a>,
    pub(crate) post_norm: Tensor<'a>,
    pub(crate) gate: Tensor<'a>,
    pub(crate) up: Tensor<'a>,
    pub(crate) down: Tensor<'a>,
}

/// A linear map: weight `[n, k]`, and bias `[n]` where the family has one.
pub(crate) struct Projection<'a> {
    pub(crate) weight: Tensor<'a>,
    pub(crate) bias: Option<Tensor<'a>>,
}

impl<'a> DecoderTensors<'a> {
    /// Finds all tensors that `config` implies.
    ///
    /// # Errors
    /// [`LoadError`] naming the tensor that is missing, or of another shape or dtype.
    pub(crate) fn find(
        checkpoint: &'a Checkpoint,
        config: &DecoderConfig,
    ) -> Result<Self, LoadError> {
        let shape = &config.shape;
        let table = [shape.vocab_size, shape.hidden_size];
        let head = match config.tied_head {
            true => None,
            false => Some(checkpoint.tensor("lm_head.weight", &table)?),
        };
        Ok(Self {
            embedding: checkpoint.tensor("model.embed_tokens.weight", &table)?,
            layers: (0..shape.layers)
                .map(|layer| LayerTensors::find(checkpoint, config, layer))
                .collect::<Result<_, _>>()?,
            norm: checkpoint.tensor("model.norm.weight", &[shape.hidden_size])?,
            head,
        })
    }
}

impl<'a> LayerTensors<'a> {
    fn find(
        checkpoint: &'a Checkpoint,
        config: &DecoderConfig,
        layer: usize,
    ) -> Result<Self, LoadError> {
        let shape = &config.shape;
        let (hidden, wide) = (shape.hidden_size, shape.intermediate_size);
        let (queries, keys) = (shape.query_width(), shape.kv_width());
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        let vector =
            |part: &str, width| checkpoint.tensor(&name(&format!("{part}.weight")), &[width]);
        let matrix =
            |part: &str, n, k| checkpoint.tensor(&name(&format!("{part}.weight")), &[n, k]);
        let linear =
            |part: &str, n, k, bias| Projection::find(checkpoint, &name(part), [n, k], bias);
        let qk_norms = match config.qk_norm {
            true => Some((
                vector("self_attn.q_norm", shape.head_dim)?,
                vector("self_attn.k_norm", shape.head_dim)?,
            )),
            false => None,
        };
        Ok(Self {
            input_norm: vector("input_layernorm", hidden)?,
            query: linear("self_attn.q_proj", queries, hidden, config.qkv_bias)?,
            key: linear("self_attn.k_proj", keys, hidden, config.qkv_bias)?,
            value: linear("self_attn.v_proj", keys, hidden, config.qkv_bias)?,
            qk_norms,
            output: linear("self_attn.o_proj", hidden, queries, config.output_bias)?,
            post_norm: vector("post_attention_layernorm", hidden)?,
            gate: matrix("mlp.gate_proj", wide, hidden)?,
            up: matrix("mlp.up_proj", wide, hidden)?,
            down: matrix("mlp.down_proj", hidden, wide)?,
        })
    }
}

impl<'a> Projection<'a> {
    /// `name.weight` of shape `[n, k]`, with `name.bias` if `bias`.
    pub(crate) fn find(
        checkpoint: &'a Checkpoint,
        name: &str,
        [n, k]: [usize; 2],
        bias: bool,
    ) -> Result<Self, LoadError> {
        let weight = checkpoint.tensor(&format!("{name}.weight"), &[n, k])?;
        let bias = match bias {
            true => Some(checkpoint.tensor(&format!("{name}.bias"), &[n])?),
            false => None,
        };
        Ok(Self { weight, bias })
    }
}

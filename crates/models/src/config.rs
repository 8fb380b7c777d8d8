//! config.json, read field by field, so that whatever is wrong is told by its name.

mod fields;
mod model;
mod rope;

pub(crate) use fields::Fields;
pub(crate) use model::{
    DecoderConfig, DecoderShape, EncoderConfig, ModelConfig, check_head_dim, head_dim_of,
};
pub(crate) use rope::Rope;

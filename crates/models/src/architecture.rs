//! Which architectures there are, and who reads the config.json of each.

use crate::{
    LoadError,
    config::{Fields, ModelConfig},
};
use crate::{bert, llama, mistral, qwen2, qwen3};

/// Reads the config of one architecture.
type Read = fn(&Fields) -> Result<ModelConfig, LoadError>;

/// By the name in `architectures`.
const ARCHITECTURES: [(&str, Read); 10] = [
    ("Qwen3ForCausalLM", qwen3::read),
    ("Qwen2ForCausalLM", qwen2::read),
    ("LlamaForCausalLM", llama::read),
    ("MistralForCausalLM", mistral::read),
    ("BertModel", bert::read),
    ("BertForMaskedLM", bert::read),
    ("RobertaModel", bert::read_roberta),
    ("RobertaForMaskedLM", bert::read_roberta),
    ("XLMRobertaModel", bert::read_roberta),
    ("XLMRobertaForMaskedLM", bert::read_roberta),
];

/// What the model of this config.json is made of.
///
/// # Errors
/// [`LoadError::Field`] for an architecture that we do not have, and for impossible fields.
pub(crate) fn read(config: &Fields) -> Result<ModelConfig, LoadError> {
    let names: Vec<String> = config.required("architectures")?;
    let known = names.iter().find_map(|name| ARCHITECTURES.iter().find(|(known, _)| known == name));
    let Some((_, read)) = known else {
        let supported = ARCHITECTURES.map(|(name, _)| name).join(", ");
        let problem = format!("is {names:?}; supported: {supported}");
        return Err(config.wrong("architectures", problem));
    };
    if config.has("quantization_config") {
        let problem = "is set: weights that are already quantised cannot be read; use the \
                       original model and the option `quantize`";
        return Err(config.wrong("quantization_config", problem));
    }
    read(config)
}

//! What is wrong with a model directory is told with its file and its field or tensor.

use std::{error::Error, fs};

use engine::{Batch, ModelRunner, Output};
use kernels::{Isa, KvFormat, WeightFormat};
use models::Source;
use safetensors::Dtype;
use serde_json::json;

use crate::{
    fixture::Copy,
    runner::{Sequence, decoder, options},
};

/// The whole chain of the error that opening gives, without the directory's name.
#[track_caller]
fn refusal(copy: &Copy) -> String {
    let error = Source::open(&copy.root()).unwrap_err();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text.replace(&format!("{}/", copy.root().display()), "")
        .replace(&copy.root().display().to_string(), "DIR")
}

/// Opening with one changed field of config.json must be refused with these words.
#[track_caller]
fn field_is_refused(model: &str, field: &str, value: serde_json::Value, words: &str) {
    let copy = Copy::of(model);
    copy.set("config.json", field, value);
    let text = refusal(&copy);
    assert!(text.starts_with("config.json: field `"), "{text}");
    assert!(text.contains(words), "{text}");
}

#[test]
fn a_directory_without_config_is_refused() {
    let copy = Copy::of("qwen3");
    fs::remove_file(copy.path("config.json")).unwrap();
    assert!(refusal(&copy).starts_with("cannot read config.json: "), "{}", refusal(&copy));
}

#[test]
fn a_config_that_is_no_json_is_refused() {
    let copy = Copy::of("qwen3");
    fs::write(copy.path("config.json"), "{\"hidden_size\": ").unwrap();
    assert!(refusal(&copy).starts_with("config.json is not valid JSON: "), "{}", refusal(&copy));
}

#[test]
fn an_unknown_architecture_is_named_with_those_that_are_known() {
    let words = r#"`architectures` is ["GemmaForCausalLM"]; supported: Qwen3ForCausalLM, "#;
    field_is_refused("qwen3", "architectures", json!(["GemmaForCausalLM"]), words);
    field_is_refused("qwen3", "architectures", json!(null), "`architectures` is missing");
}

#[test]
fn a_field_that_is_missing_or_of_the_wrong_type_is_named() {
    field_is_refused("qwen3", "hidden_size", json!(null), "`hidden_size` is missing");
    field_is_refused(
        "qwen2",
        "vocab_size",
        json!("many"),
        "`vocab_size` cannot be used: invalid type",
    );
    field_is_refused(
        "llama3",
        "intermediate_size",
        json!(0),
        "`intermediate_size` must be at least 1",
    );
    field_is_refused("mistral", "sliding_window", json!(-1), "`sliding_window` cannot be used");
    field_is_refused("bert-mean", "layer_norm_eps", json!(null), "`layer_norm_eps` is missing");
    field_is_refused("qwen3", "num_hidden_layers", json!(1_u64 << 40), "impossibly large");
    field_is_refused("qwen3", "num_hidden_layers", json!(1025), "at most 1024");
    field_is_refused(
        "qwen3",
        "rms_norm_eps",
        json!(0.0),
        "`rms_norm_eps` is 0, and must be above 0",
    );
}

#[test]
fn head_counts_that_cannot_be_are_refused() {
    let words = "`num_key_value_heads` is 3, which does not divide 4 attention heads";
    field_is_refused("llama3", "num_key_value_heads", json!(3), words);
    let words = "`num_attention_heads` is 5, which does not divide the hidden size 96";
    field_is_refused("qwen2", "num_attention_heads", json!(5), words);
    let words = "`head_dim` makes heads 40 wide; supported are 32 to 256 in steps of 32";
    field_is_refused("qwen3", "head_dim", json!(40), words);
}

#[test]
fn what_we_cannot_compute_is_refused_by_name() {
    let words = "`hidden_act` is `gelu`; supported: silu";
    field_is_refused("qwen3", "hidden_act", json!("gelu"), words);
    let yarn = json!({"rope_type": "yarn", "factor": 4.0});
    let words = "`rope_scaling.rope_type` is `yarn`; supported: default, linear, llama3";
    field_is_refused("qwen3", "rope_scaling", yarn, words);
    let linear = json!({"type": "linear"});
    field_is_refused("qwen3", "rope_scaling", linear, "`rope_scaling.factor` is missing");
    let words = "`partial_rotary_factor` must be 1";
    field_is_refused("llama3", "partial_rotary_factor", json!(0.5), words);
    let words = "`position_embedding_type` is `relative_key`";
    field_is_refused("bert-mean", "position_embedding_type", json!("relative_key"), words);
    let words = "`quantization_config` is set: weights that are already quantised cannot be read";
    field_is_refused("qwen3", "quantization_config", json!({"bits": 4}), words);
}

#[test]
fn a_directory_without_weights_says_what_it_should_have() {
    let copy = Copy::of("qwen3");
    fs::remove_file(copy.path("model.safetensors")).unwrap();
    let words = "neither model.safetensors nor model.safetensors.index.json is there";
    assert_eq!(refusal(&copy), format!("DIR has no weights: {words}"));
    fs::write(copy.path("pytorch_model.bin"), "").unwrap();
    assert!(refusal(&copy).contains("save the model as safetensors"), "{}", refusal(&copy));
}

#[test]
fn truncated_weights_are_refused_at_every_length() {
    let copy = Copy::of("qwen3");
    let whole = fs::read(copy.path("model.safetensors")).unwrap();
    for length in [0, 7, 100, 5000, whole.len() / 2, whole.len() - 1] {
        fs::write(copy.path("model.safetensors"), &whole[..length]).unwrap();
        let text = refusal(&copy);
        let words = "model.safetensors is truncated or not a safetensors file; download it again";
        assert!(text.starts_with(words), "{length}: {text}");
    }
}

#[test]
fn a_missing_shard_and_a_tensor_missing_in_its_shard_are_named() {
    let copy = Copy::of("llama3");
    copy.set("model.safetensors.index.json", "weight_map", {
        let text = fs::read_to_string(copy.path("model.safetensors.index.json")).unwrap();
        let mut map =
            serde_json::from_str::<serde_json::Value>(&text).unwrap()["weight_map"].take();
        map["extra.weight"] = json!("model-00002-of-00002.safetensors");
        map
    });
    let words = "model-00002-of-00002.safetensors: tensor `extra.weight` is missing";
    assert_eq!(refusal(&copy), words);
    fs::remove_file(copy.path("model-00001-of-00002.safetensors")).unwrap();
    let words = "cannot read model-00001-of-00002.safetensors: ";
    assert!(refusal(&copy).starts_with(words), "{}", refusal(&copy));
}

#[test]
fn an_index_that_points_elsewhere_is_refused() {
    let copy = Copy::of("llama3");
    let map = json!({"model.norm.weight": "../other.safetensors"});
    copy.set("model.safetensors.index.json", "weight_map", map);
    assert!(
        refusal(&copy).contains("`weight_map` names `../other.safetensors`"),
        "{}",
        refusal(&copy)
    );
}

#[test]
fn a_missing_tensor_is_named() {
    let copy = Copy::of("qwen3");
    let name = "model.layers.1.self_attn.k_norm.weight";
    copy.rewrite(|tensors| tensors.retain(|tensor| tensor.name != name));
    assert_eq!(refusal(&copy), format!("DIR: tensor `{name}` is missing"));
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both_shapes() {
    let copy = Copy::of("qwen3");
    copy.rewrite(|tensors| {
        let tensor = tensors.iter_mut().find(|t| t.name.ends_with("0.mlp.up_proj.weight")).unwrap();
        tensor.shape.reverse();
    });
    let words = "model.safetensors: tensor `model.layers.0.mlp.up_proj.weight` has shape [64, 160], \
                 but config.json implies [160, 64]";
    assert_eq!(refusal(&copy), words);
}

#[test]
fn a_tensor_of_another_dtype_is_named() {
    let copy = Copy::of("qwen3");
    copy.rewrite(|tensors| {
        let tensor = tensors.iter_mut().find(|t| t.name == "model.norm.weight").unwrap();
        tensor.dtype = Dtype::I16;
    });
    let words = "model.safetensors: tensor `model.norm.weight` has dtype I16; \
                 BF16, F16 and F32 are supported";
    assert_eq!(refusal(&copy), words);
}

#[test]
fn weights_that_become_shorter_while_they_are_loaded_are_named() {
    let copy = Copy::of("qwen3");
    let source = Source::open(&copy.root()).unwrap();
    let path = copy.path("model.safetensors");
    fs::File::options().write(true).open(&path).unwrap().set_len(200_000).unwrap();
    let options = options(WeightFormat::Bf16, KvFormat::Bf16, Isa::best());
    let error = source.load(&options, &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read {}", path.display()));
}

#[test]
fn embeddings_that_cannot_be_read_any_more_fail_the_batch_and_not_the_process() {
    let copy = Copy::of("qwen3");
    let options = options(WeightFormat::Int8, KvFormat::Bf16, Isa::best());
    let mut decoder = decoder(&copy.root(), &options);
    let mut sequence = Sequence::new(1, &[1, 2, 3], 0, 1);
    let mut batch = || Batch { chunks: vec![sequence.chunk(1, Output::Argmax)] };
    assert_eq!(decoder.run(&batch()).unwrap().rows.len(), 1);
    let path = copy.path("model.safetensors");
    fs::File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
    let Err(error) = decoder.run(&batch()) else { panic!("there is nothing to read") };
    assert_eq!(error.0.to_string(), format!("cannot read {}", path.display()));
}

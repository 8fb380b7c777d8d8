//! The packed-weights cache: it saves work, and never decides whether a model loads.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use engine::Output;
use kernels::{Isa, KvFormat, WeightFormat};
use models::{Model, Options, Progress, Source, Stage};
use tempfile::TempDir;

use crate::{
    fixture::{Copy, Expected},
    runner::{Sequence, logits, options},
};

/// Loads with a cache; how the weights came, and the logits of a prompt.
fn load(model: &Path, cache: &Path, format: WeightFormat) -> (Stage, Vec<f32>) {
    let cache_dir = Some(cache.to_owned());
    let options = Options { cache_dir, ..options(format, KvFormat::Bf16, Isa::best()) };
    let source = Source::open(model).unwrap();
    let mut told: Vec<Progress> = Vec::new();
    let model = source.load(&options, &mut |progress| told.push(progress));
    let Model::Decoder(mut decoder) = model.unwrap() else { panic!("it is a decoder") };
    let last = *told.last().unwrap();
    let stage: Vec<_> = told.iter().filter(|progress| progress.stage == last.stage).collect();
    assert!(stage.is_sorted_by_key(|progress| progress.done_bytes), "{stage:?}");
    assert_eq!(last.done_bytes, last.total_bytes);
    let tokens = Expected::of("qwen3").tokens("short.tokens");
    let mut sequence = Sequence::new(1, &tokens, 0, 1);
    (last.stage, logits(&mut *decoder, vec![sequence.rest(Output::Logits)]).concat())
}

/// The one packed file of a cache folder.
fn packed_file(cache: &Path) -> std::path::PathBuf {
    let files: Vec<_> = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(files[0].extension().is_some_and(|extension| extension == "packed"), "{files:?}");
    files[0].clone()
}

#[test]
fn the_second_start_reads_what_the_first_one_packed_with_the_same_bits() {
    let model = Copy::of("qwen3");
    for format in [WeightFormat::Bf16, WeightFormat::Int8, WeightFormat::W8a8, WeightFormat::Int4] {
        let cache = TempDir::new().unwrap();
        let (stage, packed) = load(&model.root(), cache.path(), format);
        assert_eq!(stage, Stage::Packing);
        packed_file(cache.path());
        let (stage, read) = load(&model.root(), cache.path(), format);
        assert_eq!(stage, Stage::Reading);
        assert_eq!(packed, read, "{format}");
    }
}

#[test]
fn formats_and_models_keep_packings_of_their_own() {
    let (one, other) = (Copy::of("qwen3"), Copy::of("qwen3"));
    let cache = TempDir::new().unwrap();
    load(&one.root(), cache.path(), WeightFormat::Bf16);
    load(&one.root(), cache.path(), WeightFormat::Int8);
    load(&other.root(), cache.path(), WeightFormat::Bf16);
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 3);
    for (model, format) in
        [(&one, WeightFormat::Bf16), (&one, WeightFormat::Int8), (&other, WeightFormat::Bf16)]
    {
        assert_eq!(load(&model.root(), cache.path(), format).0, Stage::Reading);
    }
}

#[test]
fn changed_weights_are_packed_again_and_replace_the_old_packing() {
    let model = Copy::of("qwen3");
    let cache = TempDir::new().unwrap();
    let (_, before) = load(&model.root(), cache.path(), WeightFormat::Bf16);
    let first = packed_file(cache.path());
    model.rewrite(|tensors| {
        let norm = tensors.iter_mut().find(|t| t.name.ends_with("1.mlp.down_proj.weight")).unwrap();
        norm.data[..2000].fill(0);
    });
    let (stage, after) = load(&model.root(), cache.path(), WeightFormat::Bf16);
    assert_eq!(stage, Stage::Packing);
    assert_ne!(before, after);
    assert_ne!(packed_file(cache.path()), first);
}

#[test]
fn a_damaged_or_foreign_file_is_ignored_and_replaced() {
    let model = Copy::of("qwen3");
    let cache = TempDir::new().unwrap();
    let (_, expected) = load(&model.root(), cache.path(), WeightFormat::Bf16);
    let path = packed_file(cache.path());
    let whole = fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let damaged = [
        flipped(3),
        flipped(20),
        flipped(60),
        flipped(whole.len() / 2),
        whole[..whole.len() / 2].to_vec(),
        whole[..10].to_vec(),
        Vec::new(),
        b"something else entirely".repeat(100_000),
    ];
    for bytes in damaged {
        fs::write(&path, bytes).unwrap();
        let (stage, logits) = load(&model.root(), cache.path(), WeightFormat::Bf16);
        assert_eq!((stage, &logits), (Stage::Packing, &expected));
        assert_eq!(fs::read(&path).unwrap(), whole, "it should have been replaced");
    }
}

#[test]
fn a_cache_folder_that_cannot_be_written_is_no_failure() {
    let model = Copy::of("qwen3");
    let cache = TempDir::new().unwrap();
    // A file where the folder should be refuses everybody, root too.
    let file = cache.path().join("file");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    let (stage, _) = load(&model.root(), &file.join("folder"), WeightFormat::Bf16);
    assert_eq!(stage, Stage::Packing);
}

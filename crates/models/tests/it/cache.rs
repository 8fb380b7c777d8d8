//! The packed-weights cache: it saves work, and never decides whether a model loads.

use std::{
    env, fs,
    os::unix::fs::{FileExt, PermissionsExt},
    path::Path,
    process::Command,
    thread,
    time::{Duration, SystemTime},
};

use engine::Output;
use kernels::{Isa, KvFormat, WeightFormat};
use models::{CacheSettings, Model, Options, Progress, Source, Stage};
use safetensors::Dtype;
use tempfile::TempDir;

use crate::{
    fixture::{self, Copy, Expected, Tensor},
    runner::{Sequence, logits, options},
};

/// Loads with a cache; how the weights came, and the logits of a prompt.
fn load(model: &Path, cache: &Path, format: WeightFormat) -> (Stage, Vec<f32>) {
    load_within(model, cache, None, format)
}

/// As `load`, with a limit of the cache in bytes.
fn load_within(
    model: &Path,
    cache: &Path,
    bytes_max: Option<u64>,
    format: WeightFormat,
) -> (Stage, Vec<f32>) {
    let cache = Some(CacheSettings { directory: cache.to_owned(), bytes_max, bytes_min: 0 });
    let options = Options { cache, ..options(format, KvFormat::Bf16, Isa::best()) };
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

/// Sets when a file was last used, seconds ago.
fn used(path: &Path, seconds_ago: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds_ago);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn what_was_not_used_for_longest_makes_room() {
    let models: [Copy; 3] = std::array::from_fn(|_| Copy::of("qwen3"));
    let cache = TempDir::new().unwrap();
    let start =
        |model: &Copy, max| load_within(&model.root(), cache.path(), max, WeightFormat::Bf16).0;
    assert_eq!(start(&models[0], None), Stage::Packing);
    let first = packed_file(cache.path());
    let max = Some(fs::metadata(&first).unwrap().len() * 5 / 2);
    assert_eq!(start(&models[1], max), Stage::Packing);
    for entry in fs::read_dir(cache.path()).unwrap() {
        let path = entry.unwrap().path();
        used(&path, if path == first { 200 } else { 100 });
    }
    // Being read counts as a use.
    assert_eq!(start(&models[0], max), Stage::Reading);
    assert_eq!(start(&models[2], max), Stage::Packing);
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 2);
    assert_eq!(start(&models[0], max), Stage::Reading);
    assert_eq!(start(&models[2], max), Stage::Reading);
    assert_eq!(start(&models[1], max), Stage::Packing);
}

#[test]
fn what_is_larger_than_the_limit_is_not_kept() {
    let model = Copy::of("qwen3");
    let cache = TempDir::new().unwrap();
    load(&model.root(), cache.path(), WeightFormat::Int8);
    for max in [0, 1000] {
        let (stage, _) = load_within(&model.root(), cache.path(), Some(max), WeightFormat::Bf16);
        assert_eq!(stage, Stage::Packing);
        packed_file(cache.path());
    }
    assert_eq!(load(&model.root(), cache.path(), WeightFormat::Int8).0, Stage::Reading);
}

#[test]
fn weights_that_were_replaced_by_others_of_the_same_size_and_time_are_noticed() {
    const UNUSED: usize = 8 << 20;
    let model = Copy::of("qwen3");
    // So large that the samples of the key do not cover it.
    model.rewrite(|tensors| {
        let (name, shape, data) = ("unused".into(), vec![UNUSED], vec![0; UNUSED]);
        tensors.push(Tensor { name, dtype: Dtype::U8, shape, data });
    });
    let cache = TempDir::new().unwrap();
    load(&model.root(), cache.path(), WeightFormat::Bf16);
    assert_eq!(load(&model.root(), cache.path(), WeightFormat::Bf16).0, Stage::Reading);
    let file = fs::File::options().write(true).open(model.path("model.safetensors")).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    let step = file.metadata().unwrap().len() / 256;
    file.write_all_at(&[1], step * 100 + step / 2).unwrap();
    file.set_modified(modified).unwrap();
    assert_eq!(load(&model.root(), cache.path(), WeightFormat::Bf16).0, Stage::Packing);
}

#[test]
fn folder_and_files_are_for_this_user_alone() {
    let model = Copy::of("qwen3");
    let home = TempDir::new().unwrap();
    let cache = home.path().join("deep/cache");
    load(&model.root(), &cache, WeightFormat::Bf16);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&cache), mode(cache.parent().unwrap())), (0o700, 0o700));
    let file = packed_file(&cache);
    assert_eq!(mode(&file), 0o600);
    // Whoever may write weights decides what the model says.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(load(&model.root(), &cache, WeightFormat::Bf16).0, Stage::Packing);
    assert_eq!(mode(&packed_file(&cache)), 0o600);
    assert_eq!(load(&model.root(), &cache, WeightFormat::Bf16).0, Stage::Reading);
}

#[test]
fn those_that_start_at_once_do_not_disturb_each_other() {
    let model = Copy::of("qwen3");
    let cache = TempDir::new().unwrap();
    let (_, expected) = load(&model.root(), cache.path(), WeightFormat::Bf16);
    fs::remove_file(packed_file(cache.path())).unwrap();
    thread::scope(|scope| {
        let start = || load(&model.root(), cache.path(), WeightFormat::Bf16).1;
        let all: Vec<_> = (0..6).map(|_| scope.spawn(start)).collect();
        for one in all {
            assert_eq!(one.join().unwrap(), expected);
        }
    });
    packed_file(cache.path());
    assert_eq!(load(&model.root(), cache.path(), WeightFormat::Bf16), (Stage::Reading, expected));
}

#[test]
fn what_a_crash_left_behind_goes_after_a_while() {
    let model = Copy::of("qwen3");
    let cache = TempDir::new().unwrap();
    let (fresh, old) = (cache.path().join("a1.tmp"), cache.path().join("a2.tmp"));
    fs::write(&fresh, "of somebody who still writes").unwrap();
    fs::write(&old, "of somebody who was killed").unwrap();
    used(&old, 2 * 3600);
    load(&model.root(), cache.path(), WeightFormat::Bf16);
    assert!(fresh.exists() && !old.exists());
}

/// A limit of the size of files refuses a write in its middle, as a full disk does. It is a limit of the
/// process, so this test runs itself once more.
#[test]
fn a_disk_that_becomes_full_is_no_failure_and_leaves_nothing_behind() {
    const CHILD: &str = "MODELS_TEST_OF_A_FULL_DISK";
    if env::var_os(CHILD).is_none() {
        let own = "cache::a_disk_that_becomes_full_is_no_failure_and_leaves_nothing_behind";
        let limited = format!("trap '' XFSZ; ulimit -f 100; exec \"$0\" --exact {own}");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(limited).arg(env::current_exe().unwrap()).env(CHILD, "1");
        let output = shell.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
        return;
    }
    let cache = TempDir::new().unwrap();
    let model = fixture::directory("qwen3");
    for _ in 0..2 {
        assert_eq!(load(&model, cache.path(), WeightFormat::Bf16).0, Stage::Packing);
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
    }
}

#[test]
fn small_models_are_not_kept() {
    let model = Copy::of("qwen3");
    let cache = TempDir::new().unwrap();
    let cache_of = |bytes_min| CacheSettings {
        directory: cache.path().join("cache"),
        bytes_max: None,
        bytes_min,
    };
    for (bytes_min, kept) in [(1 << 20, false), (1 << 10, true)] {
        let cache = Some(cache_of(bytes_min));
        let options = Options { cache, ..options(WeightFormat::Bf16, KvFormat::Bf16, Isa::best()) };
        drop(Source::open(&model.root()).unwrap().load(&options, &mut |_| {}).unwrap());
        assert_eq!(cache_of(0).directory.exists(), kept);
    }
}

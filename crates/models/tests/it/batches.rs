//! What a decoder does with batches that it cannot run, and what it says about itself.

use engine::{Batch, ModelRunner, Output, Row};
use kernels::{Isa, KvFormat, WeightFormat};
use models::{BatchError, Decoder, ModelKind, Options, Source};
use safetensors::Dtype;

use crate::{
    fixture::{self, Copy, Expected},
    runner::{KV_BLOCKS, Sequence, decoder, isas, logits, options},
};

fn qwen3() -> (Decoder, Vec<u32>) {
    let options = options(WeightFormat::Bf16, KvFormat::Bf16, Isa::best());
    let runner = decoder(&fixture::directory("qwen3"), &options);
    (runner, Expected::of("qwen3").tokens("long.tokens"))
}

/// Why a batch is not run.
#[track_caller]
fn refusal(runner: &mut Decoder, chunks: Vec<engine::Chunk>) -> BatchError {
    let error = runner.run(&Batch { chunks }).unwrap_err();
    *error.0.downcast().unwrap()
}

#[test]
fn a_decoder_tells_its_limits() {
    let (runner, _) = qwen3();
    let shape = runner.shape();
    assert_eq!((shape.vocab, shape.max_positions, shape.kv_blocks), (512, 256, KV_BLOCKS));
    assert_eq!((shape.max_batch_tokens, shape.max_sequences), (160, 8));
}

#[test]
fn a_batch_that_cannot_be_run_is_refused_and_the_next_one_runs() {
    let (mut runner, tokens) = qwen3();
    let expected = logits(&mut runner, vec![Sequence::new(1, &tokens, 0, 1).rest(Output::Logits)]);
    let whole = |id| Sequence::new(id, &tokens, 3 * id as u32, 1).rest(Output::Nothing);

    let chunks = (0..3).map(whole).collect();
    let error = BatchError::TooLarge { what: "tokens", found: 240, most: 160 };
    assert_eq!(refusal(&mut runner, chunks), error);

    let single = |id| Sequence::new(id, &tokens, id as u32, 1).chunk(1, Output::Nothing);
    let chunks = (0..9).map(single).collect();
    let error = BatchError::TooLarge { what: "chunks", found: 9, most: 8 };
    assert_eq!(refusal(&mut runner, chunks), error);

    let mut chunk = whole(1);
    chunk.tokens[7] = 512;
    let error = BatchError::UnknownToken { token: 512, vocab: 512 };
    assert_eq!(refusal(&mut runner, vec![chunk]), error);

    let mut chunk = whole(1);
    chunk.position = 200;
    let error = BatchError::Position { position: 279, max_positions: 256 };
    assert_eq!(refusal(&mut runner, vec![chunk]), error);

    let mut chunk = whole(1);
    chunk.position = 32;
    let error = refusal(&mut runner, vec![chunk]);
    assert_eq!(error.to_string(), "span 0 needs 4 blocks and has 3");

    let shared = (0..2).map(|id| Sequence::new(id, &tokens[..9], 5, 1).rest(Output::Nothing));
    let error = refusal(&mut runner, shared.collect());
    assert_eq!(error.to_string(), "block 5 is written by two spans");

    let again = logits(&mut runner, vec![Sequence::new(1, &tokens, 0, 1).rest(Output::Logits)]);
    assert_eq!(again, expected);
}

/// A copy of a checkpoint in which the vector of this token is no number.
fn with_a_broken_token(token: usize) -> Copy {
    let copy = Copy::of("qwen3");
    copy.rewrite(|tensors| {
        let name = "model.embed_tokens.weight";
        let tensor = tensors.iter_mut().find(|tensor| tensor.name == name).unwrap();
        assert_eq!(tensor.dtype, Dtype::BF16);
        let width = 2 * tensor.shape[1];
        let row = &mut tensor.data[token * width..][..width];
        row.as_chunks_mut().0.fill(0x7fc0_u16.to_le_bytes());
    });
    copy
}

#[test]
fn logits_that_are_no_numbers_end_their_own_sequence_only() {
    let tokens = Expected::of("qwen3").tokens("long.tokens");
    let broken = (0..512).find(|token| !tokens.contains(token)).unwrap();
    let copy = with_a_broken_token(broken as usize);
    let mut spoilt = tokens[..20].to_vec();
    spoilt[9] = broken;
    for isa in isas() {
        let options = options(WeightFormat::Bf16, KvFormat::Bf16, isa);
        let mut runner = decoder(&copy.root(), &options);
        let alone = Sequence::new(1, &tokens[..20], 0, 1).rest(Output::Logits);
        let [expected] = &logits(&mut runner, vec![alone])[..] else { panic!("one row") };

        let chunks = vec![
            Sequence::new(2, &spoilt, 2, 1).rest(Output::Argmax),
            Sequence::new(3, &tokens[..20], 4, 1).rest(Output::Logits),
            Sequence::new(4, &spoilt, 6, 1).rest(Output::Logits),
            Sequence::new(5, &tokens[..7], 8, 1).rest(Output::Argmax),
        ];
        let output = runner.run(&Batch { chunks }).unwrap();
        let [Row::NotANumber, Row::Logits(logits), Row::NotANumber, Row::Argmax(_)] =
            &output.rows[..]
        else {
            panic!("{isa}: {:?}", output.rows)
        };
        // Bits, for the logit of the broken token itself is no number.
        assert!(logits.iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits()), "{isa}");

        // Nor do its keys and values harm those that get its blocks after it.
        let later = Sequence::new(6, &tokens[..20], 2, 1).rest(Output::Logits);
        let output = runner.run(&Batch { chunks: vec![later] }).unwrap();
        let [Row::Logits(logits)] = &output.rows[..] else { panic!("{isa}: {:?}", output.rows) };
        assert!(logits.iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits()), "{isa}");
    }
}

#[test]
fn options_that_leave_nothing_to_run_are_refused_by_name() {
    let source = Source::open(&fixture::directory("qwen3")).unwrap();
    let fine = options(WeightFormat::Bf16, KvFormat::Bf16, Isa::best());
    for (option, options) in [
        ("threads", Options { threads: 0, ..fine.clone() }),
        ("max_batch_tokens", Options { max_batch_tokens: 0, ..fine.clone() }),
        ("max_sequences", Options { max_sequences: 0, ..fine.clone() }),
        ("kv_blocks", Options { kv_blocks: 0, ..fine.clone() }),
    ] {
        let error = source.load(&options, &mut |_| {}).unwrap_err();
        assert_eq!(error.to_string(), format!("option `{option}`: must be at least 1"));
    }
}

#[test]
fn the_plan_counts_weights_and_tokens_by_their_formats() {
    let source = Source::open(&fixture::directory("qwen3")).unwrap();
    assert_eq!((source.kind(), source.vocab_size()), (ModelKind::Decoder, 512));
    let plan = |format, kv_format| source.plan(&options(format, kv_format, Isa::best()));
    let whole = plan(WeightFormat::Bf16, KvFormat::Bf16);
    // 3 layers of keys and values, 1 head of 64, 2 bytes.
    assert_eq!(whole.kv_bytes_per_token, 3 * 2 * 64 * 2);
    // A scale of 4 bytes for keys and for values.
    let kv8 = plan(WeightFormat::Bf16, KvFormat::Int8);
    assert_eq!(kv8.kv_bytes_per_token, 3 * 2 * (64 + 4));
    // hidden 64, queries 128, keys and values 64 each, intermediate 160, vocabulary 512.
    let layer = (128 + 64 + 64) * 64 + 64 * 128 + 2 * 160 * 64 + 64 * 160;
    assert_eq!(whole.weights_bytes, 2 * (512 * 64 + 3 * layer));
    let total = whole.weights_bytes + whole.scratch_bytes;
    let kv_bytes = KV_BLOCKS * engine::BLOCK_TOKENS * whole.kv_bytes_per_token;
    assert_eq!(whole.total_bytes, total + kv_bytes);
    // Inputs are padded to 64, which these small matrices are not always.
    let eight = plan(WeightFormat::Int8, KvFormat::Bf16);
    assert!(eight.weights_bytes < whole.weights_bytes * 6 / 10, "{eight:?}");
    let four = plan(WeightFormat::Int4, KvFormat::Bf16);
    assert!(four.weights_bytes < whole.weights_bytes * 35 / 100, "{four:?}");
}

//! A sequence's logits have the same bits however it is run. The engine's prefix cache relies on it.

use engine::Output;
use kernels::{Isa, KvFormat, WeightFormat};
use models::Decoder;

use crate::{
    fixture::{self, Expected},
    runner::{Sequence, decoder, isas, logits, options},
};

const FORMATS: [WeightFormat; 4] =
    [WeightFormat::Bf16, WeightFormat::Int8, WeightFormat::W8a8, WeightFormat::Int4];

/// The bits of the logits after the last of `tokens`, run in chunks of these lengths.
fn chunked(runner: &mut Decoder, tokens: &[u32], lengths: &[usize]) -> Vec<u32> {
    let mut sequence = Sequence::new(1, tokens, 20, 7);
    for length in lengths {
        logits(runner, vec![sequence.chunk(*length, Output::Nothing)]);
    }
    bits(&logits(runner, vec![sequence.rest(Output::Logits)])[0])
}

/// The same, beside other sequences that are before and behind it in the batch.
fn in_company(runner: &mut Decoder, tokens: &[u32]) -> Vec<u32> {
    let mut before = Sequence::new(1, &tokens[5..42], 0, 1);
    let mut ours = Sequence::new(2, tokens, 4, 2);
    let mut behind = Sequence::new(3, &tokens[9..], 13, 2);
    let first = vec![before.chunk(36, Output::Nothing), ours.chunk(33, Output::Nothing)];
    logits(runner, first);
    let second = vec![
        before.chunk(1, Output::Logits),
        ours.rest(Output::Logits),
        behind.chunk(50, Output::Nothing),
    ];
    bits(&logits(runner, second)[1])
}

/// The same, with its first two blocks run by another sequence.
fn from_the_prefix_cache(runner: &mut Decoder, tokens: &[u32]) -> Vec<u32> {
    let mut other = Sequence::new(1, &tokens[..70], 2, 3);
    logits(runner, vec![other.rest(Output::Nothing)]);
    let mut ours = Sequence::new(2, tokens, 15, 1).with_prefix_of(&other, 2);
    bits(&logits(runner, vec![ours.rest(Output::Logits)])[0])
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|logit| logit.to_bits()).collect()
}

/// Every way to run one sequence, on one, two and three threads, must give the same bits.
#[track_caller]
fn check(model: &str, format: WeightFormat, kv_format: KvFormat, isa: Isa) {
    let tokens = Expected::of(model).tokens("long.tokens");
    let mut alone = None;
    for threads in 1..=3 {
        let options = models::Options { threads, ..options(format, kv_format, isa) };
        let mut runner = decoder(&fixture::directory(model), &options);
        let alone = alone.get_or_insert_with(|| chunked(&mut runner, &tokens, &[]));
        let ways = [
            ("whole", chunked(&mut runner, &tokens, &[])),
            ("in halves", chunked(&mut runner, &tokens, &[40])),
            ("in odd chunks", chunked(&mut runner, &tokens, &[1, 31, 7, 26, 14])),
            ("token by token", chunked(&mut runner, &tokens, &[1; 79])),
            ("in company", in_company(&mut runner, &tokens)),
            ("from the prefix cache", from_the_prefix_cache(&mut runner, &tokens)),
        ];
        for (way, found) in ways {
            let same = found == *alone;
            assert!(
                same,
                "{model}, {format:?}, KV {kv_format:?}, {isa:?}, {threads} threads: {way}"
            );
        }
    }
}

#[test]
fn every_way_gives_the_same_bits_in_every_format() {
    for isa in isas() {
        for format in FORMATS {
            for kv_format in [KvFormat::Bf16, KvFormat::Int8] {
                check("qwen3", format, kv_format, isa);
            }
        }
    }
}

#[test]
fn every_way_gives_the_same_bits_in_every_architecture() {
    for isa in isas() {
        for model in ["qwen2", "llama3", "mistral", "mistral-window"] {
            check(model, WeightFormat::Bf16, KvFormat::Bf16, isa);
            check(model, WeightFormat::W8a8, KvFormat::Int8, isa);
        }
    }
}

//! Logits against those that the reference implementation computed.

use std::path::Path;

use engine::{Batch, ModelRunner, Output, Row};
use kernels::{Isa, KvFormat, WeightFormat, bf16};

use crate::{
    fixture::{self, Copy, Expected, Tensor},
    runner::{Sequence, decoder, isas, logits, options},
};

const DECODERS: [&str; 5] = ["qwen3", "qwen2", "llama3", "mistral", "mistral-window"];

/// All recorded positions of a model, one after another: ours, the reference's in f32 and in bf16.
struct Comparison {
    ours: Vec<f32>,
    f32: Vec<f32>,
    bf16: Vec<f32>,
    vocab: usize,
}

impl Comparison {
    /// The model in `directory`, run on the tokens that are recorded of `model`.
    fn of(
        model: &str,
        directory: &Path,
        format: WeightFormat,
        kv_format: KvFormat,
        isa: Isa,
    ) -> Self {
        let expected = Expected::of(model);
        let mut runner = decoder(directory, &options(format, kv_format, isa));
        let vocab = runner.shape().vocab;
        let (mut ours, mut f32, mut bf16) = (Vec::new(), Vec::new(), Vec::new());
        for prompt in ["short", "long"] {
            let tokens = expected.tokens(&format!("{prompt}.tokens"));
            f32.extend(expected.numbers(&format!("{prompt}.logits.f32")));
            bf16.extend(expected.numbers(&format!("{prompt}.logits.bf16")));
            // What is not recorded is run as one chunk, then each token by itself.
            let recorded = (f32.len() - ours.len()) / vocab;
            let mut sequence = Sequence::new(1, &tokens, 3, 5);
            if recorded < tokens.len() {
                let chunk = sequence.chunk(tokens.len() - recorded, Output::Nothing);
                logits(&mut runner, vec![chunk]);
            }
            for _ in 0..recorded {
                let chunk = sequence.chunk(1, Output::Logits);
                ours.extend(logits(&mut runner, vec![chunk]).concat());
            }
        }
        Self { ours, f32, bf16, vocab }
    }

    /// The least cosine of any position with the reference in f32.
    fn cosine(&self) -> f64 {
        let rows = self.ours.chunks(self.vocab).zip(self.f32.chunks(self.vocab));
        rows.map(|(ours, theirs)| cosine(ours, theirs)).fold(1.0, f64::min)
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn root_mean_square_error(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    (sum / a.len() as f64).sqrt()
}

#[test]
fn bf16_is_at_least_as_close_to_f32_as_the_reference_in_bf16() {
    for isa in isas() {
        for model in DECODERS {
            let compared = {
                let directory = fixture::directory(model);
                Comparison::of(model, &directory, WeightFormat::Bf16, KvFormat::Bf16, isa)
            };
            let ours = root_mean_square_error(&compared.ours, &compared.f32);
            let theirs = root_mean_square_error(&compared.bf16, &compared.f32);
            assert!(ours <= theirs, "{model} on {isa:?}: {ours} against {theirs}");
            assert!(theirs > 0.0, "{model}: the recorded bf16 logits are those of f32");
        }
    }
}

/// Random models as small as these amplify every rounding; `examples/quality.rs` measures a large one.
/// This finds what is wrong, not what is coarse.
#[test]
fn eight_bits_stay_close_to_f32() {
    let least = [
        (WeightFormat::Bf16, KvFormat::Int8, 0.995),
        (WeightFormat::Int8, KvFormat::Bf16, 0.98),
        (WeightFormat::Int8, KvFormat::Int8, 0.98),
        (WeightFormat::W8a8, KvFormat::Bf16, 0.98),
    ];
    for isa in isas() {
        for model in DECODERS {
            for (format, kv_format, least) in least {
                let directory = fixture::directory(model);
                let found = Comparison::of(model, &directory, format, kv_format, isa).cosine();
                assert!(found >= least, "{model}, {format}, KV {kv_format}, {isa}: {found}");
            }
        }
    }
}

/// The least and the largest weight in units of its scale.
fn levels(format: WeightFormat) -> (f32, f32) {
    if format == WeightFormat::Int4 { (-8.0, 7.0) } else { (-127.0, 127.0) }
}

/// Replaces every matrix by one near it that these levels hold exactly, with a scale for each row,
/// or for each part of it.
fn make_exact(tensor: &mut Tensor, (low, high): (f32, f32)) {
    let [_, width] = tensor.shape[..] else { return };
    let bytes = tensor.data.as_chunks::<2>().0.iter();
    let mut values: Vec<f32> = bytes.map(|b| bf16::to_f32(u16::from_le_bytes(*b))).collect();
    for row in values.chunks_mut(width) {
        let largest = row.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let unit = (largest / high).log2().round().exp2();
        // Each part of 32 has a weight of the full size, so that its scale is the row's.
        for part in row.chunks_mut(32) {
            for value in part.iter_mut() {
                *value = (*value / unit).round().clamp(low, high) * unit;
            }
            part[0] = low * unit;
        }
    }
    tensor.data = values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect();
}

#[test]
fn weights_that_a_format_holds_exactly_lose_nothing() {
    for format in [WeightFormat::Int8, WeightFormat::W8a8, WeightFormat::Int4] {
        let copy = Copy::of("qwen3");
        copy.rewrite(|tensors| tensors.iter_mut().for_each(|t| make_exact(t, levels(format))));
        for isa in isas() {
            let run = |format| Comparison::of("qwen3", &copy.root(), format, KvFormat::Bf16, isa);
            let (whole, packed) = (run(WeightFormat::Bf16).ours, run(format).ours);
            // Eight bits of activations are what remains of the error of W8A8.
            let least = if format == WeightFormat::W8a8 { 0.99 } else { 0.9995 };
            let found = cosine(&whole, &packed);
            assert!(found >= least, "{format} on {isa}: {found}");
        }
    }
}

#[test]
fn the_argmax_is_that_of_the_logits() {
    for isa in isas() {
        for model in DECODERS {
            let tokens = Expected::of(model).tokens("long.tokens");
            let mut runner = decoder(
                &fixture::directory(model),
                &options(WeightFormat::Bf16, KvFormat::Bf16, isa),
            );
            for length in [1, 17, 33, 80] {
                let mut sequence = Sequence::new(1, &tokens[..length], 0, 1);
                let rows = logits(&mut runner, vec![sequence.rest(Output::Logits)]);
                let best =
                    (0..rows[0].len()).rev().max_by(|a, b| rows[0][*a].total_cmp(&rows[0][*b]));
                sequence.run = 0;
                let batch = Batch { chunks: vec![sequence.rest(Output::Argmax)] };
                let output = runner.run(&batch).unwrap();
                let Row::Argmax(token) = output.rows[0] else { panic!("an argmax was asked for") };
                assert_eq!(Some(token as usize), best, "{model} on {isa:?}, {length} tokens");
            }
        }
    }
}

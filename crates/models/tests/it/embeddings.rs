//! Vectors of encoders against those that the reference implementation computed.

use kernels::{Isa, KvFormat, WeightFormat};
use models::{Encoder, Model, Options, Source};
use serde_json::json;

use crate::{
    fixture::{self, Copy, Expected},
    runner::{isas, options},
};

const ENCODERS: [&str; 4] = ["bert-mean", "bert-cls", "roberta", "xlm-roberta"];
const TEXTS: [&str; 3] = ["text0", "text1", "text2"];

fn encoder(model: &str, options: &Options) -> Encoder {
    let source = Source::open(&fixture::directory(model)).unwrap();
    match source.load(options, &mut |_| {}).unwrap() {
        Model::Encoder(encoder) => *encoder,
        Model::Decoder(_) => panic!("{model} is an encoder"),
    }
}

fn texts(model: &str) -> Vec<Vec<u32>> {
    let expected = Expected::of(model);
    TEXTS.iter().map(|text| expected.tokens(&format!("{text}.tokens"))).collect()
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn bf16_is_at_least_as_close_to_f32_as_the_reference_in_bf16() {
    for isa in isas() {
        for model in ENCODERS {
            let expected = Expected::of(model);
            let mut encoder = encoder(model, &options(WeightFormat::Bf16, KvFormat::Bf16, isa));
            let vectors = encoder.embed(&texts(model)).unwrap();
            let (mut ours, mut theirs) = (0.0, 0.0);
            for (vector, text) in vectors.iter().zip(TEXTS) {
                let exact = expected.numbers(&format!("{text}.embedding.f32"));
                ours += distance(vector, &exact);
                theirs += distance(&expected.numbers(&format!("{text}.embedding.bf16")), &exact);
                let length: f32 = vector.iter().map(|value| value * value).sum();
                assert!((length - 1.0).abs() < 1e-5, "{model}, {text}: length {length}");
            }
            assert!(ours <= theirs, "{model} on {isa:?}: {ours} against {theirs}");
        }
    }
}

#[test]
fn fewer_bits_stay_close_to_f32() {
    for (format, most) in
        [(WeightFormat::Int8, 0.02), (WeightFormat::W8a8, 0.05), (WeightFormat::Int4, 0.2)]
    {
        for model in ENCODERS {
            let expected = Expected::of(model);
            let mut encoder = encoder(model, &options(format, KvFormat::Bf16, Isa::best()));
            let vectors = encoder.embed(&texts(model)).unwrap();
            for (vector, text) in vectors.iter().zip(TEXTS) {
                let found = distance(vector, &expected.numbers(&format!("{text}.embedding.f32")));
                assert!(found <= most, "{model}, {format}, {text}: {found}");
            }
        }
    }
}

#[test]
fn a_text_has_the_same_bits_alone_and_in_company() {
    for isa in isas() {
        for threads in 1..=3 {
            let options = Options { threads, ..options(WeightFormat::Bf16, KvFormat::Bf16, isa) };
            let mut encoder = encoder("bert-mean", &options);
            let texts = texts("bert-mean");
            let together = encoder.embed(&texts).unwrap();
            for (text, vector) in texts.iter().zip(&together) {
                let alone = encoder.embed(std::slice::from_ref(text)).unwrap();
                assert_eq!(alone[0], *vector, "{isa}, {threads} threads");
            }
        }
    }
}

#[test]
fn more_texts_than_one_batch_takes_are_run_in_several() {
    let options = options(WeightFormat::Bf16, KvFormat::Bf16, Isa::best());
    let mut encoder = encoder("bert-mean", &options);
    let texts = texts("bert-mean");
    let once = encoder.embed(&texts).unwrap();
    let many: Vec<_> = texts.iter().cycle().take(60).cloned().collect();
    assert!(many.iter().map(Vec::len).sum::<usize>() > 2 * options.max_batch_tokens);
    for (index, vector) in encoder.embed(&many).unwrap().iter().enumerate() {
        assert_eq!(*vector, once[index % 3], "text {index}");
    }
}

#[test]
fn a_text_that_is_empty_too_long_or_has_unknown_tokens_is_refused() {
    let options = options(WeightFormat::Bf16, KvFormat::Bf16, Isa::best());
    let mut encoder = encoder("bert-mean", &options);
    let mut refusal = |text: Vec<u32>| encoder.embed(&[text]).unwrap_err().to_string();
    assert_eq!(refusal(Vec::new()), "text 0 has no tokens");
    assert_eq!(refusal(vec![1; 129]), "text 0 has 129 tokens, and the model takes 128");
    assert_eq!(refusal(vec![1, 320]), "text 0: token 320 is not below 320, the vocabulary's size");
}

#[test]
fn a_roberta_counts_its_positions_from_behind_the_padding_token() {
    let encoder = encoder("roberta", &options(WeightFormat::Bf16, KvFormat::Bf16, Isa::best()));
    // Its table has 130 rows, of which the first two are never used.
    assert_eq!(encoder.max_tokens(), 128);
    let copy = Copy::of("roberta");
    copy.set("config.json", "pad_token_id", json!(129));
    let error = Source::open(&copy.root()).unwrap_err().to_string();
    assert!(error.ends_with("field `pad_token_id` leaves no row for positions"), "{error}");
}

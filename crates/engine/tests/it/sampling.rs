//! What the sampler chooses, beside the plain way of computing it.

use engine::{NoToken, SampleContext, Sampled, Sampler, SamplingParams, TokenId, TokenMask};
use proptest::prelude::*;

fn sample(logits: &[f32], params: &SamplingParams, position: usize) -> Sampled {
    let history = vec![0; position];
    let context = SampleContext { params, prompt: &history, output: &[], mask: None };
    Sampler::new().sample(&mut logits.to_vec(), &context).unwrap()
}

/// The probability of each token, by sorting all of them, in f64.
fn probabilities(logits: &[f32], params: &SamplingParams) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weigh = |logit: f32| f64::exp(f64::from(logit - highest) / f64::from(params.temperature));
    let mut sorted: Vec<_> = logits.iter().map(|&logit| weigh(logit)).enumerate().collect();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    sorted.retain(|(_, weight)| *weight >= f64::from(params.min_p));
    if params.top_k > 0 {
        sorted.truncate(params.top_k);
    }
    let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let mut before = 0.0;
    sorted.retain(|(_, weight)| {
        let keep = before < f64::from(params.top_p) * total;
        before += weight;
        keep
    });
    let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let mut probabilities = vec![0.0; logits.len()];
    for (token, weight) in sorted {
        probabilities[token] = weight / total;
    }
    probabilities
}

/// Logits without ties near a cut, so that rounding decides nothing.
fn logits() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(0..60_u8, 5..40)
        .prop_map(|steps| steps.iter().map(|&step| f32::from(step) / 8.0).collect())
}

fn params() -> impl Strategy<Value = SamplingParams> {
    let temperature = prop::sample::select(vec![0.5_f32, 1.0, 1.7]);
    let top_k = prop::sample::select(vec![0, 0, 1, 3, 10]);
    let top_p = prop::sample::select(vec![1.0_f32, 0.123, 0.62, 0.951]);
    let min_p = prop::sample::select(vec![0.0_f32, 0.0, 0.0317, 0.41]);
    (temperature, top_k, top_p, min_p).prop_map(|(temperature, top_k, top_p, min_p)| {
        SamplingParams { temperature, top_k, top_p, min_p, ..SamplingParams::default() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn tokens_are_drawn_as_often_as_they_are_likely(logits in logits(), params in params()) {
        const DRAWS: usize = 4000;
        let expected = probabilities(&logits, &params);
        let mut counts = vec![0_u32; logits.len()];
        for position in 0..DRAWS {
            counts[sample(&logits, &params, position).token as usize] += 1;
        }
        for (token, (&count, expected)) in counts.iter().zip(expected).enumerate() {
            let drawn = f64::from(count) / DRAWS as f64;
            // Six standard deviations; and three draws for tokens so rare that one is many of them.
            let slack = 6.0 * (expected * (1.0 - expected) / DRAWS as f64).sqrt();
            let rare = 3.0 / DRAWS as f64;
            prop_assert!((drawn - expected).abs() <= slack + rare, "{token}: {drawn} {expected}");
        }
    }

    #[test]
    fn logprobs_are_those_of_the_model_whatever_else_is_asked(
        logits in logits(),
        params in params(),
        top in 0..8_usize,
    ) {
        let params = SamplingParams {
            logprobs: Some(top),
            logit_bias: vec![(2, -7.0)],
            ..params
        };
        let sampled = sample(&logits, &params, 3);
        let plain = probabilities(&logits, &SamplingParams::default());
        let close = |logprob: f32, token: TokenId| {
            (f64::from(logprob) - plain[token as usize].ln()).abs() < 1e-4
        };
        prop_assert!(close(sampled.logprob.unwrap(), sampled.token));
        prop_assert_eq!(sampled.top.len(), top.min(logits.len()));
        prop_assert!(sampled.top.iter().all(|&(token, logprob)| close(logprob, token)));
        let told = |at: usize| (sampled.top[at].1, std::cmp::Reverse(sampled.top[at].0));
        prop_assert!((1..sampled.top.len()).all(|at| told(at - 1) > told(at)));
    }
}

/// A vocabulary as large as real ones, with a few likely tokens far apart.
fn large() -> Vec<f32> {
    let mut logits: Vec<_> =
        (0..151_936_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 20) as f32 / 512.0).collect();
    for (token, logit) in [(7, 20.0), (70_000, 21.0), (151_935, 19.0)] {
        logits[token] = logit;
    }
    logits
}

#[test]
fn a_large_vocabulary_is_drawn_from_like_a_small_one() {
    let logits = large();
    let filters = [
        SamplingParams { top_k: 3, ..SamplingParams::default() },
        SamplingParams { top_p: 0.9, ..SamplingParams::default() },
        SamplingParams { min_p: 0.1, ..SamplingParams::default() },
    ];
    for params in filters {
        let mut counts = [0_u32; 3];
        for position in 0..200 {
            let token = sample(&logits, &params, position).token;
            counts[[70_000, 7, 151_935].iter().position(|&it| it == token).unwrap()] += 1;
        }
        // 0.665, 0.245, 0.09
        assert!(counts[0] > counts[1] && counts[1] > counts[2], "{counts:?}");
    }
    let counted: std::collections::BTreeSet<_> = (0..50)
        .map(|position| sample(&vec![0.0; 151_936], &SamplingParams::default(), position).token)
        .collect();
    assert!(counted.len() > 40, "all are as likely: {counted:?}");
}

#[test]
fn greedy_takes_the_lowest_of_the_highest() {
    let greedy = SamplingParams::greedy();
    assert_eq!(sample(&[0.0, 3.0, f32::NAN, 3.0], &greedy, 0).token, 1);
    let biased = SamplingParams { logit_bias: vec![(3, 0.5)], ..greedy };
    assert_eq!(sample(&[0.0, 3.0, f32::NAN, 3.0], &biased, 0).token, 3);
}

#[test]
fn only_what_the_mask_allows_is_chosen() {
    for params in
        [SamplingParams::greedy(), SamplingParams { top_k: 2, ..SamplingParams::default() }]
    {
        let mask = Some(TokenMask(&[0b1010]));
        let context = SampleContext { params: &params, prompt: &[1], output: &[], mask };
        let token = Sampler::new().sample(&mut [9.0, 1.0, 9.0, 0.0, 9.0], &context).unwrap().token;
        assert!([1, 3].contains(&token), "{token}");
    }
}

#[test]
fn where_nothing_can_follow_the_reason_is_told() {
    for params in [SamplingParams::greedy(), SamplingParams::default()] {
        let none = |logits: &mut [f32], mask| {
            let context = SampleContext { params: &params, prompt: &[1], output: &[], mask };
            Sampler::new().sample(logits, &context).unwrap_err()
        };
        assert_eq!(none(&mut [1.0; 40], Some(TokenMask(&[0, 0]))), NoToken::NoneAllowed);
        assert_eq!(none(&mut [f32::NAN; 40], None), NoToken::NotANumber);
    }
}

#[test]
fn penalties_change_what_is_chosen() {
    let repeats = |params: SamplingParams| {
        let context = SampleContext { params: &params, prompt: &[0], output: &[1, 1], mask: None };
        Sampler::new().sample(&mut [2.5, 3.0, 2.0], &context).unwrap().token
    };
    let greedy = SamplingParams::greedy;
    assert_eq!(repeats(greedy()), 1);
    assert_eq!(repeats(SamplingParams { frequency_penalty: 0.3, ..greedy() }), 0);
    assert_eq!(repeats(SamplingParams { presence_penalty: 0.6, ..greedy() }), 0);
    assert_eq!(repeats(SamplingParams { repetition_penalty: 2.0, ..greedy() }), 2);
}

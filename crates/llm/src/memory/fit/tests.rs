//! Models, machines and budgets.

use types::EngineSpec;

use super::{Fit, Needs, fit};
use crate::memory::Available;

const MIB: u64 = 1 << 20;

/// The shape of a 0.6 B model in bf16.
const SMALL: Needs = Needs {
    weights_bytes: 1_137 * MIB,
    scratch_bytes: 100 * MIB,
    kv_bytes_per_token: 114_688,
    max_positions: 40_960,
};

fn machine(mib: u64) -> Available {
    Available { bytes: mib * MIB, bound: "of the machine's memory is free".into() }
}

#[track_caller]
fn refusal(spec: &EngineSpec, mib: u64) -> String {
    fit(SMALL, spec, &machine(mib)).unwrap_err().to_string()
}

#[test]
fn with_memory_to_spare_a_sequence_of_full_length_fits() {
    let fit = fit(SMALL, &EngineSpec::default(), &machine(20_000)).unwrap();
    assert_eq!(fit, Fit { kv_blocks: 1_280, max_model_len: 40_960 });
}

#[test]
fn many_sequences_get_room_for_a_usual_length_each() {
    let spec = EngineSpec { max_sequences: 128, ..EngineSpec::default() };
    assert_eq!(fit(SMALL, &spec, &machine(20_000)).unwrap().kv_blocks, 128 * 512 / 32);
}

#[test]
fn keys_and_values_take_at_most_half_of_what_is_left_and_the_context_shrinks_with_them() {
    let fit = fit(SMALL, &EngineSpec::default(), &machine(3_237)).unwrap();
    // 2,000 MiB are left; a block takes 3.5 MiB.
    assert_eq!(fit, Fit { kv_blocks: 285, max_model_len: 285 * 32 });
}

#[test]
fn a_model_that_does_not_fit_is_refused_with_the_arithmetic() {
    assert_eq!(
        refusal(&EngineSpec::default(), 1_000),
        "the model cannot be loaded, because it does not fit in memory: weights 1.11 GiB + working \
         space 100 MiB + keys and values 28 MiB (256 tokens of 114688 bytes) = 1.24 GiB, but \
         1000 MiB of the machine's memory is free; choose a smaller `engine.quantize` (int8, int4) \
         or a smaller model"
    );
}

#[test]
fn working_space_that_is_too_large_is_to_blame_itself() {
    let wide = Needs { scratch_bytes: 9_000 * MIB, ..SMALL };
    for kv_memory_mb in [None, Some(100)] {
        let spec = EngineSpec { kv_memory_mb, ..EngineSpec::default() };
        let words = fit(wide, &spec, &machine(8_000)).unwrap_err().to_string();
        assert!(words.contains("working space 8.79 GiB"), "{words}");
        assert!(words.contains("; lower `engine.max_batch_tokens` or "), "{words}");
        assert!(!words.contains("engine.quantize"), "{words}");
    }
}

#[test]
fn a_budget_of_the_operator_is_kept_or_refused() {
    let budget = |mib| EngineSpec { kv_memory_mb: Some(mib), ..EngineSpec::default() };
    assert_eq!(fit(SMALL, &budget(700), &machine(3_000)).unwrap().kv_blocks, 200);
    assert!(refusal(&budget(4_000), 3_000).contains("lower `engine.kv_memory_mb`"));
    assert!(refusal(&budget(4), 3_000).contains("raise `engine.kv_memory_mb`"));
}

#[test]
fn the_operator_can_shorten_the_context_but_not_lengthen_it() {
    let len = |tokens| EngineSpec { max_model_len: Some(tokens), ..EngineSpec::default() };
    assert_eq!(fit(SMALL, &len(1_024), &machine(20_000)).unwrap().max_model_len, 1_024);
    assert_eq!(fit(SMALL, &len(90_000), &machine(20_000)).unwrap().max_model_len, 40_960);
}

#[test]
fn a_model_without_keys_and_values_needs_none() {
    let encoder = Needs { kv_bytes_per_token: 0, max_positions: 512, ..SMALL };
    assert!(fit(encoder, &EngineSpec::default(), &machine(2_000)).is_ok());
    assert!(fit(encoder, &EngineSpec::default(), &machine(1_200)).is_err());
}

//! Linear layers against plain arithmetic, and the instruction sets against each other.

use kernels::{Activations, Arena, Isa, Linear, Output, WeightFormat};
use proptest::prelude::*;

use crate::fixture::{
    FORMATS, Random, activations, bits, cpu, distance, dot, held, isas, norm, normalised, pack,
    product, rows, values,
};

/// How far a row may lie from the product of exact activations and the packed weights.
fn tolerance(format: WeightFormat) -> f64 {
    match format {
        WeightFormat::Bf16 | WeightFormat::Int8 => 3e-3,
        WeightFormat::W8a8 => 2e-2,
        WeightFormat::Int4 => 2e-4,
    }
}

/// How far packed weights may lie from the original.
fn weight_tolerance(format: WeightFormat) -> f64 {
    match format {
        WeightFormat::Bf16 => 4e-3,
        WeightFormat::Int8 | WeightFormat::W8a8 => 1e-2,
        WeightFormat::Int4 => 2e-1,
    }
}

/// The length of the difference, relative to the largest that the row of a product could be.
fn error(actual: &[f32], expected: &[f32], x: &[f32], weights: &[Vec<f32>]) -> f64 {
    let bound = norm(x) * weights.iter().map(|w| dot(w, w)).sum::<f64>().sqrt();
    distance(actual, expected) * norm(expected) / bound.max(1e-30)
}

fn matches_arithmetic(format: WeightFormat, (m, n, k): (usize, usize, usize), seed: u64) {
    let mut random = Random::new(seed);
    let (inputs, weights) = (random.matrix(m, k), random.matrix(n, k));
    let bias = random.row(n);
    let mut of_portable = Vec::new();
    for isa in isas() {
        let cpu = cpu(isa, 2);
        let packed = pack(&cpu, format, &weights);
        let x = activations(&cpu, format, &inputs);
        let actual = product(&cpu, &x, &packed, Some(&bias));
        let mut kept = vec![vec![0.0; k]; n];
        for (row, kept) in kept.iter_mut().enumerate() {
            packed.row(row, kept);
            let lost = distance(kept, &weights[row]);
            assert!(lost <= weight_tolerance(format), "{format} weights lost {lost}");
        }
        for (input, actual) in inputs.iter().zip(&actual) {
            let x = normalised(input);
            let expected = kept.iter().zip(&bias).map(|(w, b)| (dot(&x, w) + f64::from(*b)) as f32);
            let expected: Vec<f32> = expected.collect();
            let away = error(actual, &expected, &x, &kept);
            assert!(away <= tolerance(format), "{isa} {format} {m}x{n}x{k}: {away}");
        }
        if isa == Isa::Portable {
            of_portable = actual;
        } else if matches!(format, WeightFormat::Bf16 | WeightFormat::Int8) {
            for ((actual, expected), input) in actual.iter().zip(&of_portable).zip(&inputs) {
                let away = error(actual, expected, &normalised(input), &kept);
                assert!(away <= 2e-6, "{isa} {format} {m}x{n}x{k} is {away} from portable");
            }
        } else {
            // Integer sums have no order.
            assert!(bits(&actual) == bits(&of_portable), "{isa} {format} {m}x{n}x{k}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_product_of_any_shape_is_right_in_every_format_on_every_instruction_set(
        m in 1usize..70, n in 1usize..100, k in 1usize..300, seed in 0u64..1 << 40, format in 0usize..4,
    ) {
        matches_arithmetic(FORMATS[format], (m, n, k), seed);
    }
}

#[test]
fn products_longer_than_a_panel_and_deeper_than_a_block_are_right() {
    for format in FORMATS {
        matches_arithmetic(format, (530, 64, 96), 1);
        matches_arithmetic(format, (40, 48, 2500), 2);
        matches_arithmetic(format, (1, 64, 3072), 3);
    }
}

#[test]
fn a_row_of_a_deep_product_has_the_same_bits_in_any_company() {
    let mut random = Random::new(8);
    let (inputs, weights) = (random.matrix(150, 1700), random.matrix(40, 1700));
    for (isa, format) in isas().flat_map(|isa| FORMATS.map(|format| (isa, format))) {
        let cpu = cpu(isa, 2);
        let packed = pack(&cpu, format, &weights);
        let of = |rows: &[Vec<f32>]| product(&cpu, &activations(&cpu, format, rows), &packed, None);
        let all = bits(&of(&inputs));
        for rows in [0..1, 5..21, 7..40, 30..100] {
            assert!(
                bits(&of(&inputs[rows.clone()])) == all[rows.clone()],
                "{isa} {format} {rows:?}"
            );
        }
    }
}

/// Large ones, so that what is lost says how fine a format is, and not what was drawn.
#[test]
fn packing_loses_no_more_than_the_format_must() {
    let weights = Random::new(10).matrix(64, 2048);
    let most = [
        (WeightFormat::Bf16, 2e-3),
        (WeightFormat::Int8, 4.5e-3),
        (WeightFormat::W8a8, 7.5e-3),
        (WeightFormat::Int4, 9e-2),
    ];
    for (format, most) in most {
        let packed = pack(&cpu(Isa::best(), 2), format, &weights);
        let mut kept = vec![0.0; 2048];
        let lost = |(row, weights): (usize, &Vec<f32>)| {
            packed.row(row, &mut kept);
            distance(&kept, weights).powi(2)
        };
        let lost = weights.iter().enumerate().map(lost).sum::<f64>() / weights.len() as f64;
        assert!(lost.sqrt() < most, "{format} loses {}", lost.sqrt());
    }
}

#[test]
fn weights_that_are_no_numbers_are_found_out() {
    let mut random = Random::new(9);
    let (inputs, sound) = (random.matrix(3, 130), random.matrix(40, 130));
    for (isa, format) in isas().flat_map(|isa| FORMATS.map(|format| (isa, format))) {
        let cpu = cpu(isa, 2);
        let x = activations(&cpu, format, &inputs);
        for damage in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut weights = sound.clone();
            weights[33][70] = damage;
            for row in product(&cpu, &x, &pack(&cpu, format, &weights), None) {
                for (output, value) in row.into_iter().enumerate() {
                    let found = !value.is_finite();
                    assert_eq!(found, output == 33, "{isa} {format}: {damage} became {value}");
                }
            }
        }
    }
}

#[test]
fn a_residual_is_added_to() {
    let mut random = Random::new(5);
    let (before, inputs, weights) =
        (random.matrix(20, 64), random.matrix(20, 96), random.matrix(64, 96));
    for isa in isas() {
        let cpu = cpu(isa, 2);
        let packed = pack(&cpu, WeightFormat::Bf16, &weights);
        let x = activations(&cpu, WeightFormat::Bf16, &inputs);
        let added = product(&cpu, &x, &packed, None);
        let mut to = rows(&before);
        cpu.linear(&x, &packed, Output::Add { to: &mut to, bias: None });
        for ((after, before), added) in values(&to).iter().zip(&before).zip(&added) {
            for ((after, before), added) in after.iter().zip(before).zip(added) {
                assert_eq!(*after, before + added);
            }
        }
    }
}

#[test]
fn a_gated_layer_gives_silu_of_gate_times_up() {
    let (m, n, k) = (37, 72, 96);
    for (isa, format) in isas().flat_map(|isa| FORMATS.map(|format| (isa, format))) {
        let mut random = Random::new(6);
        let (inputs, gate, up) = (random.matrix(m, k), random.matrix(n, k), random.matrix(n, k));
        let cpu = cpu(isa, 2);
        let bytes = Linear::packed_bytes(format, Linear::gated_outputs(n), k);
        let slab = Arena::anonymous(bytes).unwrap().take(bytes).unwrap();
        let copy = |from: &[Vec<f32>], row: usize, to: &mut [f32]| to.copy_from_slice(&from[row]);
        let both = Linear::pack_gated(
            &cpu,
            format,
            (n, k),
            slab,
            |row, to| copy(&gate, row, to),
            |row, to| copy(&up, row, to),
        )
        .unwrap();
        let x = activations(&cpu, format, &inputs);
        let mut to = Activations::new(format, m, n).unwrap();
        cpu.linear(&x, &both, Output::SwiGlu { to: &mut to });
        let (gates, ups) = (
            product(&cpu, &x, &pack(&cpu, format, &gate), None),
            product(&cpu, &x, &pack(&cpu, format, &up), None),
        );
        for ((actual, gate), up) in held(&to).iter().zip(&gates).zip(&ups) {
            let silu = |x: f32| x / (1.0 + (-x).exp());
            let expected: Vec<f32> = gate.iter().zip(up).map(|(&g, &u)| silu(g) * u).collect();
            let away = distance(actual, &expected);
            assert!(away < 2e-2, "{isa} {format}: {away}");
        }
    }
}

#[test]
fn gelu_is_the_exact_one() {
    // 0.5 x (1 + erf(x / sqrt 2)) to six digits.
    let table = [
        (-3.0, -0.004_049_7),
        (-1.0, -0.158_655_2),
        (0.0, 0.0),
        (0.5, 0.345_731_2),
        (2.0, 1.954_499_7),
    ];
    for isa in isas() {
        let cpu = cpu(isa, 1);
        let x = activations(&cpu, WeightFormat::Int4, &[vec![1.0; 64]]);
        let zero = pack(&cpu, WeightFormat::Int4, &vec![vec![0.0; 64]; table.len()]);
        let bias = table.map(|(x, _)| x);
        let mut to = Activations::new(WeightFormat::Int4, 1, table.len()).unwrap();
        cpu.linear(&x, &zero, Output::Gelu { to: &mut to, bias: Some(&bias) });
        for (actual, (x, expected)) in held(&to)[0].iter().zip(table) {
            assert!((actual - expected).abs() < 1e-4, "gelu({x}) is {actual}");
        }
    }
}

#[test]
fn packed_bytes_can_be_kept_and_loaded() {
    let mut random = Random::new(7);
    let weights = random.matrix(40, 100);
    for format in FORMATS {
        let cpu = cpu(Isa::best(), 2);
        let packed = pack(&cpu, format, &weights);
        let mut slab =
            Arena::anonymous(packed.bytes().len()).unwrap().take(packed.bytes().len()).unwrap();
        slab.copy_from_slice(packed.bytes());
        let loaded = Linear::load(format, (40, 100), slab).unwrap();
        let x = activations(&cpu, format, &random.matrix(3, 100));
        assert_eq!(product(&cpu, &x, &loaded, None), product(&cpu, &x, &packed, None));
        let short = Arena::anonymous(64).unwrap().take(64).unwrap();
        let error = Linear::load(format, (40, 100), short).unwrap_err().to_string();
        assert!(error.ends_with("not 64"), "{error}");
    }
}

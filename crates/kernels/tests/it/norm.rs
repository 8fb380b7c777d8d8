//! Norms and embeddings.

use kernels::{Activations, LayerNorm, RmsNorm, Rows, WeightFormat};

use crate::fixture::{Random, cpu, distance, held, isas, normalised, pack, rows, values};

#[test]
fn layer_norm_works_in_place_and_packs() {
    let mut random = Random::new(1);
    let (input, weight, bias) = (random.matrix(19, 48), random.row(48), random.row(48));
    for isa in isas() {
        let cpu = cpu(isa, 2);
        let mut x = rows(&input);
        let mut packed = Activations::new(WeightFormat::Int4, 19, 48).unwrap();
        let norm = LayerNorm { weight: &weight, bias: &bias, epsilon: 1e-5 };
        cpu.layer_norm(&mut x, norm, &mut packed);
        for (actual, input) in values(&x).iter().zip(&input) {
            let mean = input.iter().sum::<f32>() / 48.0;
            let variance = input.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 48.0;
            let each = input.iter().zip(&weight).zip(&bias);
            let expected = each.map(|((x, w), b)| (x - mean) / (variance + 1e-5).sqrt() * w + b);
            assert!(distance(actual, &expected.collect::<Vec<_>>()) < 1e-5);
        }
        for (packed, row) in held(&packed).iter().zip(values(&x)) {
            assert!(distance(packed, &row) < 1e-4, "{isa}");
        }
    }
}

#[test]
fn chosen_rows_are_normalised_in_their_order() {
    let mut random = Random::new(2);
    let input = random.matrix(5, 64);
    for isa in isas() {
        let cpu = cpu(isa, 2);
        let weight = vec![1.0; 64];
        let mut x = Activations::new(WeightFormat::Int4, 5, 64).unwrap();
        cpu.rms_norm_rows(
            &rows(&input),
            &[4, 1],
            RmsNorm { weight: &weight, epsilon: 1e-6 },
            &mut x,
        );
        for (actual, row) in held(&x).iter().zip([4, 1]) {
            assert!(distance(actual, &normalised(&input[row])) < 1e-4, "{isa}");
        }
    }
}

#[test]
fn an_embedding_is_a_row_of_its_table() {
    let mut random = Random::new(3);
    let table = random.matrix(70, 64);
    for isa in isas() {
        let cpu = cpu(isa, 2);
        let packed = pack(&cpu, WeightFormat::Bf16, &table);
        let mut to = Rows::new(4, 64).unwrap();
        cpu.embed(&packed, &[69, 0, 33, 0], &mut to);
        for (actual, row) in values(&to).iter().zip([69, 0, 33, 0]) {
            assert!(distance(actual, &table[row]) < 2e-3);
        }
    }
}

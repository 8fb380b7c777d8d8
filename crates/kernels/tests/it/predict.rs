//! The last layer: the likeliest token, and logits for those who want them.

use kernels::{Predictions, WeightFormat};

use crate::fixture::{Random, activations, cpu, isas, pack};

#[test]
fn the_likeliest_token_is_the_largest_logit_and_the_lowest_among_equals() {
    let mut random = Random::new(1);
    let (inputs, mut table) = (random.matrix(21, 64), random.matrix(1000, 64));
    // The padded outputs beyond 1000 are zero, so all logits being negative must not let them win.
    for row in &mut table {
        row[0] = -100.0;
    }
    table[700] = table[300].clone();
    let inputs: Vec<Vec<f32>> = inputs
        .into_iter()
        .map(|mut row| {
            row[0] = 2.0;
            row
        })
        .collect();
    for (isa, format) in isas().flat_map(|isa| crate::fixture::FORMATS.map(|format| (isa, format)))
    {
        let cpu = cpu(isa, 2);
        let head = pack(&cpu, format, &table);
        let x = activations(&cpu, format, &inputs);
        let mut predictions = Predictions::new(21, 1000).unwrap();
        predictions.request((0..21).map(|row| row % 2 == 0));
        cpu.predict(&x, &head, &mut predictions);
        for row in 0..21 {
            let best = predictions.argmax(row);
            assert!(best < 1000 && best != 700, "{isa} {format}: {best}");
            let Some(logits) = predictions.logits_mut(row) else {
                assert_eq!(row % 2, 1);
                continue;
            };
            let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(logits.iter().position(|&logit| logit == max), Some(best as usize));
        }
        assert_eq!(predictions.all_logits_mut().count(), 11);
    }
}

#[test]
fn a_row_that_asked_for_no_logits_still_has_its_token() {
    let cpu = cpu(kernels::Isa::best(), 2);
    let mut random = Random::new(2);
    let head = pack(&cpu, WeightFormat::Bf16, &random.matrix(64, 32));
    let x = activations(&cpu, WeightFormat::Bf16, &random.matrix(3, 32));
    let mut predictions = Predictions::new(3, 64).unwrap();
    let mut answers = Vec::new();
    for wanted in [[false; 3], [true; 3]] {
        predictions.request(wanted);
        cpu.predict(&x, &head, &mut predictions);
        answers.push([0, 1, 2].map(|row| predictions.argmax(row)));
    }
    assert_eq!(answers[0], answers[1]);
}

//! The head kernel against its definition, evaluated in float64.

use lexpand_core::head::{Activation, Activations, Head, HiddenBatch, Pooling};
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Case {
    weights: Vec<f32>,
    bias: Vec<f32>,
    states: Vec<f32>,
    lengths: Vec<u32>,
    positions: usize,
    width: usize,
    threads: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    (1_usize..70, 1_usize..40, 0_usize..4, 1_usize..20, 1_usize..4).prop_flat_map(
        |(terms, width, texts, positions, threads)| {
            let value = -2.0_f32..2.0;
            (
                prop::collection::vec(value.clone(), terms * width),
                prop::collection::vec(-3.0_f32..1.0, terms),
                prop::collection::vec(value, texts * positions * width),
                prop::collection::vec(0..=positions as u32, texts),
            )
                .prop_map(move |(weights, bias, states, lengths)| Case {
                    weights,
                    bias,
                    states,
                    lengths,
                    positions,
                    width,
                    threads,
                })
        },
    )
}

impl Case {
    fn run(&self, pooling: Pooling, activation: Activation) -> Activations {
        let head = Head::new(&self.weights, &self.bias, self.width, pooling, activation).unwrap();
        let batch =
            HiddenBatch::new(&self.states, &self.lengths, self.positions, self.width).unwrap();
        head.encode(batch, self.threads).unwrap()
    }

    fn logit(&self, text: usize, position: usize, term: usize) -> f64 {
        let state = &self.states[(text * self.positions + position) * self.width..][..self.width];
        let row = &self.weights[term * self.width..][..self.width];
        let dot: f64 = state.iter().zip(row).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        dot + f64::from(self.bias[term])
    }

    fn weight(&self, text: usize, term: usize, pooling: Pooling, activation: Activation) -> f64 {
        let activations = (0..self.lengths[text] as usize).map(|p| {
            let once = self.logit(text, p, term).max(0.0).ln_1p();
            if activation == Activation::Log1pRelu { once } else { once.ln_1p() }
        });
        match pooling {
            Pooling::Max => activations.fold(0.0, f64::max),
            Pooling::Sum => activations.sum(),
        }
    }
}

/// One text of the result: term -> (weight, position).
fn row(result: &Activations, text: usize) -> std::collections::BTreeMap<u32, (f32, u32)> {
    let range = result.indptr[text] as usize..result.indptr[text + 1] as usize;
    assert!(result.terms[range.clone()].is_sorted_by(|a, b| a < b), "terms ascend");
    range.map(|i| (result.terms[i], (result.weights[i], result.positions[i]))).collect()
}

proptest! {
    #[test]
    fn equals_the_definition(
        case in cases(),
        sum in any::<bool>(),
        double_log in any::<bool>(),
    ) {
        let pooling = if sum { Pooling::Sum } else { Pooling::Max };
        let activation =
            if double_log { Activation::Log1pLog1pRelu } else { Activation::Log1pRelu };
        let result = case.run(pooling, activation);
        prop_assert_eq!(result.indptr.len(), case.lengths.len() + 1);
        for text in 0..case.lengths.len() {
            let row = row(&result, text);
            for term in 0..case.bias.len() {
                let expected = case.weight(text, term, pooling, activation);
                let (weight, position) = row.get(&(term as u32)).copied().unwrap_or((0.0, 0));
                let error = (f64::from(weight) - expected).abs();
                prop_assert!(error < 1e-4, "{weight} is not {expected}");
                if weight > 0.0 {
                    let best = (0..case.lengths[text] as usize)
                        .map(|p| case.logit(text, p, term))
                        .fold(f64::NEG_INFINITY, f64::max);
                    prop_assert!(case.logit(text, position as usize, term) > best - 1e-4);
                }
            }
        }
    }

    #[test]
    fn does_not_depend_on_threads(case in cases()) {
        let one = Case { threads: 1, ..case.clone() }.run(Pooling::Max, Activation::Log1pRelu);
        prop_assert_eq!(one, case.run(Pooling::Max, Activation::Log1pRelu));
    }
}

#[test]
fn the_first_of_equal_positions_is_reported() {
    let head = Head::new(&[1.0], &[0.0], 1, Pooling::Max, Activation::Log1pRelu).unwrap();
    let states = [0.5, 2.0, 2.0, 1.0, 2.0, 2.0, 2.0, 2.0];
    let result = head.encode(HiddenBatch::new(&states, &[8], 8, 1).unwrap(), 1).unwrap();
    assert_eq!((result.positions, result.weights), (vec![1], vec![3.0_f32.ln()]));
}

#[test]
fn padding_is_never_read() {
    let head = Head::new(&[1.0], &[0.0], 1, Pooling::Max, Activation::Log1pRelu).unwrap();
    let states = [1.0, f32::NAN, f32::INFINITY];
    let result = head.encode(HiddenBatch::new(&states, &[1], 3, 1).unwrap(), 1).unwrap();
    assert_eq!(result.weights, vec![2.0_f32.ln()]);
}

#[test]
fn bad_input_is_refused_with_its_place() {
    let head = |weights: &[f32], bias: &[f32], width| {
        Head::new(weights, bias, width, Pooling::Max, Activation::Log1pRelu)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert!(head(&[1.0; 3], &[0.0; 2], 2).contains("weights must be [2, 2], got 3 values"));
    assert!(
        head(&[1.0, f32::NAN], &[0.0; 2], 1).contains("weights of term 1 must be finite, got NaN")
    );
    assert!(
        head(&[1.0; 2], &[0.0, f32::INFINITY], 1)
            .contains("bias of term 1 must be finite, got inf")
    );
    assert!(head(&[], &[], 4).contains("0 terms"));
    let batch = |states: &[f32], lengths: &[u32], positions| {
        HiddenBatch::new(states, lengths, positions, 2).map(|_| ()).unwrap_err().to_string()
    };
    assert!(batch(&[0.0; 5], &[1], 2).contains("5 values do not fit [1, 2, 2]"));
    assert!(batch(&[0.0; 4], &[3], 2).contains("at most 2 positions, got 3"));
    assert!(batch(&[0.0, f32::NAN], &[1], 1).contains("text 0: a hidden state is not finite"));
    let wide = Head::new(&[1.0; 4], &[0.0], 4, Pooling::Max, Activation::Log1pRelu).unwrap();
    let error = wide.encode(HiddenBatch::new(&[0.0; 2], &[1], 1, 2).unwrap(), 1).unwrap_err();
    assert!(error.to_string().contains("width 2, the head has 4"));
}

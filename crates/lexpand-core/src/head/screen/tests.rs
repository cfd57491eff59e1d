//! Screening against its reference implementation, and against no screening, to the bit.

use super::build::Screen;
use super::group::GroupDots;
use super::pairing::{Passed, Screener};
use super::rounding::PANELS;
use super::select::screener;
use super::text::ScreenedText;
#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::head::pack::{PANEL, Panels};
use crate::head::{Activation, Basis, Head, HiddenBatch, Pooling, tile};
use crate::limits::MAX_VOCABULARY;
use proptest::prelude::*;

/// An upper triangular T and its S with T S' = I, by substitution. Ill-conditioned if `skew` is
/// large.
fn basis(width: usize, skew: f64) -> (Vec<f64>, Vec<f64>) {
    let mut to_basis = vec![0.0; width * width];
    for i in 0..width {
        to_basis[i * width + i] = 0.5 + (i % 3) as f64;
        for j in i + 1..width {
            to_basis[i * width + j] = skew * ((i * 7 + j * 3) % 5) as f64 / width as f64;
        }
    }
    let mut inverse = vec![0.0; width * width];
    for column in 0..width {
        for i in (0..width).rev() {
            let rest: f64 =
                (i + 1..width).map(|k| to_basis[i * width + k] * inverse[k * width + column]).sum();
            let one = if i == column { 1.0 } else { 0.0 };
            inverse[i * width + column] = (one - rest) / to_basis[i * width + i];
        }
    }
    let back = (0..width * width).map(|at| inverse[at % width * width + at / width]).collect();
    (to_basis, back)
}

/// The positions of group i that pass.
fn passed(screen: &Screen, text: &ScreenedText, panels: &Panels, i: usize) -> Passed {
    let own = text.mean().map(|mean| {
        let mut own = GroupDots::default();
        for (own, panel) in own.iter_mut().zip(i * PANELS..panels.len()) {
            *own = tile::dots()(&[mean; tile::ROWS], panels.panel(panel).0)[0];
        }
        own
    });
    let mut passed = [vec![9], vec![]];
    screen.pass(text, i, own.as_ref(), &mut passed);
    passed
}

/// All screeners that this processor can run.
fn screeners() -> Vec<Screener> {
    #[cfg(target_arch = "x86_64")]
    return screener().into_iter().chain(x86::quads_on_avx2()).collect();
    #[cfg(not(target_arch = "x86_64"))]
    screener().into_iter().collect()
}

fn cases() -> impl Strategy<Value = (Vec<f32>, Vec<f32>, Vec<f32>, usize, usize, f64)> {
    (1_usize..70, 1_usize..40, 1_usize..60, 0.0_f64..1.0).prop_flat_map(
        |(width, terms, positions, skew)| {
            let value = prop_oneof![8 => -1.0_f32..1.0, 1 => -30.0_f32..30.0, 1 => Just(0.0_f32)];
            (
                prop::collection::vec(value.clone(), width * terms),
                prop::collection::vec(-9.0_f32..1.0, terms),
                prop::collection::vec(value, width * positions),
                Just(width),
                1..=width,
                Just(skew),
            )
        },
    )
}

proptest! {
    #[test]
    fn screening_changes_no_bit(
        (weights, bias, states, width, kept, skew) in cases(),
        copies in prop_oneof![Just(1), Just(7)],
        sum in any::<bool>(),
    ) {
        let pooling = if sum { Pooling::Sum } else { Pooling::Max };
        let plain = Head::new(&weights, &bias, width, pooling, Activation::Log1pRelu).unwrap();
        let (to_basis, back) = basis(width, skew);
        let typical: Vec<f64> = states[..width].iter().map(|&x| f64::from(x)).collect();
        let basis = Basis { to_basis: &to_basis, back: &back, kept, typical: &typical };
        let screened = plain.screened(basis, 2).unwrap();
        // In a batch of some hundred positions, texts have their own means.
        let lengths = vec![(states.len() / width) as u32; copies];
        let states = states.repeat(copies);
        let batch = HiddenBatch::new(&states, &lengths, lengths[0] as usize, width).unwrap();
        prop_assert_eq!(plain.encode(batch, 1).unwrap(), screened.encode(batch, 2).unwrap());
    }

    #[test]
    fn the_fast_screeners_equal_the_portable_one(
        (weights, bias, states, width, kept, skew) in cases(),
        batch in prop_oneof![Just(1), Just(1000)],
    ) {
        let panels = Panels::pack(&weights, &bias, width);
        let (to_basis, back) = basis(width, skew);
        let typical: Vec<f64> = states[..width].iter().map(|&x| f64::from(x) * 0.7).collect();
        let basis = Basis { to_basis: &to_basis, back: &back, kept, typical: &typical };
        let reference = Screen::new(&panels, basis, Screener::PORTABLE, 1).unwrap();
        let screen = |fast| Screen::new(&panels, basis, fast, 1).unwrap();
        let fast: Vec<Screen> = screeners().into_iter().map(screen).collect();
        let text = reference.text(&states, batch);
        for i in 0..panels.len() {
            let slow = passed(&reference, &text, &panels, i / PANELS);
            for fast in &fast {
                let text = fast.text(&states, batch);
                prop_assert_eq!(&passed(fast, &text, &panels, i / PANELS), &slow);
            }
            let slow = &slow[i % PANELS];
            // Every position with an active term, computed in float64, passes.
            let (panel, bias) = panels.panel(i);
            for (position, state) in states.chunks_exact(width).enumerate() {
                let logit = |j: usize| -> f64 {
                    let row = panel.iter().skip(j).step_by(PANEL);
                    let product = |(&h, &w): (&f32, &f32)| f64::from(h) * f64::from(w);
                    state.iter().zip(row).map(product).sum::<f64>() + f64::from(bias[j])
                };
                if (0..PANEL).any(|j| logit(j) > 0.0) {
                    prop_assert!(slow.contains(&(position as u32)), "position {position}");
                }
            }
        }
    }
}

#[test]
fn products_that_overflow_are_not_skipped() {
    // In float32 the sum of the first two products is infinite and stays so; the exact sum of all
    // four is -2e38. Every second position is negated, so that the mean is zero.
    let (width, terms) = (4, 16);
    let weights: Vec<f32> = (0..terms).flat_map(|_| [2e19, 2e19, -2e19, -2e19]).collect();
    let states: Vec<f32> = (0..40)
        .flat_map(|position| {
            [1e19, 1e19, 2e19, 1e19].map(|h| if position % 2 == 0 { h } else { -h })
        })
        .collect();
    let plain =
        Head::new(&weights, &[-1.0; 16], width, Pooling::Max, Activation::Log1pRelu).unwrap();
    let (to_basis, back) = basis(width, 0.0);
    let basis = Basis { to_basis: &to_basis, back: &back, kept: width, typical: &[] };
    let batch = HiddenBatch::new(&states, &[40], 40, width).unwrap();
    let found = plain.encode(batch, 1).unwrap();
    assert_eq!(found.weights, [f32::INFINITY; 16]);
    assert_eq!(found, plain.screened(basis, 1).unwrap().encode(batch, 1).unwrap());
}

#[test]
fn a_concentrating_basis_skips_most_pairs() {
    // The first dimension carries everything; one position of 60 is active.
    let (width, terms) = (16, 64);
    let mut weights = vec![0.0; width * terms];
    weights.iter_mut().step_by(width).for_each(|w| *w = 1.0);
    let mut states = vec![0.01; width * 60];
    states[7 * width] = 5.0;
    let panels = Panels::pack(&weights, &vec![-2.0; terms], width);
    let (to_basis, back) = basis(width, 0.0);
    let basis = Basis { to_basis: &to_basis, back: &back, kept: 8, typical: &[] };
    let screen = Screen::new(&panels, basis, Screener::PORTABLE, 1).unwrap();
    // Only the first tile is tested: all states but one are alike.
    assert_eq!(passed(&screen, &screen.text(&states, 1000), &panels, 0), [[7], [7]]);
}

#[test]
fn an_invalid_basis_is_refused() {
    let head = Head::new(&[1.0; 8], &[0.0; 2], 4, Pooling::Max, Activation::Log1pRelu).unwrap();
    let refused = |to_basis: &[f64], back: &[f64], kept| {
        head.screened(Basis { to_basis, back, kept, typical: &[] }, 1)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    let (to_basis, mut back) = basis(4, 0.3);
    assert!(refused(&to_basis, &back, 0).contains("0 dimensions of 4 are kept"));
    assert!(refused(&to_basis, &back, 5).contains("5 dimensions of 4 are kept"));
    assert!(refused(&to_basis[1..], &back, 2).contains("matrices of 15 and 16 values"));
    back[3] += 0.1;
    assert!(refused(&to_basis, &back, 2).contains("must be the identity"));
    back[3] = f64::NAN;
    assert!(refused(&to_basis, &back, 2).contains("must be the identity"));
}

/// Pseudo-random numbers from -1 to 1.
fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut x = seed;
    let next = |_| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(next).collect()
}

#[test]
fn wide_heads_and_the_largest_vocabulary() {
    for (width, terms, kept) in [(1024, 70, 700), (64, 5000, 48), (8, MAX_VOCABULARY, 8)] {
        let (weights, states) = (noise(width * terms, 1), noise(width * 260, 2));
        let bias = vec![-(width as f32).sqrt(); terms];
        let plain = Head::new(&weights, &bias, width, Pooling::Max, Activation::Log1pRelu).unwrap();
        let identity: Vec<f64> =
            (0..width * width).map(|at| f64::from(u8::from(at % (width + 1) == 0))).collect();
        let basis = Basis { to_basis: &identity, back: &identity, kept, typical: &[] };
        let screened = plain.screened(basis, 2).unwrap();
        let lengths = [260];
        let batch = HiddenBatch::new(&states, &lengths, 260, width).unwrap();
        let found = plain.encode(batch, 2).unwrap();
        assert!(
            found.terms.len() > terms / 10 && found.terms.len() < terms,
            "{}",
            found.terms.len()
        );
        assert_eq!(found, screened.encode(batch, 2).unwrap());
    }
}

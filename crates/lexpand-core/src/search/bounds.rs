//! Scores in small integers, with the proof that pruning by them is safe.
//!
//! A posting states `(bound - 1) * step < weight <= bound * step`. With `u = q * step / quantum`,
//! it contributes between `(bound - 1) * u` and `bound * u` quanta to the score. A scan adds
//! `added = (bound * multiplier >> 8) + 1` with `multiplier = floor(256 * u)`, so
//!
//! * `added <= bound * u + 1`, and `added > bound * u - 1`, since the two roundings lose less than
//!   255/256 and 1;
//! * dense impact rows leave out the `+ 1` of each term and add a single one if a passage has any
//!   of the terms: `added > bound * u - 2`.
//!
//! For a query of n terms whose `u` sum to U, a passage whose additions sum to A has a score S, in
//! quanta, with
//!
//! * `S < A + 2 n`: a passage that can reach a score s has `A > s - 2 n` ([`Bounds::floor`]);
//! * `S > A - U - n - 1`: if the k-th largest sum is A', k passages score more than
//!   `A' - U - n - 1`, and every passage among the best k has `A > A' - U - 3 n - 1`
//!   ([`Bounds::drop`]).
//!
//! The quantum keeps `sum of 255 * u + n + 1 <= 65535`, so a u16 never overflows. A hit matches a
//! term, so its sum is at least 1.
//!
//! The reported score is a float64 sum of at most 2^16 products, multiplied once. It exceeds the
//! real score by a factor below `1 + 2^16 * 2^-53 + 2^-52 < 1 + 2^-36`. [`SLACK`] covers this and
//! the rounding of the terms here.

/// More than every float64 rounding error that enters a comparison (see above).
const SLACK: f64 = 1.0 + 1.0 / (1u64 << 32) as f64;

/// The part of 65,535 that bounds may use. It keeps a multiplier below 2^16 for a query of one
/// term, and leaves room for the one that each term adds.
const MOST: f64 = 65_000.0;

/// A query's quantum, and the error of its roundings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    quantum: f64,
    terms: f64,
    /// The distance from the k-th largest sum below which no passage is among the best k.
    pub(super) drop: u16,
}

impl Bounds {
    /// Chooses the quantum from `q * step` of the terms in each segment, at most 8,192 each.
    pub(super) fn new(shares: &[Vec<f64>]) -> Self {
        let terms = shares.iter().map(Vec::len).max().unwrap_or(0) as f64;
        let sum = |shares: &Vec<f64>| shares.iter().sum::<f64>();
        let most = shares.iter().map(sum).fold(0.0, f64::max) * SLACK;
        let quantum = (most * 255.0 / (MOST - terms - 1.0)).max(f64::MIN_POSITIVE);
        let drop = (most / quantum).ceil() + 3.0 * terms + 2.0;
        Bounds { quantum, terms, drop: drop.min(65_535.0) as u16 }
    }

    /// A share of the score in quanta.
    pub(super) fn quanta(&self, share: f64) -> f64 {
        share / self.quantum
    }

    /// The threshold in quanta: passages whose sum is below it cannot reach `score`. At least 1.
    pub(super) fn floor(&self, score: f64) -> u16 {
        (score / (self.quantum * SLACK) - 2.0 * self.terms).floor().clamp(1.0, 65_535.0) as u16
    }
}

/// The factor of a bound, in 1/256 quanta.
pub(super) fn multiplier(quanta: f64) -> u16 {
    // `as` saturates. The argument is below 256 by the choice of the quantum.
    (quanta * 256.0) as u16
}

/// The amount that a scan adds for a posting.
#[inline(always)]
pub(super) fn added(bound: u8, multiplier: u16) -> u16 {
    ((u32::from(bound) * u32::from(multiplier)) >> 8) as u16 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Weights lie anywhere in the interval that their bound states. Either all terms are
        /// scattered or all are in dense impact rows.
        #[test]
        fn sums_fit_and_enclose_the_score(
            terms in prop::collection::vec((1e-20_f64..1e10, 1_u8..=255, 0.0_f64..1.0), 1..300),
            dense: bool,
        ) {
            let bounds = Bounds::new(&[terms.iter().map(|term| term.0).collect()]);
            let quanta: Vec<f64> = terms.iter().map(|term| bounds.quanta(term.0)).collect();
            let added = |bound: u8, quanta: f64| u64::from(added(bound, multiplier(quanta)));
            let largest: u64 = quanta.iter().map(|&u| added(255, u)).sum();
            prop_assert!(largest < 65_535);
            let plain: u64 = terms.iter().zip(&quanta).map(|(term, &u)| added(term.1, u)).sum();
            let sum = if dense { plain - terms.len() as u64 + 1 } else { plain };
            let part = |&(share, bound, part): &(f64, u8, f64)| share * (f64::from(bound) - part);
            let score: f64 = terms.iter().map(part).sum();
            prop_assert!(u64::from(bounds.floor(score)) <= sum);
            let least = sum as f64 - f64::from(bounds.drop) + 2.0 * terms.len() as f64;
            prop_assert!(score / bounds.quantum > least - 1e-6);
        }
    }
}

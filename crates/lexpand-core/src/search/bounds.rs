//! Scores in small integers, with the proof that skipping by them is safe.
//!
//! A posting says `(bound - 1) * step < weight <= bound * step`. With `passage = q * step / quantum`, the posting's share of the score, in quanta, is in
//! `((bound - 1) * passage, bound * passage]`. What a scan adds for it is `added = (bound * multiplier >> 8) + 1` with `multiplier = floor(256 * passage)`, so
//!
//! * `added <= bound * passage + 1`, and `added > bound * passage - 1`, since the two roundings lose less than 255/256 and 1;
//! * dense rows leave out the `+ 1` of each term and add a single one where a passage has any: `added > bound * passage - 2`.
//!
//! For a query of n terms whose passages sum to U, a passage with the sum A of what was added has a score S, in quanta, with
//!
//! * `S < A + 2 n`: whoever can reach a score s has `A > s - 2 n` ([`Bounds::floor`]);
//! * `S > A - U - n - 1`: if the k-th largest sum is A', k passages score more than `A' - U - n - 1`, and whoever is among
//!   the best k has `A > A' - U - 3 n - 1` ([`Bounds::drop`]).
//!
//! The quantum keeps `sum of 255 * passage + n + 1 <= 65535`: a u16 never overflows. A hit matches a term, so its sum is at least 1.
//!
//! The score that is reported is a float64 sum of at most 2^16 products, then one product: it exceeds the real one by a
//! factor below `1 + 2^16 * 2^-53 + 2^-52 < 1 + 2^-36`. [`SLACK`] covers that and the rounding of the terms here.

/// More than every rounding error of float64 that enters a comparison (see above).
const SLACK: f64 = 1.0 + 1.0 / (1u64 << 32) as f64;

/// Of 65535: leaves a multiplier below 2^16 for a query of one term, and room for one a term.
const MOST: f64 = 65_000.0;

/// A query's quantum, and what its roundings can cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    quantum: f64,
    terms: f64,
    /// Subtract it from the k-th largest sum: below the rest, no passage is among the best k.
    pub(super) drop: u16,
}

impl Bounds {
    /// From the shares of one quantum-less passage (`q * step`), a list for each segment; at most 8,192 in each.
    pub(super) fn new(shares: &[Vec<f64>]) -> Self {
        let terms = shares.iter().map(Vec::len).max().unwrap_or(0) as f64;
        let sum = |shares: &Vec<f64>| shares.iter().sum::<f64>();
        let most = shares.iter().map(sum).fold(0.0, f64::max) * SLACK;
        let quantum = (most * 255.0 / (MOST - terms - 1.0)).max(f64::MIN_POSITIVE);
        let drop = (most / quantum).ceil() + 3.0 * terms + 2.0;
        Bounds { quantum, terms, drop: drop.min(65_535.0) as u16 }
    }

    /// A share in quanta.
    pub(super) fn quanta(&self, share: f64) -> f64 {
        share / self.quantum
    }

    /// Passages whose sum is below this cannot reach `score`; at least 1.
    pub(super) fn floor(&self, score: f64) -> u16 {
        (score / (self.quantum * SLACK) - 2.0 * self.terms).floor().clamp(1.0, 65_535.0) as u16
    }
}

/// The factor of a bound, in 1/256 quanta.
pub(super) fn multiplier(quanta: f64) -> u16 {
    // `as` saturates; passages are below 256 by the choice of the quantum.
    (quanta * 256.0) as u16
}

/// What a posting adds, as a scan computes it.
#[inline(always)]
pub(super) fn added(bound: u8, multiplier: u16) -> u16 {
    ((u32::from(bound) * u32::from(multiplier)) >> 8) as u16 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Weights anywhere in the interval that their bound states; every term scattered, or every term in dense rows.
        #[test]
        fn sums_fit_and_enclose_the_score(
            terms in prop::collection::vec((1e-20_f64..1e10, 1_u8..=255, 0.0_f64..1.0), 1..300),
            dense: bool,
        ) {
            let bounds = Bounds::new(&[terms.iter().map(|term| term.0).collect()]);
            let quanta: Vec<f64> = terms.iter().map(|term| bounds.quanta(term.0)).collect();
            let largest: u64 = quanta.iter().map(|&quanta| u64::from(added(255, multiplier(quanta)))).sum();
            prop_assert!(largest < 65_535);
            let plain: u64 = terms.iter().zip(&quanta).map(|(t, &u)| u64::from(added(t.1, multiplier(u)))).sum();
            let sum = if dense { plain - terms.len() as u64 + 1 } else { plain };
            let score: f64 = terms.iter().map(|&(share, bound, part)| share * (f64::from(bound) - part)).sum();
            prop_assert!(u64::from(bounds.floor(score)) <= sum);
            prop_assert!(score / bounds.quantum > sum as f64 - f64::from(bounds.drop) + 2.0 * terms.len() as f64 - 1e-6);
        }
    }
}

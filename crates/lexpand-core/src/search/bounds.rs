//! Upper bounds of scores in small integers, and the proof that skipping by them is safe.
//!
//! A unit's real score is at most the sum over the query's terms of `q * step * bound`. Each such product is counted in quanta,
//! rounded up: `add[bound] = ceil(q * step * bound / quantum)`. The quantum is so large that the sum over all terms at
//! their largest bound, each rounded up, is at most 65535: a u16 never overflows.
//!
//! The score that is reported is a float64 sum of at most 2^16 products, then one product: it exceeds the real one by a
//! factor below `1 + 2^16 * 2^-53 + 2^-52 < 1 + 2^-36`. [`SLACK`] covers that and the rounding of the terms here.

use crate::segment::Field;

/// More than every rounding error of float64 that enters a comparison (see above).
const SLACK: f64 = 1.0 + 1.0 / (1u64 << 32) as f64;

/// A query term that the segment has postings for.
#[derive(Debug, Clone, Copy)]
pub(super) struct TermBound {
    /// Its place among the posting terms.
    pub(super) place: usize,
    /// Its share of a score at bound 1.
    unit: f64,
}

/// The query's terms in one segment, and the quantum of its accumulators.
#[derive(Debug)]
pub(super) struct QueryBounds {
    pub(super) terms: Vec<TermBound>,
    quantum: f64,
}

impl QueryBounds {
    /// At most 2^15 terms.
    pub(super) fn new(field: &Field<'_>, terms: &[u32], weights: &[f32]) -> Self {
        let bound = |(&term, &weight): (&u32, &f32)| {
            let place = field.posting_terms.binary_search(&term).ok()?;
            let unit = f64::from(weight) * f64::from(field.posting_steps[place]);
            (unit > 0.0).then_some(TermBound { place, unit })
        };
        let terms: Vec<TermBound> = terms.iter().zip(weights).filter_map(bound).collect();
        assert!(terms.len() < 1 << 15, "the caller scores longer queries without bounds");
        let most = terms.iter().map(|term| term.unit * 255.0).sum::<f64>();
        let quantum = most * SLACK * SLACK / (65_535 - terms.len()) as f64;
        QueryBounds { terms, quantum }
    }

    /// What a posting of `term` adds to an accumulator, by its bound.
    pub(super) fn additions(&self, term: TermBound) -> [u16; 256] {
        // `as` saturates, so even a quantum that underflowed keeps the largest bound.
        std::array::from_fn(|bound| (term.unit * bound as f64 * SLACK / self.quantum).ceil() as u16)
    }

    /// Units whose accumulator is below this cannot reach `score`.
    pub(super) fn floor(&self, score: f64) -> u16 {
        // sum < floor  =>  sum <= score / (quantum * SLACK) - 1  =>  sum * quantum * SLACK < score
        (score / (self.quantum * SLACK)).floor().clamp(1.0, 65_535.0) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_fit_and_bound(units in prop::collection::vec((1e-20_f64..1e10, 0_usize..256), 1..200)) {
            let terms: Vec<TermBound> =
                units.iter().enumerate().map(|(place, &(unit, _))| TermBound { place, unit }).collect();
            let most = terms.iter().map(|term| term.unit * 255.0).sum::<f64>();
            let quantum = most * SLACK * SLACK / (65_535 - terms.len()) as f64;
            let query = QueryBounds { terms, quantum };
            let largest: u64 = query.terms.iter().map(|&t| u64::from(query.additions(t)[255])).sum();
            prop_assert!(largest <= 65_535);
            let sum: u64 =
                query.terms.iter().zip(&units).map(|(&t, &(_, b))| u64::from(query.additions(t)[b])).sum();
            let score: f64 = units.iter().map(|&(unit, bound)| unit * bound as f64).sum();
            prop_assert!(sum as f64 * quantum >= score * (1.0 - 1e-12));
            prop_assert!(score == 0.0 || u64::from(query.floor(score)) <= sum.max(1));
        }
    }
}

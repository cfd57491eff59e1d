//! Counts the postings of a field before any of them is written.

use super::forward::ForwardParts;
use super::quantize::round_up;
use super::sizes::{LEVELS, blocks};
use crate::limits::BLOCK;

/// A term in more than this share of the passages is dense. One bound per passage, added by SIMD,
/// is then faster to read than scattered postings of three bytes each (measured).
const DENSE_SHARE: f64 = 0.05;

/// Smaller segments have no dense terms: they would gain nothing.
const DENSE_PASSAGES: usize = 1024;

/// The postings of a dense term hold at most about this share of its passages. Only approximate
/// search reads them.
const DENSE_POSTINGS: f64 = 0.25;

/// The counts of a field. A term's *place* is its number among the terms that occur.
#[derive(Debug)]
pub(super) struct Census {
    pub(super) passages: usize,
    pub(super) blocks: usize,
    /// The terms that occur, ascending.
    pub(super) terms: Vec<u32>,
    /// The step of each term that occurs.
    pub(super) steps: Vec<f32>,
    /// The postings in each block of each posting list, `[terms, blocks]`.
    pub(super) counts: Vec<u32>,
    /// Level shares, `[terms, LEVELS]`; see docs/format.md.
    pub(super) shares: Vec<u8>,
    /// The places of the dense terms.
    pub(super) dense: Vec<u32>,
    /// Per term that occurs: the smallest bound that is stored as a posting. 0 if no postings are
    /// stored, 1 if the term is not dense.
    pub(super) cuts: Vec<u8>,
    /// Places by term of the vocabulary; `u32::MAX` for a term that does not occur.
    pub(super) places: Vec<u32>,
}

/// The smallest bound with `bound * step >= weight`.
pub(super) fn bound(weight: f64, step: f32) -> u8 {
    let step = f64::from(step);
    let mut bound = (weight / step).ceil().clamp(1.0, 255.0);
    // The division rounds, but search relies on the products.
    if bound * step < weight {
        bound += 1.0;
    } else if bound > 1.0 && (bound - 1.0) * step >= weight {
        bound -= 1.0;
    }
    debug_assert!(bound <= 255.0 && bound * step >= weight);
    bound as u8
}

impl Census {
    pub(super) fn take(forward: &ForwardParts<'_>, vocabulary_size: usize) -> Self {
        let passages = forward.passages();
        let blocks = blocks(passages);
        let mut counts = vec![0_u32; vocabulary_size * blocks];
        let mut most = vec![0.0_f64; vocabulary_size];
        forward.each(|passage, term, weight| {
            counts[term * blocks + passage / BLOCK] += 1;
            most[term] = most[term].max(weight);
        });
        let mut census = Census::of_terms(passages, blocks, &most);
        census.counts = census
            .terms
            .iter()
            .flat_map(|&t| &counts[t as usize * blocks..][..blocks])
            .copied()
            .collect();
        drop(counts);
        census.find_dense();
        census.take_levels(forward);
        census
    }

    /// Collects the terms that occur: those whose largest weight is above zero.
    fn of_terms(passages: usize, blocks: usize, most: &[f64]) -> Self {
        let terms: Vec<u32> =
            (0..most.len() as u32).filter(|&term| most[term as usize] > 0.0).collect();
        let step = |&term: &u32| round_up(most[term as usize] / 255.0).max(f32::MIN_POSITIVE);
        let mut places = vec![u32::MAX; most.len()];
        for (place, &term) in terms.iter().enumerate() {
            places[term as usize] = place as u32;
        }
        let steps = terms.iter().map(step).collect();
        let cuts = vec![1; terms.len()];
        let (counts, shares, dense) = (Vec::new(), Vec::new(), Vec::new());
        Census { passages, blocks, terms, steps, counts, shares, dense, cuts, places }
    }

    /// The number of a term's postings.
    fn frequency(&self, place: usize) -> u64 {
        self.counts[place * self.blocks..][..self.blocks]
            .iter()
            .map(|&count| u64::from(count))
            .sum()
    }

    fn find_dense(&mut self) {
        let least = (self.passages as f64 * DENSE_SHARE) as u64;
        if self.passages >= DENSE_PASSAGES {
            self.dense = (0..self.terms.len() as u32)
                .filter(|&p| self.frequency(p as usize) > least)
                .collect();
        }
    }

    /// Counts the level shares of all terms, and chooses which postings of the dense terms are
    /// kept.
    fn take_levels(&mut self, forward: &ForwardParts<'_>) {
        let reached: [usize; 256] =
            std::array::from_fn(|b| LEVELS.iter().filter(|&&l| usize::from(l) <= b).count());
        let (levels, width) = (LEVELS.len() + 1, self.blocks * (LEVELS.len() + 1));
        let mut dense_of = vec![usize::MAX; self.terms.len()];
        self.dense.iter().enumerate().for_each(|(i, &place)| dense_of[place as usize] = i);
        let mut counts = vec![0_u32; self.terms.len() * levels];
        let mut by_block = vec![0_u32; self.dense.len() * width];
        forward.each(|passage, term, weight| {
            let place = self.places[term] as usize;
            let level = reached[usize::from(bound(weight, self.steps[place]))];
            counts[place * levels + level] += 1;
            if dense_of[place] != usize::MAX {
                by_block[dense_of[place] * width + passage / BLOCK * levels + level] += 1;
            }
        });
        counts.chunks_mut(levels).chain(by_block.chunks_mut(levels)).for_each(add_up_from_the_top);
        self.shares = counts
            .chunks(levels)
            .flat_map(|c| c[1..].iter().map(move |&n| share(n, c[0])))
            .collect();
        for (i, &place) in self.dense.iter().enumerate() {
            let place = place as usize;
            let kept = kept_level(&counts[place * levels..][..levels]);
            self.cuts[place] = kept.map_or(0, |level| LEVELS[level - 1]);
            for block in 0..self.blocks {
                let count = kept.map_or(0, |level| by_block[i * width + block * levels + level]);
                self.counts[place * self.blocks + block] = count;
            }
        }
    }
}

/// Turns counts of exactly a level into counts of at least that level.
fn add_up_from_the_top(counts: &mut [u32]) {
    for i in (1..counts.len()).rev() {
        counts[i - 1] += counts[i];
    }
}

/// The share in 1/255, rounded up: it is zero only if `part` is.
fn share(part: u32, whole: u32) -> u8 {
    (u64::from(part) * 255).div_ceil(u64::from(whole.max(1))) as u8
}

/// The lowest level that few enough postings of a dense term reach.
fn kept_level(counts: &[u32]) -> Option<usize> {
    (1..counts.len())
        .find(|&level| f64::from(counts[level]) <= DENSE_POSTINGS * f64::from(counts[0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bound_is_the_smallest_that_is_not_below_the_weight(
            most in 1e-30_f64..1e30,
            part in 0.0_f64..=1.0,
        ) {
            let step = round_up(most / 255.0).max(f32::MIN_POSITIVE);
            let weight = most * part;
            let bound = bound(weight, step);
            prop_assert!(f64::from(bound) * f64::from(step) >= weight);
            prop_assert!(bound == 1 || f64::from(bound - 1) * f64::from(step) < weight);
        }
    }
}

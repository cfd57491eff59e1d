//! The forward index turned over: for each term its postings, in blocks, with bounds that round up.

use super::BLOCK;
use super::quantise::{Forward, round_up};

/// A field's postings, in the arrays of docs/format.md.
#[derive(Debug, Default)]
pub(super) struct Postings {
    pub(super) terms: Vec<u32>,
    pub(super) starts: Vec<u64>,
    pub(super) offsets: Vec<u16>,
    pub(super) bounds: Vec<u8>,
    pub(super) steps: Vec<f32>,
}

/// What one pass over the forward index finds out about each term of the vocabulary.
struct Census {
    /// Postings of each term in each block, `[vocabulary, blocks]`; afterwards where the next one goes.
    next: Vec<u64>,
    most: Vec<f64>,
    blocks: usize,
}

impl Census {
    fn take(forward: &Forward, vocabulary_size: usize) -> Self {
        let blocks = forward.scales.len().div_ceil(BLOCK);
        let mut census = Census { next: vec![0; vocabulary_size * blocks], most: vec![0.0; vocabulary_size], blocks };
        for (unit, term, weight) in forward.stored() {
            census.next[term * blocks + unit / BLOCK] += 1;
            census.most[term] = census.most[term].max(weight);
        }
        census
    }

    /// Terms that occur, and their starts; counts become places.
    fn starts(&mut self) -> (Vec<u32>, Vec<u64>) {
        let (mut terms, mut starts, mut at) = (Vec::new(), Vec::new(), 0);
        for (term, _) in self.most.iter().enumerate().filter(|(_, most)| **most > 0.0) {
            terms.push(term as u32);
            for place in &mut self.next[term * self.blocks..(term + 1) * self.blocks] {
                let count = std::mem::replace(place, at);
                starts.push(at);
                at += count;
            }
            starts.push(at);
        }
        (terms, starts)
    }
}

impl Forward {
    /// Every stored weight: unit, term, weight, in order.
    fn stored(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        self.scales.iter().enumerate().flat_map(move |(unit, &scale)| {
            (self.starts[unit] as usize..self.starts[unit + 1] as usize)
                .map(move |i| (unit, self.terms[i] as usize, f64::from(self.impacts[i]) * f64::from(scale)))
        })
    }
}

/// The smallest bound with `bound * step >= weight`.
fn bound(weight: f64, step: f32) -> u8 {
    let step = f64::from(step);
    let mut bound = (weight / step).ceil().clamp(1.0, 255.0);
    // The division rounds; the product is what a reader relies on.
    if bound * step < weight {
        bound += 1.0;
    }
    debug_assert!(bound <= 255.0 && bound * step >= weight);
    bound as u8
}

impl Postings {
    pub(super) fn build(forward: &Forward, vocabulary_size: usize) -> Self {
        let mut census = Census::take(forward, vocabulary_size);
        let (terms, starts) = census.starts();
        let nnz = forward.terms.len();
        let steps: Vec<f32> = census.most.iter().map(|most| round_up(most / 255.0).max(f32::MIN_POSITIVE)).collect();
        let mut postings = Postings { offsets: vec![0; nnz], bounds: vec![0; nnz], ..Postings::default() };
        for (unit, term, weight) in forward.stored() {
            let place = &mut census.next[term * census.blocks + unit / BLOCK];
            postings.offsets[*place as usize] = (unit % BLOCK) as u16;
            postings.bounds[*place as usize] = bound(weight, steps[term]);
            *place += 1;
        }
        postings.steps = terms.iter().map(|&term| steps[term as usize]).collect();
        Postings { terms, starts, ..postings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bounds_are_never_below_the_weight(most in 1e-30_f64..1e30, part in 0.0_f64..=1.0) {
            let step = round_up(most / 255.0).max(f32::MIN_POSITIVE);
            let weight = most * part;
            let bound = bound(weight, step);
            prop_assert!(f64::from(bound) * f64::from(step) >= weight);
            prop_assert!(bound == 1 || f64::from(bound - 1) * f64::from(step) < weight * (1.0 + 1e-12));
        }
    }
}

//! Exact search by a scan of the query's postings, a block of 2^16 units at a time.
//!
//! A block's bounds are summed in u16 accumulators that stay in cache; units whose sum can still reach the k-th score
//! are scored from the forward index. Postings are read once and in order.

use super::bounds::QueryBounds;
use super::rescore::{DenseQuery, View};
use super::top_k::TopK;
use crate::segment::BLOCK;

/// Memory that is used again from query to query.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    sums: Vec<u16>,
    candidates: Vec<(u16, u16)>,
}

/// Offers `best` every unit of the view that can be among the k best.
pub(super) fn scan(
    view: View<'_>,
    terms: &[u32],
    weights: &[f32],
    query: &DenseQuery,
    best: &mut TopK,
    scratch: &mut Scratch,
) {
    let bounds = QueryBounds::new(&view.field, terms, weights);
    let additions: Vec<[u16; 256]> = bounds.terms.iter().map(|&term| bounds.additions(term)).collect();
    for block in 0..view.field.blocks() {
        scratch.sums.clear();
        scratch.sums.resize(BLOCK, 0);
        let sums: &mut [u16; BLOCK] = scratch.sums.first_chunk_mut().expect("just resized");
        for (term, additions) in bounds.terms.iter().zip(&additions) {
            let range = view.field.postings(term.place, block);
            let offsets = &view.field.posting_offsets[range.clone()];
            for (&offset, &bound) in offsets.iter().zip(&view.field.posting_bounds[range]) {
                let sum = &mut sums[usize::from(offset)];
                // Saturating for damaged files alone: in a sound one the quantum keeps sums below 2^16.
                *sum = sum.saturating_add(additions[usize::from(bound)]);
            }
        }
        let units = (view.rows.len() - block * BLOCK).min(BLOCK);
        collect(&sums[..units], bounds.floor(best.threshold()), &mut scratch.candidates);
        rescore(view, block, &bounds, query, best, &mut scratch.candidates);
    }
}

/// Offsets whose sum reaches `floor` (at least 1), with their sums.
fn collect(sums: &[u16], floor: u16, candidates: &mut Vec<(u16, u16)>) {
    candidates.clear();
    let reach = |(offset, &sum): (usize, &u16)| (sum >= floor).then_some((sum, offset as u16));
    candidates.extend(sums.iter().enumerate().filter_map(reach));
}

/// Scores the k candidates with the largest bounds first: they set a threshold that spares most of the others.
fn rescore(
    view: View<'_>,
    block: usize,
    bounds: &QueryBounds,
    query: &DenseQuery,
    best: &mut TopK,
    candidates: &mut [(u16, u16)],
) {
    let first = best.k().min(candidates.len());
    if first < candidates.len() {
        candidates.select_nth_unstable_by(first, |a, b| b.cmp(a));
    }
    let mut floor = 1;
    for (i, &(sum, offset)) in candidates.iter().enumerate() {
        if i >= first && sum < floor {
            continue;
        }
        best.offer(view.score((block * BLOCK) as u32 + u32::from(offset), query));
        floor = bounds.floor(best.threshold());
    }
}

//! Scores candidates from the forward index.

use super::plan::Plan;
use super::pool::Candidate;
use super::query::DenseQuery;
use super::view::View;
use crate::bit_set::contains;
use crate::top_k::TopK;

/// Candidates whose pages are prefetched together. Finding a page takes longer than reading from it
/// and blocks what follows, but a processor finds several pages at once.
const BATCH: usize = 8;

/// How many candidates ahead a vector is prefetched: reading it from memory takes as long as
/// scoring two.
const NEAR: usize = 2;

/// Scores the wanted candidates first, in the order of their ordinals, so that memory is read in
/// order; then the others, largest sums first.
///
/// An exact search stops where no remaining sum can reach the k-th best score. That skips half of
/// the passages that [`Bounds::drop`] has to keep (measured).
///
/// [`Bounds::drop`]: super::bounds::Bounds::drop
pub(super) fn rescore(
    views: &[View<'_>],
    mut candidates: Vec<Candidate>,
    plan: &Plan,
    query: &DenseQuery,
    best: &mut TopK,
) {
    let wanted = plan.keep.min(candidates.len());
    put_in_order(&mut candidates, wanted);
    let view = |candidate: &Candidate| &views[candidate.segment as usize];
    let part = |from: usize, to: usize| {
        candidates[from.min(candidates.len())..to.min(candidates.len())].iter()
    };
    part(0, 2 * BATCH).for_each(|candidate| view(candidate).prefetch_place(candidate.ordinal));
    part(0, BATCH).for_each(|candidate| view(candidate).prefetch_pages(candidate.ordinal));
    for (i, candidate) in candidates.iter().enumerate() {
        if i >= wanted && plan.exact && candidate.sum < plan.bounds.floor(best.threshold()) {
            break;
        }
        if i % BATCH == 0 {
            part(i + 2 * BATCH, i + 3 * BATCH)
                .for_each(|later| view(later).prefetch_place(later.ordinal));
            part(i + BATCH, i + 2 * BATCH).for_each(|next| view(next).prefetch_pages(next.ordinal));
        }
        if let Some(next) = candidates.get(i + NEAR) {
            view(next).prefetch(next.ordinal);
        }
        best.offer(view(candidate).score(candidate.ordinal, query));
    }
}

/// Puts the `wanted` largest sums first, ordered by ordinal, then the others by descending sum.
fn put_in_order(candidates: &mut [Candidate], wanted: usize) {
    if (1..candidates.len()).contains(&wanted) {
        candidates.select_nth_unstable_by(wanted - 1, |a, b| b.cmp(a));
    }
    let (wanted, others) = candidates.split_at_mut(wanted);
    wanted.sort_unstable_by_key(|candidate| (candidate.segment, candidate.ordinal));
    others.sort_unstable_by(|a, b| b.cmp(a));
}

/// Scores every allowed passage.
pub(super) fn score_all(view: &View<'_>, query: &DenseQuery, best: &mut TopK) {
    for ordinal in
        (0..view.rows.len() as u32).filter(|&ordinal| contains(view.allowed, ordinal as usize))
    {
        best.offer(view.score(ordinal, query));
    }
}

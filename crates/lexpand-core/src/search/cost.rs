//! The cost of reading a term, and what it can add to a score.

use crate::segment::Postings;

/// Scoring a passage from the forward index costs about as much as adding so many postings
/// (measured).
pub(super) const SCORE_COST: usize = 200;

/// So many bounds of a dense impact row cost about as much as one posting (measured).
const ROW_COST: usize = 16;

/// A query term before the quantum is known.
#[derive(Debug)]
pub(super) struct Share {
    /// The place among the posting terms.
    pub(super) place: usize,
    /// The score that a bound of 1 adds.
    pub(super) share: f64,
}

/// The cost of reading a term whole, in postings.
pub(super) fn cost(postings: &Postings<'_>, place: usize) -> usize {
    postings.dense.term(place).map_or_else(|| postings.stored(place), |dense| row_cost(dense.row))
}

/// The cost of reading a dense impact row, in postings.
pub(super) fn row_cost(row: &[u8]) -> usize {
    row.len() / ROW_COST
}

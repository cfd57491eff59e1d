//! What a query costs to read, and what its terms can add.

use crate::segment::Postings;

/// Scoring a passage from the forward index costs about as much as adding so many postings (measured, LOG.md).
pub(super) const SCORE_COST: usize = 200;

/// A bound of a dense row costs about as much as this part of a posting (measured, LOG.md).
const ROW_COST: usize = 16;

/// A query term before the quantum is known.
#[derive(Debug)]
pub(super) struct Share {
    /// Its place among the posting terms.
    pub(super) place: usize,
    /// What a bound of 1 adds to a score.
    pub(super) share: f64,
}

/// Of reading a term whole, in postings.
pub(super) fn cost(postings: &Postings<'_>, place: usize) -> usize {
    postings.dense.term(place).map_or_else(|| postings.stored(place), |dense| row_cost(dense.row))
}

/// Of reading a row, in postings.
pub(super) fn row_cost(row: &[u8]) -> usize {
    row.len() / ROW_COST
}

//! Exact search by BM25: a scan of the query's postings, a block of 2^16 passages at a time.

use std::ops::Range;

use super::bm25::{Query, Term};
use super::field::WordField;
use crate::bit_set::contains;
use crate::limits::BLOCK;
use crate::top_k::{Hit, TopK};
use crate::{Error, Result};

/// An open field of one segment, with what a search may return of it.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The field.
    pub field: WordField<'a>,
    /// The row of each passage's document.
    pub rows: &'a [u32],
    /// The passages that may be hits; None: all.
    pub allowed: Option<&'a [u64]>,
}

/// The best `k` passages, best first; equal scores by row. Fewer where fewer score above zero.
///
/// The score of a passage is the sum, in float64 from 0 and ascending by the words' bytes, of `w * tf / (tf + norm)` with
/// `w = weight * idf` and `norm = k1 * (1 - b + b * (length / average))`: the same bits however passages lie in segments.
/// Rows must be distinct over the sources, or ties have no order.
///
/// # Errors
/// [`Error::Invalid`] where a source has not one row a passage.
pub fn search(sources: &[Source<'_>], query: &Query<'_>, k: usize) -> Result<Vec<Hit>> {
    for (number, Source { field, rows, .. }) in sources.iter().enumerate() {
        if rows.len() != field.lengths().len() {
            let (rows, passages) = (rows.len(), field.passages());
            return Err(Error::invalid(format!(
                "words of source {number}: {rows} rows for {passages} passages"
            )));
        }
    }
    let mut best = TopK::new(k);
    if k == 0 {
        return Ok(Vec::new());
    }
    let mut sums = vec![0.0; BLOCK];
    for (number, source) in sources.iter().enumerate() {
        scan(source, number as u32, query, &mut sums, &mut best);
    }
    Ok(best.into_sorted())
}

/// A term's pairs of word and block that are still to be read.
struct Cursor<'q> {
    term: Term<'q>,
    pairs: Range<usize>,
}

impl Cursor<'_> {
    fn block(&self, field: WordField<'_>) -> Option<u16> {
        (!self.pairs.is_empty()).then(|| field.block(self.pairs.start))
    }

    /// The postings of the next pair, where it is of this block.
    fn next_in(&mut self, block: u16, field: WordField<'_>) -> Option<Range<usize>> {
        if self.block(field) == Some(block) {
            self.pairs.next().map(|pair| field.postings_of(pair))
        } else {
            None
        }
    }
}

fn cursors<'q>(field: WordField<'_>, query: &Query<'q>) -> Vec<Cursor<'q>> {
    let cursor =
        |&term: &Term<'q>| Some(Cursor { term, pairs: field.blocks_of(field.term(term.word)?) });
    query.terms.iter().filter_map(cursor).collect()
}

/// Offers `best` every passage of the source that has a word of the query. `sums` is zero before and after.
fn scan(source: &Source<'_>, number: u32, query: &Query<'_>, sums: &mut [f64], best: &mut TopK) {
    let field = source.field;
    let mut cursors = cursors(field, query);
    while let Some(block) = cursors.iter().filter_map(|cursor| cursor.block(field)).min() {
        let mut read = Vec::new();
        for cursor in &mut cursors {
            if let Some(places) = cursor.next_in(block, field) {
                add(field, query, cursor.term, places.clone(), block, sums);
                read.push(places);
            }
        }
        for &offset in read.into_iter().flat_map(|places| field.offsets(places)) {
            // Taken, so that a passage with several words is offered once and the sums are zero again.
            let score = std::mem::take(&mut sums[usize::from(offset)]);
            let ordinal = u32::from(block) * BLOCK as u32 + u32::from(offset);
            if score > 0.0
                && score >= best.threshold()
                && contains(source.allowed, ordinal as usize)
            {
                best.offer(Hit {
                    score,
                    row: source.rows[ordinal as usize],
                    segment: number,
                    ordinal,
                });
            }
        }
    }
}

/// Adds a term's shares to the sums of one block.
fn add(
    field: WordField<'_>,
    query: &Query<'_>,
    term: Term<'_>,
    places: Range<usize>,
    block: u16,
    sums: &mut [f64],
) {
    let lengths = &field.lengths()[usize::from(block) * BLOCK..];
    for (place, &offset) in places.clone().zip(field.offsets(places)) {
        // An offset past the last passage stands only in a damaged file that was opened unverified: it scores nothing.
        if let Some(&length) = lengths.get(usize::from(offset)) {
            sums[usize::from(offset)] += query.share(term, field.frequency(place), length);
        }
    }
}

//! Exact search by BM25: a scan of the query's posting lists, a block of 2^16 passages at a time.

use std::ops::Range;

use super::bm25::{Query, Term};
use super::field::WordField;
use crate::bit_set::contains;
use crate::limits::BLOCK;
use crate::top_k::{Hit, TopK};
use crate::{Error, Result};

/// An open field of one segment, with the passages that may be found.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The field.
    pub field: WordField<'a>,
    /// The row of each passage's document.
    pub rows: &'a [u32],
    /// The passages that may be found; `None` is every passage.
    pub allowed: Option<&'a [u64]>,
}

/// The best `k` passages, best first; equal scores are ordered by row. There are fewer if fewer
/// score above zero.
///
/// The score of a passage is the sum of `w * tf / (tf + norm)`, in float64 from 0, ascending by the
/// words' bytes, with `w = weight * idf` and `norm = k1 * (1 - b + b * (length / average))`. It has
/// the same bits however passages are spread over segments. Rows must be distinct over the sources,
/// or ties have no order.
///
/// # Errors
/// [`Error::Invalid`] if a source does not have one row per passage.
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

/// The pairs of a term and a block that are still to be read.
struct Cursor<'q> {
    term: Term<'q>,
    pairs: Range<usize>,
}

impl Cursor<'_> {
    fn block(&self, field: WordField<'_>) -> Option<u16> {
        (!self.pairs.is_empty()).then(|| field.block(self.pairs.start))
    }

    /// The postings of the next pair, if it is of this block.
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

/// Offers `best` every passage of the source that has a word of the query. `sums` is all zero
/// before and after.
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
            // Taking the sum offers a passage with several words once, and leaves zeros behind.
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
        // Only a damaged file that was opened unverified has an offset past the last passage. It
        // scores nothing.
        if let Some(&length) = lengths.get(usize::from(offset)) {
            sums[usize::from(offset)] += query.share(term, field.frequency(place), length);
        }
    }
}

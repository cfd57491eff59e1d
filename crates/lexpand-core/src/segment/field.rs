//! The arrays of one field, named as in docs/format.md.

use super::sizes::{GROUP, LEVELS, SUB_BLOCKS};
use crate::bit_set::contains;

/// The terms of a forward index, in the width that the vocabulary needs.
#[derive(Debug, Clone, Copy)]
pub enum Terms<'a> {
    /// Vocabularies up to 2^16.
    Narrow(&'a [u16]),
    /// Larger ones.
    Wide(&'a [u32]),
}

impl Terms<'_> {
    /// Stored weights.
    pub fn len(&self) -> usize {
        match self {
            Terms::Narrow(terms) => terms.len(),
            Terms::Wide(terms) => terms.len(),
        }
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The term at place i.
    pub fn at(&self, i: usize) -> u32 {
        match self {
            Terms::Narrow(terms) => u32::from(terms[i]),
            Terms::Wide(terms) => terms[i],
        }
    }
}

/// One field of one segment.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// Terms are below this.
    pub vocabulary_size: u32,
    /// One a passage.
    pub scales: &'a [f32],
    /// Where each passage's terms begin; one more than there are passages.
    pub forward_starts: &'a [u64],
    /// Ascending within a passage.
    pub forward_terms: Terms<'a>,
    /// Beside the terms.
    pub forward_impacts: &'a [u16],
    /// Where to look for the passages that have a term.
    pub postings: Postings<'a>,
}

/// The forward index turned over.
#[derive(Debug, Clone, Copy)]
pub struct Postings<'a> {
    /// Blocks of 2^16 passages.
    pub blocks: usize,
    /// The terms that occur, ascending.
    pub terms: &'a [u32],
    /// One a term.
    pub steps: &'a [f32],
    /// `[terms.len(), blocks + 1]`
    pub starts: &'a [u64],
    /// Ordinals less their block's first; ascending sub-blocks, in each descending bounds.
    pub offsets: &'a [u16],
    /// Beside the offsets; `bound * step` is not below the stored weight, `(bound - 1) * step` is.
    pub bounds: &'a [u8],
    /// `[terms.len(), blocks]`: which splits are the run's; `u32::MAX` where it has none.
    pub split_places: &'a [u32],
    /// `[.., SUB_BLOCKS - 1]`: postings of a run that lie before each sub-block but the first.
    pub splits: &'a [u16],
    /// `[terms.len(), LEVELS.len()]`: share of a term's postings whose bound reaches a level, in 1/255, rounded up.
    pub level_shares: &'a [u8],
    /// The frequent terms.
    pub dense: Dense<'a>,
}

/// The frequent terms as one bound a passage; their postings hold only the largest.
#[derive(Debug, Clone, Copy)]
pub struct Dense<'a> {
    /// Places of the terms among the posting terms, ascending.
    pub terms: &'a [u32],
    /// The least bound that their postings hold; 0 where they hold none.
    pub cuts: &'a [u8],
    /// `[terms.len(), width]`: bounds by ordinal, 0 where a passage lacks the term.
    pub rows: &'a [u8],
    /// Passages, rounded up to a multiple of 64.
    pub width: usize,
    /// `[terms.len(), width / GROUP]`: the largest bound of each group of [`GROUP`] passages; empty in a segment that was written without.
    ///
    /// [`GROUP`]: super::sizes::GROUP
    pub maxima: &'a [u8],
}

impl Field<'_> {
    /// Where a passage's terms lie in the forward index.
    pub fn passage(&self, ordinal: u32) -> std::ops::Range<usize> {
        let i = ordinal as usize;
        self.forward_starts[i] as usize..self.forward_starts[i + 1] as usize
    }

    /// Of each term, the passages of a set (bit i of word i / 64; all without one) that have it.
    pub fn document_frequencies(&self, passages: Option<&[u64]>) -> Vec<u64> {
        let mut counts = vec![0; self.vocabulary_size as usize];
        for ordinal in (0..self.scales.len()).filter(|&ordinal| contains(passages, ordinal)) {
            for place in self.passage(ordinal as u32) {
                // A term outside the vocabulary is a damaged file's, opened unverified.
                if let Some(count) = counts.get_mut(self.forward_terms.at(place) as usize) {
                    *count += 1;
                }
            }
        }
        counts
    }
}

impl<'a> Postings<'a> {
    /// Where the postings of the i-th term in a block lie.
    pub fn block(&self, i: usize, block: usize) -> std::ops::Range<usize> {
        let at = i * (self.blocks + 1) + block;
        self.starts[at] as usize..self.starts[at + 1] as usize
    }

    /// The splits of the i-th term's run in a block, where it is long enough to have any.
    pub fn splits_of(&self, i: usize, block: usize) -> Option<&'a [u16]> {
        let place = self.split_places[i * self.blocks + block];
        (place != u32::MAX)
            .then(|| &self.splits[place as usize * (SUB_BLOCKS - 1)..][..SUB_BLOCKS - 1])
    }

    /// Of the i-th term's postings, the share whose bound reaches each of [`LEVELS`].
    pub fn shares(&self, i: usize) -> &'a [u8] {
        &self.level_shares[i * LEVELS.len()..][..LEVELS.len()]
    }

    /// Where all postings of the i-th term lie.
    pub fn list(&self, i: usize) -> std::ops::Range<usize> {
        let at = i * (self.blocks + 1);
        self.starts[at] as usize..self.starts[at + self.blocks] as usize
    }

    /// Postings of the i-th term that are stored as such.
    pub fn stored(&self, i: usize) -> usize {
        self.list(i).len()
    }
}

/// What a segment says of one dense term.
#[derive(Debug, Clone, Copy)]
pub struct DenseTerm<'a> {
    /// A bound a passage.
    pub row: &'a [u8],
    /// The largest bound of each group; None in a segment that was written without.
    pub maxima: Option<&'a [u8]>,
    /// The least bound of its postings; 0 where it has none.
    pub cut: u8,
}

impl<'a> Dense<'a> {
    /// A term, by its place among the posting terms.
    pub fn term(&self, place: usize) -> Option<DenseTerm<'a>> {
        let i = self.terms.binary_search(&(place as u32)).ok()?;
        let part = |all: &'a [u8], width: usize| &all[i * width..][..width];
        let maxima = (!self.maxima.is_empty()).then(|| part(self.maxima, self.width / GROUP));
        Some(DenseTerm { row: part(self.rows, self.width), maxima, cut: self.cuts[i] })
    }
}

//! The arrays of one field, named as in docs/format.md.

use super::sizes::{GROUP, LEVELS, SUB_BLOCKS};
use crate::bit_set::contains;

/// The terms of a forward index, in the width that the vocabulary needs.
#[derive(Debug, Clone, Copy)]
pub enum Terms<'a> {
    /// Terms of a vocabulary of up to 2^16.
    Narrow(&'a [u16]),
    /// Terms of a larger vocabulary.
    Wide(&'a [u32]),
}

impl Terms<'_> {
    /// The number of stored weights.
    pub fn len(&self) -> usize {
        match self {
            Terms::Narrow(terms) => terms.len(),
            Terms::Wide(terms) => terms.len(),
        }
    }

    /// Whether no weight is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The i-th term.
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
    /// The scale of each passage.
    pub scales: &'a [f32],
    /// Where the terms of each passage begin; one more entry than there are passages.
    pub forward_starts: &'a [u64],
    /// The terms, ascending within a passage.
    pub forward_terms: Terms<'a>,
    /// The impact of each term.
    pub forward_impacts: &'a [u16],
    /// Where to look for the passages that have a term.
    pub postings: Postings<'a>,
}

/// The posting lists: the inverse of the forward index.
#[derive(Debug, Clone, Copy)]
pub struct Postings<'a> {
    /// The number of blocks of 2^16 passages.
    pub blocks: usize,
    /// The terms that occur, ascending.
    pub terms: &'a [u32],
    /// The step of each term.
    pub steps: &'a [f32],
    /// Where each block of each posting list begins, `[terms.len(), blocks + 1]`.
    pub starts: &'a [u64],
    /// Ordinals minus the block's first ordinal. Within a block of a posting list sub-blocks
    /// ascend, and within a sub-block bounds descend.
    pub offsets: &'a [u16],
    /// The bound of each posting: `bound * step` is not below the stored weight,
    /// `(bound - 1) * step` is.
    pub bounds: &'a [u8],
    /// The splits of each block of each posting list, `[terms.len(), blocks]`; `u32::MAX` for none.
    pub split_places: &'a [u32],
    /// How many postings of a block lie before each sub-block but the first,
    /// `[.., SUB_BLOCKS - 1]`.
    pub splits: &'a [u16],
    /// The share of a term's postings whose bound reaches each level, in 1/255, rounded up:
    /// `[terms.len(), LEVELS.len()]`.
    pub level_shares: &'a [u8],
    /// The dense terms.
    pub dense: Dense<'a>,
}

/// The dense terms: frequent ones, which have a dense impact row (one bound per passage) and
/// postings for the largest bounds only.
#[derive(Debug, Clone, Copy)]
pub struct Dense<'a> {
    /// The places of the terms in [`Postings::terms`], ascending.
    pub terms: &'a [u32],
    /// The smallest bound that has a posting; 0 if none has.
    pub cuts: &'a [u8],
    /// The dense impact rows, `[terms.len(), width]`: bounds by ordinal, 0 for a passage that lacks
    /// the term.
    pub rows: &'a [u8],
    /// The number of passages, rounded up to a multiple of 64.
    pub width: usize,
    /// The block maxima: the largest bound of each group of 16 passages,
    /// `[terms.len(), width / 16]`. Empty in a segment that has none.
    pub maxima: &'a [u8],
}

impl Field<'_> {
    /// The range of a passage's terms in the forward index.
    pub fn passage(&self, ordinal: u32) -> std::ops::Range<usize> {
        let i = ordinal as usize;
        self.forward_starts[i] as usize..self.forward_starts[i + 1] as usize
    }

    /// The number of passages in a set that have each term; without a set, of all passages.
    pub fn document_frequencies(&self, passages: Option<&[u64]>) -> Vec<u64> {
        let mut counts = vec![0; self.vocabulary_size as usize];
        for ordinal in (0..self.scales.len()).filter(|&ordinal| contains(passages, ordinal)) {
            for place in self.passage(ordinal as u32) {
                // Only a damaged file that was opened unverified has a term outside the vocabulary.
                if let Some(count) = counts.get_mut(self.forward_terms.at(place) as usize) {
                    *count += 1;
                }
            }
        }
        counts
    }
}

impl<'a> Postings<'a> {
    /// The range of the i-th term's postings in a block.
    pub fn block(&self, i: usize, block: usize) -> std::ops::Range<usize> {
        let at = i * (self.blocks + 1) + block;
        self.starts[at] as usize..self.starts[at + 1] as usize
    }

    /// The splits of the i-th term's postings in a block, if there are enough postings to have
    /// them.
    pub fn splits_of(&self, i: usize, block: usize) -> Option<&'a [u16]> {
        let place = self.split_places[i * self.blocks + block];
        (place != u32::MAX)
            .then(|| &self.splits[place as usize * (SUB_BLOCKS - 1)..][..SUB_BLOCKS - 1])
    }

    /// The share of the i-th term's postings whose bound reaches each of `LEVELS`.
    pub fn shares(&self, i: usize) -> &'a [u8] {
        &self.level_shares[i * LEVELS.len()..][..LEVELS.len()]
    }

    /// The range of the i-th term's posting list.
    pub fn list(&self, i: usize) -> std::ops::Range<usize> {
        let at = i * (self.blocks + 1);
        self.starts[at] as usize..self.starts[at + self.blocks] as usize
    }

    /// The length of the i-th term's posting list.
    pub fn stored(&self, i: usize) -> usize {
        self.list(i).len()
    }
}

/// The arrays of one dense term.
#[derive(Debug, Clone, Copy)]
pub struct DenseTerm<'a> {
    /// The dense impact row: one bound per passage.
    pub row: &'a [u8],
    /// The block maxima; None in a segment that has none.
    pub maxima: Option<&'a [u8]>,
    /// The smallest bound that has a posting; 0 if none has.
    pub cut: u8,
}

impl<'a> Dense<'a> {
    /// The arrays of a term, by its place; None for a term that is not dense.
    pub fn term(&self, place: usize) -> Option<DenseTerm<'a>> {
        let i = self.terms.binary_search(&(place as u32)).ok()?;
        let part = |all: &'a [u8], width: usize| &all[i * width..][..width];
        let maxima = (!self.maxima.is_empty()).then(|| part(self.maxima, self.width / GROUP));
        Some(DenseTerm { row: part(self.rows, self.width), maxima, cut: self.cuts[i] })
    }
}

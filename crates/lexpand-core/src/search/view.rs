//! The segments to search, and the passages that may be found.

use super::query::DenseQuery;
use crate::bit_set::count_in;
use crate::prefetch::prefetch;
use crate::segment::{Field, Segment, Terms};
use crate::top_k::Hit;
use crate::{Error, Result};

/// A segment to search, and the ordinals that may be found; all of them without a set.
#[derive(Debug, Clone, Copy)]
pub struct Searched<'a> {
    /// The segment.
    pub segment: &'a Segment,
    /// The allowed ordinals: at least as many bits as the segment has passages.
    pub allowed: Option<&'a [u64]>,
}

/// One field of one segment, ready to score.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) field: Field<'a>,
    pub(super) rows: &'a [u32],
    pub(super) segment: u32,
    pub(super) allowed: Option<&'a [u64]>,
    pub(super) allowed_passages: usize,
}

impl<'a> View<'a> {
    pub(super) fn new(searched: &Searched<'a>, field: u32, segment: u32) -> Result<Self> {
        let field = searched
            .segment
            .field(field)
            .ok_or_else(|| Error::invalid(format!("segment {segment} has no field {field}")))?;
        let passages = searched.segment.passages() as usize;
        if searched.allowed.is_some_and(|words| words.len() * 64 < passages) {
            return Err(Error::invalid(format!(
                "segment {segment}: the set of allowed passages is shorter than the segment"
            )));
        }
        let allowed_passages =
            searched.allowed.map_or(passages, |words| count_in(words, 0..passages));
        Ok(View {
            field,
            rows: searched.segment.rows(),
            segment,
            allowed: searched.allowed,
            allowed_passages,
        })
    }

    pub(super) fn score(&self, ordinal: u32, query: &DenseQuery) -> Hit {
        let range = self.field.passage(ordinal);
        let impacts = &self.field.forward_impacts[range.clone()];
        let sum = match self.field.forward_terms {
            Terms::Narrow(terms) => query.dot(&terms[range], impacts),
            Terms::Wide(terms) => query.dot(&terms[range], impacts),
        };
        let score = sum * f64::from(self.field.scales[ordinal as usize]);
        Hit { score, row: self.rows[ordinal as usize], segment: self.segment, ordinal }
    }

    /// Prefetches what tells where a passage's vector is stored.
    pub(super) fn prefetch_place(&self, ordinal: u32) {
        prefetch(&self.field.forward_starts[ordinal as usize]);
        prefetch(&self.field.scales[ordinal as usize]);
        prefetch(&self.rows[ordinal as usize]);
    }

    /// Prefetches the first and last page of a passage's vector.
    pub(super) fn prefetch_pages(&self, ordinal: u32) {
        let range = self.field.passage(ordinal);
        if let Some(last) = range.clone().last() {
            self.prefetch_at(range.start);
            self.prefetch_at(last);
        }
    }

    /// Prefetches all of a passage's vector.
    pub(super) fn prefetch(&self, ordinal: u32) {
        self.field.passage(ordinal).step_by(32).for_each(|i| self.prefetch_at(i));
    }

    fn prefetch_at(&self, i: usize) {
        prefetch(&self.field.forward_impacts[i]);
        match self.field.forward_terms {
            Terms::Narrow(terms) => prefetch(&terms[i]),
            Terms::Wide(terms) => prefetch(&terms[i]),
        }
    }
}

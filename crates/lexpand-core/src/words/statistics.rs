//! The statistics of BM25, counted over live passages when a query runs.

use super::field::Live;
use crate::bit_set::contains;

/// Counts over the live passages of all segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics {
    /// The number of live passages, including empty ones.
    pub passages: u64,
    /// The sum of their lengths.
    pub total_length: u64,
    /// The number of live passages that have each word of the query.
    pub document_frequencies: Vec<u64>,
}

impl Statistics {
    /// Counts over `fields`, each with its live passages.
    pub fn count(fields: &[Live<'_>], words: &[&str]) -> Self {
        let totals = fields.iter().map(|(field, live)| field.totals(*live));
        let (passages, total_length) =
            totals.fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
        Statistics {
            passages,
            total_length,
            document_frequencies: document_frequencies(fields, words),
        }
    }
}

/// The number of live passages that have each word.
pub fn document_frequencies(fields: &[Live<'_>], words: &[&str]) -> Vec<u64> {
    words.iter().map(|word| fields.iter().map(|&field| in_field(field, word)).sum()).collect()
}

fn in_field((field, live): Live<'_>, word: &str) -> u64 {
    let Some(term) = field.term(word) else { return 0 };
    let pairs = field.blocks_of(term);
    if live.is_none() {
        return pairs.map(|pair| field.postings_of(pair).len() as u64).sum();
    }
    field.postings(term).filter(|&(ordinal, _)| contains(live, ordinal as usize)).count() as u64
}

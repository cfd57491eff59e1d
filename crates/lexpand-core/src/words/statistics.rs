//! What BM25 must know of a collection, counted over live passages when a query runs.

use super::field::Live;
use crate::bit_set::contains;

/// Counts over the live passages of all segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics {
    /// Live passages, empty ones too.
    pub passages: u64,
    /// Sum of their lengths.
    pub total_length: u64,
    /// For each word of the query, the live passages that have it.
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

/// For each word, the passages that have it, of those that are live.
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

//! The score of a unit, as docs/format.md defines it.

use super::top_k::{Hit, TopK};
use crate::segment::{Field, Terms};

/// A query's weights by term, zero for the others.
#[derive(Debug)]
pub(super) struct DenseQuery(Vec<f64>);

impl DenseQuery {
    pub(super) fn new(vocabulary_size: u32) -> Self {
        DenseQuery(vec![0.0; vocabulary_size as usize])
    }

    pub(super) fn set(&mut self, terms: &[u32], weights: &[f32]) {
        for (&term, &weight) in terms.iter().zip(weights) {
            if let Some(place) = self.0.get_mut(term as usize) {
                *place = f64::from(weight);
            }
        }
    }

    pub(super) fn clear(&mut self, terms: &[u32]) {
        self.set(terms, &vec![0.0; terms.len()]);
    }

    /// Sum over the terms in their order. A term that the query lacks adds 0.0, which changes no bit of a sum of
    /// numbers >= 0; one outside the vocabulary (a damaged file, opened unverified) is ignored.
    fn dot<T: Copy + Into<u32>>(&self, terms: &[T], impacts: &[u16]) -> f64 {
        let weight = |&term: &T| self.0.get(term.into() as usize).copied().unwrap_or(0.0);
        terms.iter().zip(impacts).fold(0.0, |sum, (term, &impact)| sum + weight(term) * f64::from(impact))
    }
}

/// One field of one segment, ready to score.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) field: Field<'a>,
    pub(super) rows: &'a [u32],
    pub(super) segment: u32,
}

impl View<'_> {
    pub(super) fn score(&self, ordinal: u32, query: &DenseQuery) -> Hit {
        let range = self.field.unit(ordinal);
        let impacts = &self.field.forward_impacts[range.clone()];
        let sum = match self.field.forward_terms {
            Terms::Narrow(terms) => query.dot(&terms[range], impacts),
            Terms::Wide(terms) => query.dot(&terms[range], impacts),
        };
        let score = sum * f64::from(self.field.scales[ordinal as usize]);
        Hit { score, row: self.rows[ordinal as usize], segment: self.segment, ordinal }
    }
}

/// Every unit, one after the other.
pub(super) fn score_all(view: View<'_>, query: &DenseQuery, best: &mut TopK) {
    for ordinal in 0..view.rows.len() as u32 {
        best.offer(view.score(ordinal, query));
    }
}

//! Query vectors, and the options of a search.

use crate::limits::{MAX_TERMS, check_vector};
use crate::{Error, Result};

/// Longer queries are scored passage by passage: the rounding of so many terms would use up a u16.
pub(super) const SCAN_TERMS: usize = MAX_TERMS / 8;

/// Query vectors in CSR form.
#[derive(Debug, Clone, Copy)]
pub struct Queries<'a> {
    indptr: &'a [i64],
    terms: &'a [u32],
    weights: &'a [f32],
}

impl<'a> Queries<'a> {
    /// Checks the vectors: terms ascend within a query and are below `vocabulary_size`; weights are
    /// finite and >= 0.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the query that breaks a limit.
    pub fn new(
        indptr: &'a [i64],
        terms: &'a [u32],
        weights: &'a [f32],
        vocabulary_size: u32,
    ) -> Result<Self> {
        let whole = indptr.first() == Some(&0) && indptr.last() == Some(&(terms.len() as i64));
        if !whole || !indptr.is_sorted() || terms.len() != weights.len() {
            return Err(Error::invalid("queries: indptr, terms and weights do not fit together"));
        }
        let queries = Queries { indptr, terms, weights };
        for i in 0..queries.len() {
            let Query { terms, weights } = queries.query(i);
            check_vector(terms, weights, vocabulary_size)
                .map_err(|what| Error::invalid(format!("query {i}: {what}")))?;
        }
        Ok(queries)
    }

    /// The number of queries.
    pub fn len(&self) -> usize {
        self.indptr.len() - 1
    }

    /// Whether there is no query.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn query(&self, i: usize) -> Query<'a> {
        let range = self.indptr[i] as usize..self.indptr[i + 1] as usize;
        Query { terms: &self.terms[range.clone()], weights: &self.weights[range] }
    }
}

/// One query vector.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) terms: &'a [u32],
    pub(super) weights: &'a [f32],
}

/// The options of a search.
#[derive(Debug, Clone, Copy)]
pub struct SearchOptions {
    /// The number of hits.
    pub k: usize,
    /// The share of a query's postings that is read, highest impacts first, in (0, 1]. At 1 the
    /// result is exact.
    pub effort: f64,
    /// The number of threads. A query runs on one.
    pub threads: usize,
}

/// A query's weights by term of the vocabulary.
#[derive(Debug)]
pub(super) struct DenseQuery(Vec<f32>);

impl DenseQuery {
    pub(super) fn new(vocabulary_size: u32) -> Self {
        DenseQuery(vec![0.0; vocabulary_size as usize])
    }

    /// Whether it is for a vocabulary of this size.
    pub(super) fn fits(&self, vocabulary_size: u32) -> bool {
        self.0.len() == vocabulary_size as usize
    }

    pub(super) fn set(&mut self, terms: &[u32], weights: &[f32]) {
        for (&term, &weight) in terms.iter().zip(weights) {
            if let Some(place) = self.0.get_mut(term as usize) {
                *place = weight;
            }
        }
    }

    pub(super) fn clear(&mut self, terms: &[u32]) {
        self.set(terms, &vec![0.0; terms.len()]);
    }

    /// The sum over the terms in their order. A term that the query lacks adds 0.0, which changes
    /// no bit of a sum of numbers >= 0. A term outside the vocabulary, in a damaged file opened
    /// unverified, is ignored.
    pub(super) fn dot<T: Copy + Into<u32>>(&self, terms: &[T], impacts: &[u16]) -> f64 {
        let weight =
            |&term: &T| f64::from(self.0.get(term.into() as usize).copied().unwrap_or(0.0));
        terms
            .iter()
            .zip(impacts)
            .fold(0.0, |sum, (term, &impact)| sum + weight(term) * f64::from(impact))
    }
}

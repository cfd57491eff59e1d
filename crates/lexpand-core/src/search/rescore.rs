//! The score of a unit, as docs/format.md defines it.

use super::Searched;
use super::plan::Plan;
use super::pool::Candidate;
use super::top_k::{Hit, TopK};
use crate::prefetch::prefetch;
use crate::segment::{Field, Terms, count_in, has};
use crate::{Error, Result};

/// Candidates whose pages are asked for together: to find where a page lies takes longer than to read from it, and stops whatever comes after, but a
/// processor finds several at once.
const BATCH: usize = 8;

/// Candidates between asking for all of a vector and scoring it: a read from memory takes as long as scoring two.
const NEAR: usize = 2;

/// A query's weights by term, zero for the others.
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

    /// Sum over the terms in their order. A term that the query lacks adds 0.0, which changes no bit of a sum of
    /// numbers >= 0; one outside the vocabulary (a damaged file, opened unverified) is ignored.
    fn dot<T: Copy + Into<u32>>(&self, terms: &[T], impacts: &[u16]) -> f64 {
        let weight = |&term: &T| f64::from(self.0.get(term.into() as usize).copied().unwrap_or(0.0));
        terms.iter().zip(impacts).fold(0.0, |sum, (term, &impact)| sum + weight(term) * f64::from(impact))
    }
}

/// One field of one segment, ready to score.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) field: Field<'a>,
    pub(super) rows: &'a [u32],
    pub(super) segment: u32,
    pub(super) allowed: Option<&'a [u64]>,
    pub(super) allowed_units: usize,
}

impl<'a> View<'a> {
    pub(super) fn new(searched: &Searched<'a>, field: u32, segment: u32) -> Result<Self> {
        let field = searched.segment.field(field).ok_or_else(|| Error::invalid("a segment lacks the field"))?;
        let units = searched.segment.units() as usize;
        if searched.allowed.is_some_and(|words| words.len() * 64 < units) {
            return Err(Error::invalid(format!("the set of allowed units of segment {segment} is shorter than it")));
        }
        let allowed_units = searched.allowed.map_or(units, |words| count_in(words, 0..units));
        Ok(View { field, rows: searched.segment.rows(), segment, allowed: searched.allowed, allowed_units })
    }

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

    /// Asks for where a unit lies, which the other two will read.
    fn prefetch_place(&self, ordinal: u32) {
        prefetch(&self.field.forward_starts[ordinal as usize]);
        prefetch(&self.field.scales[ordinal as usize]);
        prefetch(&self.rows[ordinal as usize]);
    }

    /// Asks for the pages of what [`View::score`] will read.
    fn prefetch_pages(&self, ordinal: u32) {
        let range = self.field.unit(ordinal);
        if let Some(last) = range.clone().last() {
            self.prefetch_at(range.start);
            self.prefetch_at(last);
        }
    }

    /// Asks for all that [`View::score`] will read.
    fn prefetch(&self, ordinal: u32) {
        self.field.unit(ordinal).step_by(32).for_each(|i| self.prefetch_at(i));
    }

    fn prefetch_at(&self, i: usize) {
        prefetch(&self.field.forward_impacts[i]);
        match self.field.forward_terms {
            Terms::Narrow(terms) => prefetch(&terms[i]),
            Terms::Wide(terms) => prefetch(&terms[i]),
        }
    }
}

/// Scores candidates: those that are wanted, by their sums, in the order of their places, so that pages and what says where they lie come in order;
/// then the others, the largest sums first. An exact search ends where no sum that is left can reach the k-th best score: half of the units that
/// [`Bounds::drop`] has to keep are not read.
///
/// [`Bounds::drop`]: super::bounds::Bounds::drop
pub(super) fn rescore(
    views: &[View<'_>],
    mut candidates: Vec<Candidate>,
    plan: &Plan,
    query: &DenseQuery,
    best: &mut TopK,
) {
    let wanted = plan.keep.min(candidates.len());
    put_in_order(&mut candidates, wanted);
    let view = |candidate: &Candidate| &views[candidate.segment as usize];
    let part = |from: usize, to: usize| candidates[from.min(candidates.len())..to.min(candidates.len())].iter();
    part(0, 2 * BATCH).for_each(|candidate| view(candidate).prefetch_place(candidate.ordinal));
    part(0, BATCH).for_each(|candidate| view(candidate).prefetch_pages(candidate.ordinal));
    for (i, candidate) in candidates.iter().enumerate() {
        if i >= wanted && plan.exact && candidate.sum < plan.bounds.floor(best.threshold()) {
            break;
        }
        if i % BATCH == 0 {
            part(i + 2 * BATCH, i + 3 * BATCH).for_each(|later| view(later).prefetch_place(later.ordinal));
            part(i + BATCH, i + 2 * BATCH).for_each(|next| view(next).prefetch_pages(next.ordinal));
        }
        if let Some(next) = candidates.get(i + NEAR) {
            view(next).prefetch(next.ordinal);
        }
        best.offer(view(candidate).score(candidate.ordinal, query));
    }
}

/// The `wanted` largest sums by place, then the others by sum.
fn put_in_order(candidates: &mut [Candidate], wanted: usize) {
    if (1..candidates.len()).contains(&wanted) {
        candidates.select_nth_unstable_by(wanted - 1, |a, b| b.cmp(a));
    }
    let (wanted, others) = candidates.split_at_mut(wanted);
    wanted.sort_unstable_by_key(|candidate| (candidate.segment, candidate.ordinal));
    others.sort_unstable_by(|a, b| b.cmp(a));
}

/// Every allowed unit, one after the other.
pub(super) fn score_all(view: &View<'_>, query: &DenseQuery, best: &mut TopK) {
    for ordinal in (0..view.rows.len() as u32).filter(|&ordinal| has(view.allowed, ordinal as usize)) {
        best.offer(view.score(ordinal, query));
    }
}

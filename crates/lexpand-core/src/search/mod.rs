//! Which k units score best for a query vector?
//!
//! Exact over stored weights, and to the bit: the score of a unit is `(sum of q[t] * impact[t]) * scale` in float64, the sum in
//! ascending order of the term; equal scores are ordered by row. [`scan`] finds the candidates by bounds that round up,
//! [`rescore`] gives them their score, [`top_k`] keeps the best.

mod bounds;
mod rescore;
mod scan;
mod top_k;

use std::thread;

use crate::segment::Segment;
use crate::{Error, MAX_TERMS, Result};
use rescore::DenseQuery;
pub use top_k::Hit;
pub(crate) use top_k::TopK;

/// Longer queries are scored without bounds: rounding each term up would fill a u16 accumulator.
const SCAN_TERMS: usize = MAX_TERMS / 8;

/// Query vectors in CSR form.
#[derive(Debug, Clone, Copy)]
pub struct Queries<'a> {
    indptr: &'a [i64],
    terms: &'a [u32],
    weights: &'a [f32],
}

impl<'a> Queries<'a> {
    /// Terms ascend within a query and are below `vocabulary_size`; weights are finite and >= 0.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the query, where a limit is broken.
    pub fn new(indptr: &'a [i64], terms: &'a [u32], weights: &'a [f32], vocabulary_size: u32) -> Result<Self> {
        let whole = indptr.first() == Some(&0) && indptr.last() == Some(&(terms.len() as i64));
        if !whole || !indptr.is_sorted() || terms.len() != weights.len() {
            return Err(Error::invalid("queries: indptr, terms and weights do not fit together"));
        }
        let queries = Queries { indptr, terms, weights };
        for i in 0..queries.len() {
            let (terms, weights) = queries.query(i);
            crate::segment::check_unit(terms, weights, vocabulary_size)
                .map_err(|what| Error::invalid(format!("query {i}: {what}")))?;
        }
        Ok(queries)
    }

    /// Queries in the batch.
    pub fn len(&self) -> usize {
        self.indptr.len() - 1
    }

    /// Whether there is no query.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn query(&self, i: usize) -> (&'a [u32], &'a [f32]) {
        let range = self.indptr[i] as usize..self.indptr[i + 1] as usize;
        (&self.terms[range.clone()], &self.weights[range])
    }
}

/// The best `k` units of each query over one field of all segments, best first, on `threads` threads.
///
/// Fewer than `k` where fewer score above zero. Rows must be distinct over the segments, or ties have no order.
///
/// # Errors
/// [`Error::Invalid`] where a segment lacks the field or has another vocabulary size than the others.
pub fn search(
    segments: &[&Segment],
    field: u32,
    queries: Queries<'_>,
    k: usize,
    threads: usize,
) -> Result<Vec<Vec<Hit>>> {
    let vocabulary_size = vocabulary_size(segments, field)?;
    let mut hits = vec![Vec::new(); queries.len()];
    let share = queries.len().div_ceil(threads.max(1)).max(1);
    thread::scope(|scope| {
        for (i, hits) in hits.chunks_mut(share).enumerate() {
            let mut work = move || {
                let mut dense = DenseQuery::new(vocabulary_size);
                let mut scratch = scan::Scratch::default();
                for (j, hits) in hits.iter_mut().enumerate() {
                    let (terms, weights) = queries.query(i * share + j);
                    *hits = search_one(segments, field, terms, weights, k, &mut dense, &mut scratch);
                }
            };
            if share >= queries.len() { work() } else { drop(scope.spawn(work)) }
        }
    });
    Ok(hits)
}

fn vocabulary_size(segments: &[&Segment], field: u32) -> Result<u32> {
    let mut sizes = segments.iter().map(|segment| segment.field(field).map(|f| f.vocabulary_size));
    let first = sizes.next().unwrap_or(Some(0));
    match first {
        Some(size) if sizes.all(|other| other == first) => Ok(size),
        _ => Err(Error::invalid(format!("field {field} is not in every segment with one vocabulary"))),
    }
}

fn search_one(
    segments: &[&Segment],
    field: u32,
    terms: &[u32],
    weights: &[f32],
    k: usize,
    dense: &mut DenseQuery,
    scratch: &mut scan::Scratch,
) -> Vec<Hit> {
    let mut best = TopK::new(k);
    if k == 0 {
        return Vec::new();
    }
    dense.set(terms, weights);
    for (number, segment) in segments.iter().enumerate() {
        let field = segment.field(field).expect("checked by vocabulary_size");
        let view = rescore::View { field, rows: segment.rows(), segment: number as u32 };
        if terms.len() <= SCAN_TERMS {
            scan::scan(view, terms, weights, dense, &mut best, scratch);
        } else {
            rescore::score_all(view, dense, &mut best);
        }
    }
    dense.clear(terms);
    best.into_sorted()
}

//! Which k units score best for a query vector?
//!
//! The score of a unit is `(sum of q[t] * impact[t]) * scale` in float64, the sum in ascending order of the term; equal scores are ordered by row.
//! [`plan`] decides what a query reads of a segment, [`effort`] which part of it where that will do, [`scan`] sums it up a sub-block at a time,
//! [`pool`] keeps the units whose sum can still matter, [`rescore`] gives those their score, [`top_k`] keeps the best. A first scan expects of all
//! units what it sees in some ([`pool`]); where that was wrong there is a second one, which relies on proofs alone. With `effort` 1 the result is
//! exact, to the bit: [`bounds`] has the proof.

mod bounds;
mod effort;
mod plan;
mod pool;
mod rescore;
mod scan;
mod top_k;

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::segment::Segment;
use crate::{Error, MAX_TERMS, Result};
use rescore::DenseQuery;
pub use top_k::Hit;
pub(crate) use top_k::TopK;

/// Longer queries are scored unit by unit: the rounding of so many terms would leave little of a u16.
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
            let Query { terms, weights } = queries.query(i);
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

    fn query(&self, i: usize) -> Query<'a> {
        let range = self.indptr[i] as usize..self.indptr[i + 1] as usize;
        Query { terms: &self.terms[range.clone()], weights: &self.weights[range] }
    }
}

/// One query vector.
#[derive(Debug, Clone, Copy)]
struct Query<'a> {
    terms: &'a [u32],
    weights: &'a [f32],
}

/// A segment to search, and the ordinals that may be found (bit i of word i / 64); all without a set.
#[derive(Debug, Clone, Copy)]
pub struct Searched<'a> {
    /// The segment.
    pub segment: &'a Segment,
    /// At least as many bits as it has units.
    pub allowed: Option<&'a [u64]>,
}

/// How to search.
#[derive(Debug, Clone, Copy)]
pub struct Knobs {
    /// How many hits.
    pub k: usize,
    /// The share of a query's postings that is read, strongest contributions first, in (0, 1]. At 1 the result is exact.
    pub effort: f64,
    /// Threads; a query stays on one.
    pub threads: usize,
}

/// The best `k` units of each query over one field of all segments, best first.
///
/// Fewer than `k` where fewer score above zero. Rows must be distinct over the segments, or ties have no order.
///
/// # Errors
/// [`Error::Invalid`] where a segment lacks the field or has another vocabulary size than the others, where a set of ordinals is too short, or
/// where `effort` is not in (0, 1].
pub fn search(searched: &[Searched<'_>], field: u32, queries: Queries<'_>, knobs: Knobs) -> Result<Vec<Vec<Hit>>> {
    if !(knobs.effort > 0.0 && knobs.effort <= 1.0) {
        return Err(Error::invalid(format!("effort is {}: above 0, at most 1", knobs.effort)));
    }
    let vocabulary_size = vocabulary_size(searched, field)?;
    let views =
        searched.iter().enumerate().map(|(i, s)| rescore::View::new(s, field, i as u32)).collect::<Result<Vec<_>>>()?;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut scratch = Scratch::take(vocabulary_size);
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= queries.len() {
                scratch.keep();
                return done;
            }
            done.push((i, search_one(&views, queries.query(i), knobs, &mut scratch)));
        }
    };
    let mut hits = vec![Vec::new(); queries.len()];
    let threads = knobs.threads.min(queries.len()).max(1);
    let done = if threads == 1 { vec![work()] } else { on_threads(threads, work) };
    done.into_iter().flatten().for_each(|(i, found)| hits[i] = found);
    Ok(hits)
}

fn on_threads<T: Send>(threads: usize, work: impl Fn() -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        running.into_iter().map(|thread| thread.join().expect("a thread that searches")).collect()
    })
}

fn vocabulary_size(searched: &[Searched<'_>], field: u32) -> Result<u32> {
    let mut sizes = searched.iter().map(|s| s.segment.field(field).map(|f| f.vocabulary_size));
    let first = sizes.next().unwrap_or(Some(0));
    match first {
        Some(size) if sizes.all(|other| other == first) => Ok(size),
        _ => Err(Error::invalid(format!("field {field} is not in every segment with one vocabulary"))),
    }
}

/// Memory that is used again from query to query, and by a thread's next call: making it anew takes a twentieth of a search of 100,000
/// units (LOG.md). Some 40 kB, and four bytes a term of the vocabulary.
struct Scratch {
    /// Without weights between queries.
    dense: DenseQuery,
    sums: scan::Sums,
}

thread_local! {
    static SCRATCH: Cell<Option<Scratch>> = const { Cell::new(None) };
}

impl Scratch {
    /// What this thread has kept, or new.
    fn take(vocabulary_size: u32) -> Self {
        let kept = SCRATCH.take().filter(|scratch| scratch.dense.fits(vocabulary_size));
        kept.unwrap_or_else(|| Scratch { dense: DenseQuery::new(vocabulary_size), sums: scan::Sums::default() })
    }

    /// For the thread's next call. A search that panics keeps nothing, for weights may be left.
    fn keep(self) {
        SCRATCH.set(Some(self));
    }
}

fn search_one(views: &[rescore::View<'_>], query: Query<'_>, knobs: Knobs, scratch: &mut Scratch) -> Vec<Hit> {
    if knobs.k == 0 {
        return Vec::new();
    }
    let mut best = TopK::new(knobs.k);
    scratch.dense.set(query.terms, query.weights);
    let plan = plan::Plan::new(views, query, knobs);
    for view in views.iter().filter(|view| plan.is_direct(view)) {
        rescore::score_all(view, &scratch.dense, &mut best);
    }
    let (mut found, right) = scan_and_score(views, &plan, best.clone(), best.threshold(), true, scratch);
    if !right {
        // A score says nothing of the sums of less than all postings.
        let threshold = if plan.exact { found.threshold() } else { best.threshold() };
        (found, _) = scan_and_score(views, &plan, best, threshold, false, scratch);
    }
    scratch.dense.clear(query.terms);
    found.into_sorted()
}

/// The best of those before and of all segments that are scanned; and whether none of the units that were left out can be among them.
fn scan_and_score(
    views: &[rescore::View<'_>],
    plan: &plan::Plan,
    mut best: TopK,
    threshold: f64,
    expect: bool,
    scratch: &mut Scratch,
) -> (TopK, bool) {
    let scan::Scanned { candidates, floor } = scan::scan(views, plan, threshold, expect, &mut scratch.sums);
    let enough = candidates.len() >= plan.keep;
    rescore::rescore(views, candidates, plan, &scratch.dense, &mut best);
    // A floor that never rose left nobody out, however few there are.
    let proved = if plan.exact { best.threshold() } else { threshold };
    let right = floor <= plan.bounds.floor(proved) || (enough && !plan.exact);
    (best, right)
}

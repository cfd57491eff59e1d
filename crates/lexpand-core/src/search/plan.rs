//! What a query reads of each segment, decided before anything is read.

use super::bounds::{Bounds, multiplier};
use super::cost::{SCORE_COST, Share, cost};
use super::effort::Reading;
use super::query::{Query, SCAN_TERMS, SearchOptions};
use super::view::View;

/// A query term that a segment has.
#[derive(Debug, Clone, Copy)]
pub(super) struct TermPlan {
    /// Its place among the posting terms.
    pub(super) place: usize,
    pub(super) multiplier: u16,
    /// Postings with smaller bounds are not read; from 1.
    pub(super) least: u8,
    /// Whether its dense row is read instead.
    pub(super) row: bool,
}

/// One segment's part.
#[derive(Debug)]
enum SegmentPlan {
    /// Score every allowed passage.
    Direct,
    Scan(Vec<TermPlan>),
}

/// A query's plan.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) bounds: Bounds,
    /// Candidates that are kept: those that can be among the best `keep`, if `exact`, else those with the largest sums.
    pub(super) keep: usize,
    pub(super) exact: bool,
    segments: Vec<SegmentPlan>,
}

impl Plan {
    pub(super) fn new(views: &[View<'_>], query: Query<'_>, options: SearchOptions) -> Self {
        let shares: Vec<Option<Vec<Share>>> =
            views.iter().map(|view| scanned(view, query)).collect();
        let plain =
            |shares: &Option<Vec<Share>>| shares.iter().flatten().map(|s| s.share).collect();
        let bounds = Bounds::new(&shares.iter().map(plain).collect::<Vec<_>>());
        let segment = |(view, shares): (&View<'_>, Option<Vec<Share>>)| match shares {
            Some(shares) => SegmentPlan::Scan(terms(view, &shares, &bounds, options.effort)),
            None => SegmentPlan::Direct,
        };
        let segments = views.iter().zip(shares).map(segment).collect();
        let exact = options.effort >= 1.0;
        let keep = if exact { options.k } else { window(options) };
        Plan { bounds, keep, exact, segments }
    }

    /// Whether every allowed passage of the segment is scored.
    pub(super) fn is_direct(&self, view: &View<'_>) -> bool {
        matches!(self.segments[view.segment as usize], SegmentPlan::Direct)
    }

    /// The terms to scan in a segment.
    pub(super) fn terms(&self, view: &View<'_>) -> &[TermPlan] {
        match &self.segments[view.segment as usize] {
            SegmentPlan::Scan(terms) => terms,
            SegmentPlan::Direct => &[],
        }
    }
}

/// Passages that an approximate search scores: the less it has read, the more. For k = 10 and effort .2, 60; for k = 1000, 1,500.
fn window(options: SearchOptions) -> usize {
    let k = options.k as f64;
    (k + (10.0 * k).sqrt() / options.effort).ceil() as usize
}

/// The query's terms in a segment; None where it is cheaper, or the only way, to score its passages one by one.
fn scanned(view: &View<'_>, query: Query<'_>) -> Option<Vec<Share>> {
    if query.terms.len() > SCAN_TERMS {
        return None;
    }
    let postings = view.field.postings;
    let share = |(&term, &weight): (&u32, &f32)| {
        let place = postings.terms.binary_search(&term).ok()?;
        let share = f64::from(weight) * f64::from(postings.steps[place]);
        (share > 0.0).then_some(Share { place, share })
    };
    let shares: Vec<Share> = query.terms.iter().zip(query.weights).filter_map(share).collect();
    let cost: usize = shares.iter().map(|s| cost(&postings, s.place)).sum();
    (view.allowed_passages.saturating_mul(SCORE_COST) >= cost).then_some(shares)
}

fn terms(view: &View<'_>, shares: &[Share], bounds: &Bounds, effort: f64) -> Vec<TermPlan> {
    let postings = view.field.postings;
    let part = (effort < 1.0).then(|| Reading::new(postings, shares, bounds, effort));
    let term = |s: &Share| {
        let whole = || Some((1, postings.dense.term(s.place).is_some_and(|dense| dense.cut != 1)));
        let (least, row) = part.as_ref().map_or_else(whole, |part| part.of(s, bounds))?;
        Some(TermPlan {
            place: s.place,
            multiplier: multiplier(bounds.quanta(s.share)),
            least,
            row,
        })
    };
    shares.iter().filter_map(term).collect()
}

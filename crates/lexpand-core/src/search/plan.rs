//! Decides what a query reads of each segment, before anything is read.

use super::bounds::{Bounds, multiplier};
use super::cost::{SCORE_COST, Share, cost};
use super::effort::Reading;
use super::query::{Query, SCAN_TERMS, SearchOptions};
use super::view::View;

/// A query term that a segment has.
#[derive(Debug, Clone, Copy)]
pub(super) struct TermPlan {
    /// The place among the posting terms.
    pub(super) place: usize,
    pub(super) multiplier: u16,
    /// Postings with smaller bounds are not read; at least 1.
    pub(super) least: u8,
    /// Whether the dense impact row is read instead.
    pub(super) row: bool,
}

/// One segment's part of the plan.
#[derive(Debug)]
enum SegmentPlan {
    /// Score every allowed passage.
    Direct,
    Scan(Vec<TermPlan>),
}

/// The plan of a query.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) bounds: Bounds,
    /// How many candidates are wanted. An exact search keeps those that can be among the best
    /// `keep`, others those with the largest sums.
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

/// How many passages an approximate search scores: more if it reads less. 60 for k = 10 and effort
/// 0.2; 1,500 for k = 1,000.
fn window(options: SearchOptions) -> usize {
    let k = options.k as f64;
    (k + (10.0 * k).sqrt() / options.effort).ceil() as usize
}

/// The query's terms in a segment. None if its passages are scored one by one, because that is
/// cheaper or the query has too many terms.
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

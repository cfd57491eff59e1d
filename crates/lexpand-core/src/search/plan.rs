//! What a query reads of each segment, decided before anything is read.

use super::bounds::{Bounds, multiplier};
use super::rescore::View;
use super::{Knobs, Query, SCAN_TERMS};
use crate::segment::{DenseTerm, LEVELS, Postings};

/// Scoring a unit from the forward index costs about as much as adding so many postings (measured, LOG.md).
const SCORE_COST: usize = 200;

/// A bound of a dense row costs about as much as this part of a posting (measured, LOG.md).
const ROW_COST: usize = 16;

/// A query term that a segment has.
#[derive(Debug, Clone, Copy)]
pub(super) struct TermPlan {
    /// Its place among the posting terms.
    pub(super) place: usize,
    pub(super) multiplier: u16,
    /// Postings with smaller bounds are not read.
    pub(super) least: u8,
    /// Whether its dense row is read instead.
    pub(super) row: bool,
}

/// One segment's part.
#[derive(Debug)]
enum SegmentPlan {
    /// Score every allowed unit.
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

/// A query term before the quantum is known.
struct Share {
    place: usize,
    share: f64,
}

impl Plan {
    pub(super) fn new(views: &[View<'_>], query: Query<'_>, knobs: Knobs) -> Self {
        let shares: Vec<Option<Vec<Share>>> = views.iter().map(|view| scanned(view, query)).collect();
        let plain = |shares: &Option<Vec<Share>>| shares.iter().flatten().map(|s| s.share).collect();
        let bounds = Bounds::new(&shares.iter().map(plain).collect::<Vec<_>>());
        let segment = |(view, shares): (&View<'_>, Option<Vec<Share>>)| match shares {
            Some(shares) => SegmentPlan::Scan(terms(view, &shares, &bounds, knobs.effort)),
            None => SegmentPlan::Direct,
        };
        let segments = views.iter().zip(shares).map(segment).collect();
        let exact = knobs.effort >= 1.0;
        let keep = if exact { knobs.k } else { window(knobs) };
        Plan { bounds, keep, exact, segments }
    }

    /// Whether every allowed unit of the segment is scored.
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

/// Units that an approximate search scores: the less it has read, the more. For k = 10 and effort .2, 60; for k = 1000, 2,581.
fn window(knobs: Knobs) -> usize {
    let k = knobs.k as f64;
    (k + k.powf(0.75) * 10_f64.powf(0.25) / knobs.effort).ceil() as usize
}

/// The query's terms in a segment; None where it is cheaper, or the only way, to score its units one by one.
fn scanned(view: &View<'_>, query: Query<'_>) -> Option<Vec<Share>> {
    let postings = view.field.postings.filter(|_| query.terms.len() <= SCAN_TERMS)?;
    let share = |(&term, &weight): (&u32, &f32)| {
        let place = postings.terms.binary_search(&term).ok()?;
        let share = f64::from(weight) * f64::from(postings.steps[place]);
        (share > 0.0).then_some(Share { place, share })
    };
    let shares: Vec<Share> = query.terms.iter().zip(query.weights).filter_map(share).collect();
    let cost: usize = shares.iter().map(|s| cost(&postings, s.place)).sum();
    (view.allowed_units.saturating_mul(SCORE_COST) >= cost).then_some(shares)
}

/// Of reading a term whole, in postings.
fn cost(postings: &Postings<'_>, place: usize) -> usize {
    postings.dense.term(place).map_or_else(|| postings.stored(place), |dense| dense.row.len() / ROW_COST)
}

fn terms(view: &View<'_>, shares: &[Share], bounds: &Bounds, effort: f64) -> Vec<TermPlan> {
    let postings = view.field.postings.expect("a segment that is scanned has postings");
    let least = if effort < 1.0 { least_contribution(&postings, shares, bounds, effort) } else { 0.0 };
    let term = |s: &Share| {
        let unit = bounds.unit(s.share);
        let least = (least / unit).ceil().max(1.0);
        if least > 255.0 {
            return None;
        }
        let least = least as u8;
        // A dense term's postings hold its largest bounds: with less than full effort they must do.
        let is_read = |cut: u8| cut == 0 || (effort >= 1.0 && least < cut);
        let row = postings.dense.term(s.place).is_some_and(|dense| is_read(dense.cut));
        Some(TermPlan { place: s.place, multiplier: multiplier(unit), least, row })
    };
    shares.iter().filter_map(term).collect()
}

/// The contribution, in quanta, that a share of `effort` of the query's postings reaches.
fn least_contribution(postings: &Postings<'_>, shares: &[Share], bounds: &Bounds, effort: f64) -> f64 {
    let terms: Vec<(f64, f64, &[u8])> =
        shares.iter().map(|s| (bounds.unit(s.share), frequency(postings, s.place), postings.shares(s.place))).collect();
    let reached = |least: f64| terms.iter().map(|&(unit, n, shares)| n * share_from(shares, least / unit)).sum::<f64>();
    let (mut low, mut high) = (0.0, terms.iter().map(|term| term.0 * 256.0).fold(0.0, f64::max));
    let wanted = effort * reached(0.0);
    // Halving 16 times is finer than a quantum of 65,000.
    for _ in 0..16 {
        let middle = (low + high) / 2.0;
        if reached(middle) > wanted { low = middle } else { high = middle }
    }
    high
}

/// Postings of a term; of a dense one about, from those that are stored.
fn frequency(postings: &Postings<'_>, place: usize) -> f64 {
    let stored = postings.stored(place) as f64;
    match postings.dense.term(place) {
        None => stored,
        Some(DenseTerm { row, cut: 0, .. }) => row.len() as f64,
        Some(DenseTerm { cut, .. }) => {
            let level = LEVELS.iter().position(|&level| level == cut).unwrap_or(0);
            stored * 255.0 / f64::from(postings.shares(place)[level].max(1))
        }
    }
}

/// The share of postings whose bound is at least `bound`, between levels on a straight line.
fn share_from(shares: &[u8], bound: f64) -> f64 {
    let (mut below, mut share) = (1.0, 255.0);
    for (&level, &at_level) in LEVELS.iter().zip(shares).chain([(&255, &0)]) {
        let (level, at_level) = (f64::from(level), f64::from(at_level));
        if bound < level {
            let part = ((bound - below) / (level - below)).max(0.0);
            return (share + (at_level - share) * part) / 255.0;
        }
        (below, share) = (level, at_level);
    }
    0.0
}

//! Selects the postings that an approximate search (`effort` < 1) reads.
//!
//! It skips query terms that hardly matter ([`WEAK`]). Of the others it reads the postings of
//! highest impact, ranked over all terms by [`rank`], until the requested share is reached. Seismic
//! (Bruch et al., SIGIR 2024) also prunes by impact. The constants are those with the best recall
//! for the time (measured).

use super::bounds::Bounds;
use super::cost::{Share, row_cost};
use crate::segment::{DenseTerm, LEVELS, Postings};

/// A term is skipped if it adds less than this part of the strongest term's share, times the effort
/// that is saved. Each term costs a visit to every sub-block, however few of its postings are read.
const WEAK: f64 = 0.125;

/// The largest bound of some term is always read, even at the smallest effort: this rounds up to
/// 255, whatever was rounded before.
const LAST: f64 = 254.5;

/// Decides which postings are read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    postings: Postings<'a>,
    /// Terms with a smaller share are not read.
    weak: f64,
    /// Postings below this are not read; in bounds of a term of [`rank`] 1.
    least: f64,
}

impl<'a> Reading<'a> {
    /// Plans a segment's part of a query; `effort` is below 1.
    pub(super) fn new(
        postings: Postings<'a>,
        shares: &[Share],
        bounds: &Bounds,
        effort: f64,
    ) -> Self {
        let strongest = shares.iter().map(|s| s.share).fold(0.0, f64::max);
        let weak = WEAK * (1.0 - effort) * strongest;
        let wanted = effort * shares.iter().map(|s| frequency(&postings, s.place)).sum::<f64>();
        let terms: Vec<Ranked<'_>> = shares
            .iter()
            .filter(|s| s.share >= weak)
            .map(|s| Ranked::new(&postings, s, bounds))
            .collect();
        Reading { postings, weak, least: least(&terms, wanted) }
    }

    /// The smallest bound that is read of a term, and whether its dense impact row is read instead.
    /// None if nothing of the term is read.
    pub(super) fn of(&self, share: &Share, bounds: &Bounds) -> Option<(u8, bool)> {
        let least = (self.least / rank(bounds.quanta(share.share))).ceil().max(1.0);
        (share.share >= self.weak && least <= 255.0)
            .then(|| (least as u8, self.is_by_row(share.place, least as u8)))
    }

    /// Returns whether to read a term's dense impact row: if the postings that are wanted but not
    /// stored number at least half the row's cost. A term without postings has only the row.
    fn is_by_row(&self, place: usize, least: u8) -> bool {
        let Some(DenseTerm { row, cut, .. }) = self.postings.dense.term(place) else {
            return false;
        };
        let levels = self.postings.shares(place);
        let missing = share_from(levels, f64::from(least)) - share_from(levels, f64::from(cut));
        cut == 0
            || (least < cut
                && 2.0 * missing * frequency(&self.postings, place) >= row_cost(row) as f64)
    }
}

/// A term that is read in part.
struct Ranked<'a> {
    rank: f64,
    frequency: f64,
    levels: &'a [u8],
}

impl<'a> Ranked<'a> {
    fn new(postings: &Postings<'a>, share: &Share, bounds: &Bounds) -> Self {
        let (rank, frequency) =
            (rank(bounds.quanta(share.share)), frequency(postings, share.place));
        Ranked { rank, frequency, levels: postings.shares(share.place) }
    }

    /// The number of its postings with at least this rank.
    fn reached(&self, least: f64) -> f64 {
        self.frequency * share_from(self.levels, least / self.rank)
    }
}

/// The rank of a bound of 1: what it adds, to the power of 3/4. Square roots round alike on every
/// machine. Ranked by what it adds alone, the strongest terms would be read nearly whole, and terms
/// that most of the best documents share hardly at all.
fn rank(quanta: f64) -> f64 {
    (quanta * quanta.sqrt()).sqrt()
}

/// The smallest bound, of a term of rank 1, that about `wanted` postings reach.
fn least(terms: &[Ranked<'_>], wanted: f64) -> f64 {
    let (mut low, mut high) = (0.0, terms.iter().map(|term| term.rank * LAST).fold(0.0, f64::max));
    // After 16 halvings the interval is finer than a quantum of 65,000.
    for _ in 0..16 {
        let middle = (low + high) / 2.0;
        if terms.iter().map(|term| term.reached(middle)).sum::<f64>() > wanted {
            low = middle
        } else {
            high = middle
        }
    }
    high
}

/// The number of a term's postings; for a dense term estimated from those that are stored.
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

/// The share of postings whose bound is at least `bound`, interpolated linearly between levels.
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

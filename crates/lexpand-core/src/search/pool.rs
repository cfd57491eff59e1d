//! The passages that can still be among the best, by their sums.

use super::plan::Plan;

/// A passage found by a scan. Ordered by its sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) sum: u16,
    /// The segment's place in the list that is searched.
    pub(super) segment: u32,
    pub(super) ordinal: u32,
}

/// The candidates of one query, pruned whenever there are many.
///
/// With `estimate`, the threshold is estimated from the passages seen so far. A part p of the
/// passages has about `keep * p` of the best `keep`; a passage well behind that rank is left out.
/// This is right if the order of the passages is independent of their scores. The scores show at
/// the end whether it was.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) candidates: Vec<Candidate>,
    /// The threshold in quanta: passages with smaller sums are left out.
    pub(super) floor: u16,
    keep: usize,
    drop: u16,
    /// The number of candidates at which they are pruned.
    many: usize,
    estimate: bool,
    /// The allowed passages seen so far, and all allowed passages.
    seen: usize,
    passages: usize,
}

/// How many candidates beyond the wanted ones are kept before they are pruned.
const SPARE: usize = 64;

impl Pool {
    pub(super) fn new(plan: &Plan, threshold: f64, passages: usize, estimate: bool) -> Self {
        let drop = if plan.exact { plan.bounds.drop } else { 0 };
        let floor = plan.bounds.floor(threshold);
        Pool {
            candidates: Vec::new(),
            floor,
            keep: plan.keep,
            drop,
            many: SPARE,
            estimate,
            seen: 0,
            passages,
        }
    }

    /// Counts passages as seen, and prunes if there are many candidates.
    pub(super) fn advance(&mut self, passages: usize) {
        self.seen += passages;
        if self.candidates.len() > self.many {
            self.prune();
            // Far more candidates than wanted may lie within `drop`. Twice as many are allowed next
            // time, or pruning would not end.
            self.many = 2 * self.candidates.len() + SPARE;
        }
    }

    /// How many of the passages seen can be among the best: the mean, three standard deviations of
    /// a Poisson distribution, and two, for a mean near zero. With these, 2 of 800 queries needed a
    /// second scan; with two standard deviations and one, 27 (measured).
    fn wanted(&self) -> usize {
        if !self.estimate || self.seen >= self.passages {
            return self.keep;
        }
        let mean = self.keep as f64 * self.seen as f64 / self.passages as f64;
        self.keep.min((mean + 3.0 * mean.sqrt() + 2.0) as usize)
    }

    /// Raises the threshold to what the last wanted sum proves, and removes the candidates below
    /// it.
    pub(super) fn prune(&mut self) {
        let wanted = self.wanted();
        if self.candidates.len() <= wanted {
            return;
        }
        let (_, last, _) =
            self.candidates.select_nth_unstable_by(wanted - 1, |a, b| b.sum.cmp(&a.sum));
        self.floor = self.floor.max(last.sum.saturating_sub(self.drop));
        let floor = self.floor;
        self.candidates.retain(|candidate| candidate.sum >= floor);
    }
}

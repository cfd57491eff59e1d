//! The units that can still be among the best, by their sums.

use super::plan::Plan;

/// A unit that was seen in a scan. Ordered by its sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) sum: u16,
    /// The segment's place in the list that is searched.
    pub(super) segment: u32,
    pub(super) ordinal: u32,
}

/// Candidates of one query, pruned whenever they are many.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) candidates: Vec<Candidate>,
    /// Sums below it are not taken.
    pub(super) floor: u16,
    keep: usize,
    drop: u16,
}

/// Candidates beyond those that are kept before they are pruned.
const SPARE: usize = 1024;

impl Pool {
    pub(super) fn new(plan: &Plan, threshold: f64) -> Self {
        let drop = if plan.exact { plan.bounds.drop } else { 0 };
        Pool { candidates: Vec::new(), floor: plan.bounds.floor(threshold), keep: plan.keep, drop }
    }

    pub(super) fn prune_if_many(&mut self) {
        if self.candidates.len() > self.keep.saturating_mul(4).saturating_add(SPARE) {
            self.prune();
        }
    }

    /// Raises the floor to what the k-th largest sum proves, and drops what is below.
    pub(super) fn prune(&mut self) {
        if self.candidates.len() <= self.keep {
            return;
        }
        let (_, kth, _) = self.candidates.select_nth_unstable_by(self.keep - 1, |a, b| b.sum.cmp(&a.sum));
        self.floor = self.floor.max(kth.sum.saturating_sub(self.drop));
        let floor = self.floor;
        self.candidates.retain(|candidate| candidate.sum >= floor);
    }
}

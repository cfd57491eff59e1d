//! The passages that can still be among the best, by their sums.

use super::plan::Plan;

/// A passage that was seen in a scan. Ordered by its sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) sum: u16,
    /// The segment's place in the list that is searched.
    pub(super) segment: u32,
    pub(super) ordinal: u32,
}

/// Candidates of one query, pruned whenever they are many.
///
/// With `expect`, the floor is raised by what some of the passages let expect of all: of the best `keep`, a part p of the passages has about `keep * p`,
/// and a passage that is behind a few more than that is left out. It is right for passages in no order; whether it was must be seen at the end.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) candidates: Vec<Candidate>,
    /// Sums below it are not taken.
    pub(super) floor: u16,
    keep: usize,
    drop: u16,
    /// Candidates beyond which they are pruned.
    many: usize,
    estimate: bool,
    /// Passages that were looked at, and all of them; of those that may be taken.
    seen: usize,
    passages: usize,
}

/// Candidates beyond those that are kept before they are pruned.
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

    /// So many more passages were looked at.
    pub(super) fn advance(&mut self, passages: usize) {
        self.seen += passages;
        if self.candidates.len() > self.many {
            self.prune();
            // Those within the drop may be many times those that are wanted: twice as many, or pruning would not end.
            self.many = 2 * self.candidates.len() + SPARE;
        }
    }

    /// How many of the passages that were looked at can be among the best: the mean, three standard deviations (of a Poisson distribution), and two,
    /// for where the mean is near zero. So 2 of 800 queries needed a second scan; with two standard deviations and one, 27 (LOG.md).
    fn wanted(&self) -> usize {
        if !self.estimate || self.seen >= self.passages {
            return self.keep;
        }
        let mean = self.keep as f64 * self.seen as f64 / self.passages as f64;
        self.keep.min((mean + 3.0 * mean.sqrt() + 2.0) as usize)
    }

    /// Raises the floor to what the last wanted sum proves, and drops what is below.
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

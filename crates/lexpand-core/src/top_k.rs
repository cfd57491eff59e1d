//! The k best hits so far.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A passage that scored above zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The score over stored weights, in float64.
    pub score: f64,
    /// The row of its document.
    pub row: u32,
    /// The segment's place in the list that was searched.
    pub segment: u32,
    /// The passage's number in the segment.
    pub ordinal: u32,
}

/// A hit, ordered so that the greatest is the worst: lowest score, then highest row, then highest
/// ordinal.
#[derive(Debug, Clone)]
struct Worst(Hit);

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_place = (self.0.row, self.0.ordinal).cmp(&(other.0.row, other.0.ordinal));
        other.0.score.total_cmp(&self.0.score).then(by_place)
    }
}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Worst {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Worst {}

/// Keeps the k best of the hits that it is offered, in any order.
#[derive(Debug, Clone)]
pub(crate) struct TopK {
    heap: BinaryHeap<Worst>,
    k: usize,
}

impl TopK {
    pub(crate) fn new(k: usize) -> Self {
        TopK { heap: BinaryHeap::new(), k }
    }

    /// A hit below this score cannot get in. One that equals it may, by its row.
    pub(crate) fn threshold(&self) -> f64 {
        if self.heap.len() < self.k {
            0.0
        } else {
            self.heap.peek().map_or(f64::INFINITY, |worst| worst.0.score)
        }
    }

    pub(crate) fn offer(&mut self, hit: Hit) {
        if hit.score > 0.0 && hit.score >= self.threshold() {
            self.heap.push(Worst(hit));
            if self.heap.len() > self.k {
                self.heap.pop();
            }
        }
    }

    /// The hits, best first.
    pub(crate) fn into_sorted(self) -> Vec<Hit> {
        let mut hits = self.heap.into_vec();
        hits.sort_unstable();
        hits.into_iter().map(|worst| worst.0).collect()
    }
}

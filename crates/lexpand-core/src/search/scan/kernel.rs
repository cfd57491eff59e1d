//! The data of a scan's inner loops, and their signatures.

use crate::bit_set::count_in;
use crate::search::bounds::added;
use crate::search::pool::Candidate;
use crate::segment::{GROUP, SUB_BLOCK};

/// The sums of one sub-block, and what dense impact rows can add to its groups.
#[derive(Debug)]
pub(in crate::search) struct Sums {
    pub(super) passages: Box<[u16; SUB_BLOCK]>,
    pub(super) groups: Box<[u16; SUB_BLOCK / GROUP]>,
    /// Groups that can reach the threshold.
    pub(super) open: Vec<u16>,
    pub(super) backoff: Backoff,
}

impl Default for Sums {
    fn default() -> Self {
        Sums {
            passages: Box::new([0; SUB_BLOCK]),
            groups: Box::new([0; SUB_BLOCK / GROUP]),
            open: Vec::new(),
            backoff: Backoff::default(),
        }
    }
}

/// The bounds of a dense term by passage, or its block maxima by group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) bounds: &'a [u8],
    pub(super) multiplier: u16,
}

/// A dense term: its impact row and its block maxima.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term<'a> {
    pub(super) row: Row<'a>,
    pub(super) maxima: Row<'a>,
}

impl Row<'_> {
    /// The amount that the bound of a passage or group adds, without the one that a passage gets
    /// for all rows together.
    pub(super) fn adds(&self, i: usize) -> u16 {
        added(self.bounds[i], self.multiplier) - 1
    }
}

/// How many sub-blocks skip the search for open groups: about twice as many each time that they
/// were not few.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    left: u32,
    next: u32,
}

impl Backoff {
    /// Whether this sub-block skips the search.
    pub(super) fn skips(&mut self) -> bool {
        let over = self.left > 0;
        self.left = self.left.saturating_sub(1);
        over
    }

    pub(super) fn note(&mut self, few: bool) {
        self.next = if few { 0 } else { 2 * self.next + 1 };
        self.left = self.next;
    }
}

/// Where the sums of a sub-block are in their segment, and which passages are allowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) segment: u32,
    pub(super) first: u32,
    pub(super) passages: usize,
    pub(super) allowed: Option<&'a [u64]>,
}

impl Place<'_> {
    /// A part of the place: at most `most` passages from `at` on.
    pub(super) fn part(self, at: usize, most: usize) -> Self {
        Place { first: self.first + at as u32, passages: (self.passages - at).min(most), ..self }
    }

    /// The number of allowed passages. The place begins at a multiple of 64.
    pub(super) fn allowed_passages(&self) -> usize {
        let first = self.first as usize;
        self.allowed.map_or(self.passages, |words| count_in(words, first..first + self.passages))
    }
}

/// The inner loops.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernel {
    /// Adds the rows to the sums of passages or groups from a place on.
    pub(super) rows: fn(&mut [u16], &[Row<'_>], usize),
    /// Finds the groups with a sum that reaches the threshold once the group's possible gain is
    /// added.
    pub(super) open: fn(&[u16], &[u16], u16, &mut Vec<u16>),
    /// Adds a dense term to the open groups of the sub-block that begins at a passage. Closes the
    /// groups that cannot reach the threshold any more.
    pub(super) narrow: fn(&mut Sums, Term<'_>, usize, u16),
    /// Adds the postings of one sub-block: offsets, bounds, multiplier.
    pub(super) scatter: fn(&mut [u16; SUB_BLOCK], &[u16], &[u8], u16),
    /// How many of these descending bounds are at least as large as another.
    pub(super) prefix: fn(&[u8], u8) -> usize,
    /// Takes every allowed passage whose sum reaches the threshold. The sums are padded to a
    /// multiple of 32.
    pub(super) collect: fn(&[u16], Place<'_>, u16, &mut Vec<Candidate>),
}

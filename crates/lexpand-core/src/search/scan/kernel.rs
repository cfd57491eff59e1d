//! What a scan's inner loops work on, and their signatures.

use crate::bit_set::count_in;
use crate::search::bounds::added;
use crate::search::pool::Candidate;
use crate::segment::{GROUP, SUB_BLOCK};

/// The sums of one sub-block, and what its groups can gain by rows.
#[derive(Debug)]
pub(in crate::search) struct Sums {
    pub(super) passages: Box<[u16; SUB_BLOCK]>,
    pub(super) groups: Box<[u16; SUB_BLOCK / GROUP]>,
    /// Groups that can reach the floor.
    pub(super) open: Vec<u16>,
    pub(super) waiting: Waiting,
}

impl Default for Sums {
    fn default() -> Self {
        Sums {
            passages: Box::new([0; SUB_BLOCK]),
            groups: Box::new([0; SUB_BLOCK / GROUP]),
            open: Vec::new(),
            waiting: Waiting::default(),
        }
    }
}

/// Bounds of a frequent term by passage, or by group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) bounds: &'a [u8],
    pub(super) multiplier: u16,
}

/// A frequent term: its row, and the row of its groups' largest bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term<'a> {
    pub(super) row: Row<'a>,
    pub(super) maxima: Row<'a>,
}

impl Row<'_> {
    /// What the bound of a passage, or group, adds, but for the one that a passage gets for all rows together.
    pub(super) fn adds(&self, i: usize) -> u16 {
        added(self.bounds[i], self.multiplier) - 1
    }
}

/// How long groups are not asked for: twice as many sub-blocks each time that they were not few.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    left: u32,
    next: u32,
}

impl Waiting {
    /// Whether a sub-block is passed over.
    pub(super) fn is_over(&mut self) -> bool {
        let over = self.left > 0;
        self.left = self.left.saturating_sub(1);
        over
    }

    pub(super) fn note(&mut self, few: bool) {
        self.next = if few { 0 } else { 2 * self.next + 1 };
        self.left = self.next;
    }
}

/// Where the sums of a sub-block stand in their segment, and which of them may be taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) segment: u32,
    pub(super) first: u32,
    pub(super) passages: usize,
    pub(super) allowed: Option<&'a [u64]>,
}

impl Place<'_> {
    /// A part of it.
    pub(super) fn part(self, at: usize, most: usize) -> Self {
        Place { first: self.first + at as u32, passages: (self.passages - at).min(most), ..self }
    }

    /// Passages that may be taken; the place begins at a multiple of 64.
    pub(super) fn allowed_passages(&self) -> usize {
        let first = self.first as usize;
        self.allowed.map_or(self.passages, |words| count_in(words, first..first + self.passages))
    }
}

/// The loops that are hot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernel {
    /// Adds what the rows say of the passages, or groups, from a place on.
    pub(super) rows: fn(&mut [u16], &[Row<'_>], usize),
    /// Finds the groups one of whose sums reaches the floor when what the group can gain is added to it.
    pub(super) open: fn(&[u16], &[u16], u16, &mut Vec<u16>),
    /// Adds a row, by passages and by groups, to the open groups of the sub-block that begins at a passage, and closes those that cannot reach the
    /// floor any more.
    pub(super) narrow: fn(&mut Sums, Term<'_>, usize, u16),
    /// Adds postings of one sub-block: offsets, bounds, multiplier.
    pub(super) scatter: fn(&mut [u16; SUB_BLOCK], &[u16], &[u8], u16),
    /// How many bounds, which fall, are not below another.
    pub(super) prefix: fn(&[u8], u8) -> usize,
    /// Takes every allowed passage whose sum reaches the floor; the sums go on to a multiple of 32.
    pub(super) collect: fn(&[u16], Place<'_>, u16, &mut Vec<Candidate>),
}

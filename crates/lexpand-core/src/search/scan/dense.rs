//! The dense terms of a query: their impact rows are read only where they can matter.

use super::kernel::{Kernel, Place, Row, Sums, Term};
use super::portable;
use crate::search::plan::TermPlan;
use crate::search::pool::Pool;
use crate::segment::{GROUP, Postings};

/// Passages that are collected before the pool is pruned, so that the threshold rises early.
const PIECE: usize = 1024;

/// Reading rows for a single group costs about as much as reading them for so many groups in order
/// (measured).
const GROUP_COST: usize = 8;

/// The dense impact rows that a query reads of a segment, largest contributions first, so that
/// groups close early.
#[derive(Debug)]
pub(super) struct Dense<'a> {
    rows: Vec<Row<'a>>,
    /// The block maxima; empty in a segment that has none.
    maxima: Vec<Row<'a>>,
}

impl<'a> Dense<'a> {
    pub(super) fn new(postings: Postings<'a>, terms: &[TermPlan]) -> Self {
        let mut terms: Vec<&TermPlan> = terms.iter().filter(|term| term.row).collect();
        terms.sort_by_key(|term| std::cmp::Reverse(term.multiplier));
        let read = || {
            terms
                .iter()
                .filter_map(|term| Some((postings.dense.term(term.place)?, term.multiplier)))
        };
        let rows =
            read().map(|(dense, multiplier)| Row { bounds: dense.row, multiplier }).collect();
        let maxima = read()
            .filter_map(|(dense, multiplier)| Some(Row { bounds: dense.maxima?, multiplier }));
        let maxima = maxima.collect();
        Dense { rows, maxima }
    }

    /// Adds the rows to the sums of a sub-block and takes the passages that reach the threshold.
    pub(super) fn add_and_collect(
        &self,
        kernel: Kernel,
        sums: &mut Sums,
        place: Place<'_>,
        pool: &mut Pool,
    ) {
        if self.find_open_groups(kernel, sums, place, pool) {
            self.collect_from_groups(kernel, sums, place, pool);
            return;
        }
        (kernel.rows)(
            &mut sums.passages[..place.passages.next_multiple_of(64)],
            &self.rows,
            place.first as usize,
        );
        for (i, sums) in
            sums.passages[..place.passages.next_multiple_of(32)].chunks(PIECE).enumerate()
        {
            let piece = place.part(i * PIECE, PIECE);
            (kernel.collect)(sums, piece, pool.floor, &mut pool.candidates);
            pool.advance(piece.allowed_passages());
        }
    }

    /// Finds the groups that can reach the threshold. Returns whether they were found and are few.
    fn find_open_groups(
        &self,
        kernel: Kernel,
        sums: &mut Sums,
        place: Place<'_>,
        pool: &Pool,
    ) -> bool {
        if self.maxima.is_empty() || pool.floor <= 1 || sums.backoff.skips() {
            return false;
        }
        let groups = place.passages.next_multiple_of(64) / GROUP;
        let most = &mut sums.groups[..groups];
        most.fill(0);
        (kernel.rows)(most, &self.maxima, place.first as usize / GROUP);
        sums.open.clear();
        (kernel.open)(&sums.passages[..groups * GROUP], most, pool.floor, &mut sums.open);
        let few = sums.open.len() * GROUP_COST < groups;
        sums.backoff.note(few);
        few
    }

    fn collect_from_groups(
        &self,
        kernel: Kernel,
        sums: &mut Sums,
        place: Place<'_>,
        pool: &mut Pool,
    ) {
        for (row, maxima) in self.rows.iter().zip(&self.maxima) {
            (kernel.narrow)(
                sums,
                Term { row: *row, maxima: *maxima },
                place.first as usize,
                pool.floor,
            );
        }
        for &group in &sums.open {
            let at = usize::from(group) * GROUP;
            portable::collect(
                &sums.passages[at..at + GROUP],
                place.part(at, GROUP),
                pool.floor,
                &mut pool.candidates,
            );
        }
        pool.advance(place.allowed_passages());
    }
}

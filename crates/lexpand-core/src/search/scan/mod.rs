//! Sums of a query's postings, a sub-block of 2^14 units at a time: 32 KiB of u16 that stay in the nearest caches.
//!
//! Frequent terms are rows of one bound a unit, added by SIMD while the sums are in registers; the others are scattered. Postings are read once
//! and in order. The arithmetic is that of [`super::bounds`], in every variant: [`portable`] defines it, [`avx2`] gives the same sums.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;

use super::plan::{Plan, TermPlan};
use super::pool::{Candidate, Pool};
use super::rescore::View;
use crate::prefetch::prefetch;
use crate::segment::{BLOCK, Postings, SUB_BLOCK, SUB_BLOCKS};

/// The sums of one sub-block.
#[derive(Debug)]
pub(super) struct Sums(Box<[u16; SUB_BLOCK]>);

impl Default for Sums {
    fn default() -> Self {
        Sums(Box::new([0; SUB_BLOCK]))
    }
}

/// A row's part for one sub-block.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    bounds: &'a [u8],
    multiplier: u16,
}

/// A term's postings in one block, and how far they are read.
#[derive(Debug, Clone, Copy)]
struct Run<'a> {
    offsets: &'a [u16],
    bounds: &'a [u8],
    splits: Option<&'a [u16]>,
    read: usize,
    multiplier: u16,
    least: u8,
}

/// Where the sums of a sub-block stand in their segment, and which of them may be taken.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    segment: u32,
    first: u32,
    units: usize,
    allowed: Option<&'a [u64]>,
}

/// The loops that are hot.
#[derive(Debug, Clone, Copy)]
struct Kernel {
    /// Sets the sums of the first units (a multiple of 64) to what the rows add.
    rows: fn(&mut [u16; SUB_BLOCK], &[Row<'_>], usize),
    /// Adds postings of one sub-block: offsets, bounds, multiplier.
    scatter: fn(&mut [u16; SUB_BLOCK], &[u16], &[u8], u16),
    /// How many bounds, which fall, are not below another.
    prefix: fn(&[u8], u8) -> usize,
    /// Takes every allowed unit whose sum reaches the floor.
    collect: fn(&[u16; SUB_BLOCK], Place<'_>, u16, &mut Vec<Candidate>),
}

impl Kernel {
    fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(kernel) = avx2::kernel() {
            return kernel;
        }
        portable::KERNEL
    }
}

/// Every unit of the scanned segments that can be among the best, given that `threshold` is reached by k already.
pub(super) fn scan(views: &[View<'_>], plan: &Plan, threshold: f64, sums: &mut Sums) -> Vec<Candidate> {
    let kernel = Kernel::best();
    let mut pool = Pool::new(plan, threshold);
    for view in views {
        let terms = plan.terms(view);
        if let Some(postings) = view.field.postings.filter(|_| !terms.is_empty()) {
            for block in 0..postings.blocks {
                scan_block(view, postings, terms, block, kernel, &mut sums.0, &mut pool);
            }
        }
    }
    pool.prune();
    pool.candidates
}

fn scan_block(
    view: &View<'_>,
    postings: Postings<'_>,
    terms: &[TermPlan],
    block: usize,
    kernel: Kernel,
    sums: &mut [u16; SUB_BLOCK],
    pool: &mut Pool,
) {
    let mut runs: Vec<Run<'_>> = terms.iter().filter_map(|term| run(postings, term, block)).collect();
    let dense: Vec<Row<'_>> = terms.iter().filter_map(|term| row(postings, term)).collect();
    let mut rows = dense.clone();
    for sub in 0..SUB_BLOCKS {
        let first = block * BLOCK + sub * SUB_BLOCK;
        let units = view.rows.len().saturating_sub(first).min(SUB_BLOCK);
        if units == 0 {
            break;
        }
        let padded = units.next_multiple_of(64);
        for (part, whole) in rows.iter_mut().zip(&dense) {
            part.bounds = &whole.bounds[first..first + padded];
        }
        (kernel.rows)(sums, &rows, padded);
        for run in &mut runs {
            let range = run.next(sub, kernel);
            (kernel.scatter)(sums, &run.offsets[range.clone()], &run.bounds[range], run.multiplier);
            run.prefetch();
        }
        let place = Place { segment: view.segment, first: first as u32, units, allowed: view.allowed };
        (kernel.collect)(sums, place, pool.floor, &mut pool.candidates);
        pool.prune_if_many();
    }
}

fn row<'a>(postings: Postings<'a>, term: &TermPlan) -> Option<Row<'a>> {
    let (bounds, _) = postings.dense.row(term.place).filter(|_| term.row)?;
    Some(Row { bounds, multiplier: term.multiplier })
}

fn run<'a>(postings: Postings<'a>, term: &TermPlan, block: usize) -> Option<Run<'a>> {
    let range = postings.run(term.place, block);
    let (offsets, bounds) = (&postings.offsets[range.clone()], &postings.bounds[range]);
    let splits = postings.splits_of(term.place, block);
    let run = Run { offsets, bounds, splits, read: 0, multiplier: term.multiplier, least: term.least };
    (!term.row && !offsets.is_empty()).then_some(run)
}

impl Run<'_> {
    /// The postings of sub-block `sub` whose bound is large enough; sub-blocks are asked for in order.
    fn next(&mut self, sub: usize, kernel: Kernel) -> std::ops::Range<usize> {
        let start = self.read;
        // A damaged split, in a file that is opened unverified, must not lead out of the run.
        self.read = self.end(sub).clamp(start, self.offsets.len());
        if self.least == 1 {
            return start..self.read;
        }
        start..start + (kernel.prefix)(&self.bounds[start..self.read], self.least)
    }

    /// Asks for the first postings of the next sub-block.
    fn prefetch(&self) {
        if let (Some(offset), Some(bound)) = (self.offsets.get(self.read), self.bounds.get(self.read)) {
            prefetch(offset);
            prefetch(bound);
        }
    }

    fn end(&self, sub: usize) -> usize {
        match self.splits {
            Some(splits) if sub + 1 < SUB_BLOCKS => usize::from(splits[sub]),
            Some(_) => self.offsets.len(),
            None => {
                let rest = &self.offsets[self.read..];
                self.read + rest.iter().take_while(|&&offset| usize::from(offset) / SUB_BLOCK == sub).count()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn postings()(pairs in prop::collection::vec((0..SUB_BLOCK as u16, 1_u8..), 0..200), sub in 0..SUB_BLOCKS as u16, multiplier in 0_u16..6_000)
            -> (Vec<u16>, Vec<u8>, u16) {
            let (offsets, bounds) = pairs.into_iter().map(|(offset, bound)| (offset + sub * SUB_BLOCK as u16, bound)).unzip();
            (offsets, bounds, multiplier)
        }
    }

    fn run(
        kernel: Kernel,
        rows: &[Row<'_>],
        scattered: &[(Vec<u16>, Vec<u8>, u16)],
        place: Place<'_>,
        floor: u16,
    ) -> (Vec<u16>, Vec<Candidate>) {
        let mut sums = Sums::default().0;
        let padded = place.units.next_multiple_of(64);
        (kernel.rows)(&mut sums, rows, padded);
        scattered
            .iter()
            .for_each(|(offsets, bounds, multiplier)| (kernel.scatter)(&mut sums, offsets, bounds, *multiplier));
        let mut candidates = Vec::new();
        (kernel.collect)(&sums, place, floor, &mut candidates);
        (sums[..place.units].to_vec(), candidates)
    }

    proptest! {
        #[test]
        fn the_fast_kernel_does_what_the_portable_one_does(
            rows in prop::collection::vec((prop::collection::vec(0_u8.., SUB_BLOCK), 0_u16..6_000), 0..4),
            scattered in prop::collection::vec(postings(), 0..5),
            units in 1..=SUB_BLOCK,
            set in prop::option::of(prop::collection::vec(any::<u64>(), 2 * SUB_BLOCK / 64)),
            floor in 1_u16..9_000,
        ) {
            let rows: Vec<Row<'_>> = rows.iter().map(|(bounds, multiplier)| Row { bounds, multiplier: *multiplier }).collect();
            let place = Place { segment: 3, first: SUB_BLOCK as u32, units, allowed: set.as_deref() };
            let expected = run(portable::KERNEL, &rows, &scattered, place, floor);
            prop_assert_eq!(run(Kernel::best(), &rows, &scattered, place, floor), expected);
        }
    }
}

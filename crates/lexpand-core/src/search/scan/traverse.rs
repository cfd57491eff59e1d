//! Scans the posting lists of a query.

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::dense::Dense;
use super::kernel::{Backoff, Kernel, Place, Sums};
use super::portable;
use crate::limits::BLOCK;
use crate::prefetch::prefetch;
use crate::search::plan::{Plan, TermPlan};
use crate::search::pool::{Candidate, Pool};
use crate::search::view::View;
use crate::segment::{Postings, SUB_BLOCK, SUB_BLOCKS};

/// Cache lines of postings that are prefetched. The hardware prefetcher reacts only when most of a
/// short range has been read.
const LINES: usize = 4;

/// A reading position in one block of a posting list.
#[derive(Debug, Clone, Copy)]
struct Cursor<'a> {
    offsets: &'a [u16],
    bounds: &'a [u8],
    splits: Option<&'a [u16]>,
    read: usize,
    multiplier: u16,
    least: u8,
}

/// The fastest kernel of this processor.
fn fastest() -> Kernel {
    #[cfg(target_arch = "x86_64")]
    if let Some(kernel) = avx2::kernel() {
        return kernel;
    }
    portable::KERNEL
}

/// The result of a scan.
#[derive(Debug)]
pub(in crate::search) struct Scanned {
    pub(in crate::search) candidates: Vec<Candidate>,
    /// The threshold in quanta: the sums of all other passages are below it.
    pub(in crate::search) floor: u16,
}

/// Finds the passages of the scanned segments that can be among the best. At least k scores reach
/// `threshold` already. With `estimate`, the result needs a check at the end (see [`Pool`]).
pub(in crate::search) fn scan(
    views: &[View<'_>],
    plan: &Plan,
    threshold: f64,
    estimate: bool,
    sums: &mut Sums,
) -> Scanned {
    let kernel = fastest();
    let passages = views
        .iter()
        .filter(|view| !plan.terms(view).is_empty())
        .map(|view| view.allowed_passages)
        .sum();
    sums.backoff = Backoff::default();
    let mut pool = Pool::new(plan, threshold, passages, estimate);
    for view in views {
        let terms = plan.terms(view);
        if terms.is_empty() {
            continue;
        }
        let postings = view.field.postings;
        let dense = Dense::new(postings, terms);
        for block in 0..postings.blocks {
            let cursors = terms.iter().filter_map(|term| cursor(postings, term, block)).collect();
            scan_block(view, cursors, &dense, block, kernel, sums, &mut pool);
        }
    }
    pool.prune();
    Scanned { candidates: pool.candidates, floor: pool.floor }
}

fn scan_block(
    view: &View<'_>,
    mut cursors: Vec<Cursor<'_>>,
    dense: &Dense<'_>,
    block: usize,
    kernel: Kernel,
    sums: &mut Sums,
    pool: &mut Pool,
) {
    for sub in 0..SUB_BLOCKS {
        let first = block * BLOCK + sub * SUB_BLOCK;
        let passages = view.rows.len().saturating_sub(first).min(SUB_BLOCK);
        if passages == 0 {
            break;
        }
        let place =
            Place { segment: view.segment, first: first as u32, passages, allowed: view.allowed };
        if place.allowed_passages() == 0 {
            for cursor in &mut cursors {
                cursor.next(sub, kernel);
            }
            continue;
        }
        sums.passages.fill(0);
        for cursor in &mut cursors {
            let range = cursor.next(sub, kernel);
            (kernel.scatter)(
                &mut sums.passages,
                &cursor.offsets[range.clone()],
                &cursor.bounds[range],
                cursor.multiplier,
            );
            cursor.prefetch();
        }
        dense.add_and_collect(kernel, sums, place, pool);
    }
}

fn cursor<'a>(postings: Postings<'a>, term: &TermPlan, block: usize) -> Option<Cursor<'a>> {
    let range = postings.block(term.place, block);
    let (offsets, bounds) = (&postings.offsets[range.clone()], &postings.bounds[range]);
    let splits = postings.splits_of(term.place, block);
    let cursor =
        Cursor { offsets, bounds, splits, read: 0, multiplier: term.multiplier, least: term.least };
    (!term.row && !offsets.is_empty()).then_some(cursor)
}

impl Cursor<'_> {
    /// The postings of sub-block `sub` whose bound is large enough. Callers pass sub-blocks in
    /// order.
    fn next(&mut self, sub: usize, kernel: Kernel) -> std::ops::Range<usize> {
        let start = self.read;
        // A damaged split, in a file opened unverified, must not lead out of the block.
        self.read = self.end(sub).clamp(start, self.offsets.len());
        if self.least == 1 {
            return start..self.read;
        }
        start..start + (kernel.prefix)(&self.bounds[start..self.read], self.least)
    }

    /// Prefetches the first postings of the next sub-block.
    fn prefetch(&self) {
        for i in 0..LINES {
            if let (Some(offset), Some(bound)) =
                (self.offsets.get(self.read + 32 * i), self.bounds.get(self.read + 64 * i))
            {
                prefetch(offset);
                prefetch(bound);
            }
        }
    }

    fn end(&self, sub: usize) -> usize {
        match self.splits {
            Some(splits) if sub + 1 < SUB_BLOCKS => usize::from(splits[sub]),
            Some(_) => self.offsets.len(),
            None => {
                let rest = &self.offsets[self.read..];
                self.read
                    + rest
                        .iter()
                        .take_while(|&&offset| usize::from(offset) / SUB_BLOCK == sub)
                        .count()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernel::{Row, Term};
    use super::*;
    use crate::segment::GROUP;
    use crate::segment::maxima;
    use proptest::prelude::*;

    prop_compose! {
        fn postings()(
            pairs in prop::collection::vec((0..SUB_BLOCK as u16, 1_u8..), 0..200),
            sub in 0..SUB_BLOCKS as u16,
            multiplier in 0_u16..6_000,
        ) -> (Vec<u16>, Vec<u8>, u16) {
            let placed = |(offset, bound)| (offset + sub * SUB_BLOCK as u16, bound);
            let (offsets, bounds) = pairs.into_iter().map(placed).unzip();
            (offsets, bounds, multiplier)
        }
    }

    /// Everything that contributes to the sums of a sub-block.
    #[derive(Debug, Clone)]
    struct Case {
        rows: Vec<(Vec<u8>, u16)>,
        scattered: Vec<(Vec<u16>, Vec<u8>, u16)>,
        passages: usize,
        set: Option<Vec<u64>>,
        floor: u16,
    }

    prop_compose! {
        fn cases()(
            rows in prop::collection::vec(
                (prop::collection::vec(0_u8.., SUB_BLOCK), 0_u16..6_000),
                0..4,
            ),
            scattered in prop::collection::vec(postings(), 0..5),
            passages in 1..=SUB_BLOCK,
            set in prop::option::of(prop::collection::vec(any::<u64>(), 2 * SUB_BLOCK / 64)),
            floor in 1_u16..9_000,
        ) -> Case {
            Case { rows, scattered, passages, set, floor }
        }
    }

    impl Case {
        fn rows(&self) -> Vec<Row<'_>> {
            self.rows
                .iter()
                .map(|(bounds, multiplier)| Row { bounds, multiplier: *multiplier })
                .collect()
        }

        fn place(&self) -> Place<'_> {
            Place {
                segment: 3,
                first: SUB_BLOCK as u32,
                passages: self.passages,
                allowed: self.set.as_deref(),
            }
        }

        fn scatter(&self, kernel: Kernel) -> Sums {
            let mut sums = Sums::default();
            for (offsets, bounds, multiplier) in &self.scattered {
                (kernel.scatter)(&mut sums.passages, offsets, bounds, *multiplier);
            }
            sums
        }

        /// The sums with whole rows, added in two parts.
        fn whole(&self, kernel: Kernel) -> (Vec<u16>, Vec<Candidate>) {
            let (mut sums, rows, mut candidates) = (self.scatter(kernel), self.rows(), Vec::new());
            let padded = self.passages.next_multiple_of(64);
            let (first, second) = sums.passages[..padded].split_at_mut(padded / 2);
            (kernel.rows)(first, &rows, 0);
            (kernel.rows)(second, &rows, padded / 2);
            (kernel.collect)(&sums.passages[..], self.place(), self.floor, &mut candidates);
            (sums.passages[..self.passages].to_vec(), candidates)
        }

        /// The open groups and what they can still gain, after each term.
        fn groups(&self, kernel: Kernel) -> Vec<(Vec<u16>, Vec<u16>)> {
            let (mut sums, rows) = (self.scatter(kernel), self.rows());
            let maxima: Vec<Vec<u8>> =
                self.rows.iter().map(|(bounds, _)| maxima(bounds).collect()).collect();
            let most: Vec<Row<'_>> = rows
                .iter()
                .zip(&maxima)
                .map(|(row, maxima)| Row { bounds: maxima, ..*row })
                .collect();
            (kernel.rows)(&mut sums.groups[..], &most, 0);
            (kernel.open)(&sums.passages[..], &sums.groups[..], self.floor, &mut sums.open);
            let mut seen = vec![(sums.open.clone(), sums.groups.to_vec())];
            for (&row, &maxima) in rows.iter().zip(&most) {
                (kernel.narrow)(&mut sums, Term { row, maxima }, 0, self.floor);
                seen.push((sums.open.clone(), sums.groups.to_vec()));
            }
            seen
        }
    }

    proptest! {
        #[test]
        fn the_fast_kernel_equals_the_portable_one(case in cases()) {
            prop_assert_eq!(case.whole(fastest()), case.whole(portable::KERNEL));
            prop_assert_eq!(case.groups(fastest()), case.groups(portable::KERNEL));
        }

        /// A passage whose sum reaches the threshold is in a group that stays open.
        #[test]
        fn no_group_is_closed_too_early(case in cases()) {
            let case = Case { passages: SUB_BLOCK, set: None, ..case };
            let (_, candidates) = case.whole(portable::KERNEL);
            for (open, _) in case.groups(portable::KERNEL) {
                for candidate in &candidates {
                    let group = (candidate.ordinal as usize % SUB_BLOCK / GROUP) as u16;
                    prop_assert!(open.binary_search(&group).is_ok());
                }
            }
        }
    }
}

//! The inner loops in plain Rust: the reference implementation, for every processor.

use super::kernel::{Kernel, Place, Row, Sums, Term};
use crate::bit_set::contains;
use crate::search::bounds::added;
use crate::search::pool::Candidate;
use crate::segment::{GROUP, SUB_BLOCK};

pub(super) const KERNEL: Kernel = Kernel { rows, open, narrow, scatter, prefix, collect };

pub(super) fn rows(sums: &mut [u16], rows: &[Row<'_>], first: usize) {
    for (i, sum) in (first..).zip(sums) {
        let any = rows.iter().any(|row| row.bounds[i] > 0);
        let added = rows.iter().map(|row| row.adds(i));
        *sum = added.fold(sum.wrapping_add(u16::from(any)), u16::wrapping_add);
    }
}

pub(super) fn open(sums: &[u16], most: &[u16], floor: u16, open: &mut Vec<u16>) {
    let groups = sums.chunks(GROUP).zip(most).enumerate();
    let reach = groups
        .filter(|(_, (sums, most))| sums.iter().any(|&sum| sum >= floor.saturating_sub(**most)));
    open.extend(reach.map(|(group, _)| group as u16));
}

pub(super) fn narrow(sums: &mut Sums, term: Term<'_>, first: usize, floor: u16) {
    let Sums { passages, groups, open, .. } = sums;
    open.retain(|&group| {
        let group = usize::from(group);
        let (first, of_group) = (first + group * GROUP, &mut passages[group * GROUP..][..GROUP]);
        for (i, sum) in (first..).zip(of_group.iter_mut()) {
            *sum = sum.wrapping_add(term.row.adds(i));
        }
        groups[group] = groups[group].wrapping_sub(term.maxima.adds(first / GROUP));
        of_group.iter().any(|&sum| sum >= floor.saturating_sub(groups[group]))
    });
}

pub(super) fn scatter(
    sums: &mut [u16; SUB_BLOCK],
    offsets: &[u16],
    bounds: &[u8],
    multiplier: u16,
) {
    for (&offset, &bound) in offsets.iter().zip(bounds) {
        let sum = &mut sums[usize::from(offset) % SUB_BLOCK];
        // Wraps only in a damaged file. In a sound one the quantum keeps sums below 2^16.
        *sum = sum.wrapping_add(added(bound, multiplier));
    }
}

pub(super) fn prefix(bounds: &[u8], least: u8) -> usize {
    bounds.iter().position(|&bound| bound < least).unwrap_or(bounds.len())
}

pub(super) fn collect(sums: &[u16], place: Place<'_>, floor: u16, candidates: &mut Vec<Candidate>) {
    for (i, &sum) in sums[..place.passages].iter().enumerate() {
        let ordinal = place.first + i as u32;
        if sum >= floor && contains(place.allowed, ordinal as usize) {
            candidates.push(Candidate { sum, segment: place.segment, ordinal });
        }
    }
}

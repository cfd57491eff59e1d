//! The hot loops in plain Rust, for every processor; what they compute is the definition.

use super::{Candidate, Kernel, Place, Row};
use crate::search::bounds::added;
use crate::segment::{SUB_BLOCK, has};

pub(super) const KERNEL: Kernel = Kernel { rows, scatter, prefix, collect };

pub(super) fn rows(sums: &mut [u16; SUB_BLOCK], rows: &[Row<'_>], units: usize) {
    for (i, sum) in sums[..units].iter_mut().enumerate() {
        let any = rows.iter().any(|row| row.bounds[i] > 0);
        *sum = rows.iter().map(|row| added(row.bounds[i], row.multiplier) - 1).fold(u16::from(any), u16::wrapping_add);
    }
}

pub(super) fn scatter(sums: &mut [u16; SUB_BLOCK], offsets: &[u16], bounds: &[u8], multiplier: u16) {
    for (&offset, &bound) in offsets.iter().zip(bounds) {
        let sum = &mut sums[usize::from(offset) % SUB_BLOCK];
        // Wraps in a damaged file alone: in a sound one the quantum keeps sums below 2^16.
        *sum = sum.wrapping_add(added(bound, multiplier));
    }
}

pub(super) fn prefix(bounds: &[u8], least: u8) -> usize {
    bounds.iter().position(|&bound| bound < least).unwrap_or(bounds.len())
}

pub(super) fn collect(sums: &[u16; SUB_BLOCK], place: Place<'_>, floor: u16, candidates: &mut Vec<Candidate>) {
    for (i, &sum) in sums[..place.units].iter().enumerate() {
        let ordinal = place.first + i as u32;
        if sum >= floor && has(place.allowed, ordinal as usize) {
            candidates.push(Candidate { sum, segment: place.segment, ordinal });
        }
    }
}

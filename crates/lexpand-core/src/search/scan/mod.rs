//! Sums of a query's postings, a sub-block of 2^14 passages at a time: 32 KiB of u16 that stay in the nearest caches.
//!
//! Postings are scattered, read once and in order. Frequent terms are rows of one bound a passage, added by SIMD; but first the largest bound of each
//! [`GROUP`] of passages is asked whether any of them can reach the floor at all: where few groups can, the rows are read for these alone ([`dense`]).
//! The arithmetic is that of [`super::bounds`], in every variant: [`portable`] defines it, [`avx2`] gives the same sums.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod dense;
mod kernel;
mod portable;
mod traverse;

pub(super) use kernel::Sums;
pub(super) use traverse::{Scanned, scan};

//! Sums up a query's postings, a sub-block of 2^14 passages at a time. Their u16 accumulators take
//! 32 KiB, which stay in the nearest caches.
//!
//! Postings are scattered into the sums. Dense impact rows are added by SIMD. Before that, block
//! maxima tell which groups of 16 passages can reach the threshold at all; if those are few, only
//! their part of the rows is read ([`dense`]). All variants use the arithmetic of
//! [`super::bounds`]: [`portable`] is the reference implementation, `avx2` gives the same sums.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod dense;
mod kernel;
mod portable;
mod traverse;

pub(super) use kernel::Sums;
pub(super) use traverse::{Scanned, scan};

//! Sparse vectors on disk: immutable, checksummed, memory-mapped. docs/format.md is the specification.
//!
//! Written by [`write`] from vectors, or by [`merge`] from other segments: [`forward`] holds the stored weights, [`census`] counts them,
//! [`postings`] turns them over a range of terms at a time, [`sink`] puts the sections into the file. [`read`] opens it, [`check`] distrusts it,
//! [`deep`] distrusts its writer.

mod bytes;
mod census;
mod check;
mod deep;
mod field;
mod forward;
mod layout;
mod merge;
mod postings;
mod quantise;
mod read;
mod sink;
mod write;

pub use field::{Dense, DenseTerm, Field, Postings, Terms};
pub use layout::VERSION;
pub use merge::{MergeSource, merge};
#[cfg(test)]
pub(crate) use postings::maxima;
pub(crate) use quantise::check_unit;
pub use read::{Part, Segment};
pub use write::{Extra, FieldVectors, Means, Units, Written, write};

/// Units in a block: a u16 tells them apart.
pub const BLOCK: usize = 1 << 16;

/// Units in a sub-block: their u16 accumulators (32 KiB) stay in the nearest caches during a scan.
pub const SUB_BLOCK: usize = 1 << 14;

/// Sub-blocks in a block.
pub const SUB_BLOCKS: usize = BLOCK / SUB_BLOCK;

/// Units of a group, whose largest bound a dense term's maxima say.
pub const GROUP: usize = 16;

/// Bounds at which the share of a term's postings is known.
pub const LEVELS: [u8; 8] = [8, 16, 32, 48, 64, 96, 128, 192];

/// Whether bit `i` of a set of ordinals is on; without a set, all are.
pub(crate) fn has(set: Option<&[u64]>, i: usize) -> bool {
    set.is_none_or(|words| words[i / 64] >> (i % 64) & 1 == 1)
}

/// How many bits of a set are on in a range, which begins at a whole word.
pub(crate) fn count_in(set: &[u64], range: std::ops::Range<usize>) -> usize {
    let words = range.clone().step_by(64).zip(&set[range.start / 64..]);
    let within =
        |(i, word): (usize, &u64)| if range.end - i < 64 { word & ((1 << (range.end - i)) - 1) } else { *word };
    words.map(|word| within(word).count_ones() as usize).sum()
}

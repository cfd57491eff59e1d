//! Sizes that the writer, the checks and search share.

use crate::limits::BLOCK;

/// Passages in a sub-block: their u16 accumulators (32 KiB) stay in the nearest caches during a scan.
pub(crate) const SUB_BLOCK: usize = 1 << 14;

/// Sub-blocks in a block.
pub(crate) const SUB_BLOCKS: usize = BLOCK / SUB_BLOCK;

/// Passages of a group, whose largest bound a dense term's maxima say.
pub(crate) const GROUP: usize = 16;

/// Bounds at which the share of a term's postings is known.
pub(crate) const LEVELS: [u8; 8] = [8, 16, 32, 48, 64, 96, 128, 192];

/// Runs at least this long have splits: shorter ones are walked to find the next sub-block.
pub(super) const SPLIT_POSTINGS: u32 = 64;

/// The largest impact: weights are rounded to 16 bits.
pub(super) const MAX_IMPACT: f64 = 65535.0;

/// Blocks of so many passages.
pub(super) fn blocks(passages: usize) -> usize {
    passages.div_ceil(BLOCK)
}

/// Bounds in a row of a dense term.
pub(super) fn row_width(passages: usize) -> usize {
    passages.next_multiple_of(64)
}

/// Whether terms take two bytes.
pub(super) fn is_narrow(vocabulary_size: u32) -> bool {
    vocabulary_size <= 1 << 16
}

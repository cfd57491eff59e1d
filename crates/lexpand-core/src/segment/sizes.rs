//! Sizes that the writer, the checks and search share.

use crate::limits::BLOCK;

/// Passages in a sub-block. Their u16 accumulators take 32 KiB, which stay in the nearest caches
/// during a scan.
pub(crate) const SUB_BLOCK: usize = 1 << 14;

/// Sub-blocks in a block.
pub(crate) const SUB_BLOCKS: usize = BLOCK / SUB_BLOCK;

/// Passages in a group, which has one block maximum per dense term (as in a block-max index, Ding
/// and Suel, SIGIR 2011).
pub(crate) const GROUP: usize = 16;

/// Bounds at which the share of a term's postings is stored.
pub(crate) const LEVELS: [u8; 8] = [8, 16, 32, 48, 64, 96, 128, 192];

/// Blocks of at least this many postings have splits. In shorter ones, search walks to the next
/// sub-block.
pub(super) const SPLIT_POSTINGS: u32 = 64;

/// The largest impact: weights are quantized to 16 bits.
pub(super) const MAX_IMPACT: f64 = 65535.0;

/// The number of blocks of so many passages.
pub(super) fn blocks(passages: usize) -> usize {
    passages.div_ceil(BLOCK)
}

/// The length of a dense impact row.
pub(super) fn row_width(passages: usize) -> usize {
    passages.next_multiple_of(64)
}

/// Whether terms take two bytes.
pub(super) fn is_narrow(vocabulary_size: u32) -> bool {
    vocabulary_size <= 1 << 16
}

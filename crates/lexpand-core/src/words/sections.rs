//! The arrays of an open field, by the section kinds of docs/format.md.

use bytemuck::cast_slice;

use crate::limits::BLOCK;

/// The largest number of bytes of a word, in UTF-8.
pub(super) const MAX_WORD: usize = 255;

/// The field kind in the header of an open field; a closed one has 0.
pub(super) const OPEN: u64 = 1;
/// The block size as a power of two.
pub(super) const BLOCK_BITS: u64 = BLOCK.ilog2() as u64;

/// Section kinds of an open field. Those of closed fields are below 48.
pub mod kind {
    /// Field kind, passages, words, postings, total length, block size.
    pub const HEADER: u32 = 48;
    /// Where each word begins.
    pub const WORD_STARTS: u32 = 49;
    /// The words, one after the other.
    pub const WORD_BYTES: u32 = 50;
    /// Where each word's blocks begin.
    pub const BLOCK_STARTS: u32 = 51;
    /// The blocks that a word occurs in.
    pub const BLOCKS: u32 = 52;
    /// Where the postings of a word in a block begin.
    pub const POSTING_STARTS: u32 = 53;
    /// Ordinals minus the block's first ordinal.
    pub const OFFSETS: u32 = 54;
    /// How often the word occurs in the passage; 0 if more than 255 times.
    pub const FREQUENCIES: u32 = 55;
    /// The postings whose frequency is more than 255.
    pub const HIGH_PLACES: u32 = 56;
    /// Their frequencies.
    pub const HIGH_FREQUENCIES: u32 = 57;
    /// The number of words in each passage.
    pub const LENGTHS: u32 = 58;
}

/// An open field, ready to be written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Sections {
    pub(super) header: [u64; 6],
    pub(super) word_starts: Vec<u32>,
    pub(super) word_bytes: Vec<u8>,
    pub(super) block_starts: Vec<u32>,
    pub(super) blocks: Vec<u16>,
    pub(super) posting_starts: Vec<u64>,
    pub(super) offsets: Vec<u16>,
    pub(super) frequencies: Vec<u8>,
    pub(super) high_places: Vec<u64>,
    pub(super) high_frequencies: Vec<u32>,
    pub(super) lengths: Vec<u32>,
}

impl Sections {
    /// Kind and bytes of each section, ascending by kind. The bytes are aligned for their type.
    pub fn parts(&self) -> [(u32, &[u8]); 11] {
        [
            (kind::HEADER, cast_slice(&self.header)),
            (kind::WORD_STARTS, cast_slice(&self.word_starts)),
            (kind::WORD_BYTES, &self.word_bytes),
            (kind::BLOCK_STARTS, cast_slice(&self.block_starts)),
            (kind::BLOCKS, cast_slice(&self.blocks)),
            (kind::POSTING_STARTS, cast_slice(&self.posting_starts)),
            (kind::OFFSETS, cast_slice(&self.offsets)),
            (kind::FREQUENCIES, &self.frequencies),
            (kind::HIGH_PLACES, cast_slice(&self.high_places)),
            (kind::HIGH_FREQUENCIES, cast_slice(&self.high_frequencies)),
            (kind::LENGTHS, cast_slice(&self.lengths)),
        ]
    }

    /// The bytes of one section.
    pub fn get(&self, kind: u32) -> Option<&[u8]> {
        self.parts().into_iter().find(|part| part.0 == kind).map(|part| part.1)
    }
}

//! The bytes of a segment file, mapped or in memory.

use std::ops::Deref;

use memmap2::Mmap;

/// Starts at a multiple of 8, so that every section can be read as an array of its numbers.
#[derive(Debug)]
pub(super) enum Bytes {
    Mapped(Mmap),
    /// 64-bit words, and the number of bytes that they hold.
    Held(Vec<u64>, usize),
}

impl Bytes {
    pub(super) fn copy(bytes: &[u8]) -> Self {
        let mut words = vec![0_u64; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Bytes::Held(words, bytes.len())
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Held(words, length) => &bytemuck::cast_slice(words)[..*length],
        }
    }
}

//! Writes words, in ascending order, into the arrays of an open field. Building and merging share
//! it.

use super::sections::{BLOCK_BITS, MAX_WORD, OPEN, Sections};
use crate::limits::BLOCK;
use crate::{Error, Result};

/// Takes words one after the other, ascending by their bytes.
#[derive(Debug)]
pub(super) struct Writer {
    out: Sections,
}

impl Writer {
    /// `lengths` has the sum of the frequencies of each passage.
    pub(super) fn new(lengths: Vec<u32>) -> Self {
        let out = Sections {
            word_starts: vec![0],
            block_starts: vec![0],
            lengths,
            ..Sections::default()
        };
        Writer { out }
    }

    /// Appends a word with its postings (ordinal, frequency >= 1), ascending by ordinal. A word
    /// without postings is left out.
    pub(super) fn push(&mut self, word: &[u8], postings: &[(u32, u32)]) -> Result<()> {
        if postings.is_empty() {
            return Ok(());
        }
        debug_assert!(
            (1..=MAX_WORD).contains(&word.len()) && postings.is_sorted_by(|a, b| a.0 < b.0)
        );
        self.out.word_bytes.extend_from_slice(word);
        let mut block = None;
        for &(ordinal, frequency) in postings {
            let number = (ordinal as usize / BLOCK) as u16;
            if block != Some(number) {
                self.out.blocks.push(number);
                self.out.posting_starts.push(self.out.offsets.len() as u64);
                block = Some(number);
            }
            self.push_posting((ordinal as usize % BLOCK) as u16, frequency);
        }
        self.out.word_starts.push(narrow(self.out.word_bytes.len(), "bytes of words")?);
        self.out.block_starts.push(narrow(self.out.blocks.len(), "pairs of word and block")?);
        Ok(())
    }

    fn push_posting(&mut self, offset: u16, frequency: u32) {
        let stored = u8::try_from(frequency).unwrap_or(0);
        if stored == 0 {
            self.out.high_places.push(self.out.offsets.len() as u64);
            self.out.high_frequencies.push(frequency);
        }
        self.out.offsets.push(offset);
        self.out.frequencies.push(stored);
    }

    pub(super) fn finish(mut self) -> Sections {
        let out = &mut self.out;
        let postings = out.offsets.len() as u64;
        out.posting_starts.push(postings);
        let (passages, words) = (out.lengths.len() as u64, out.word_starts.len() as u64 - 1);
        let total = out.lengths.iter().map(|&length| u64::from(length)).sum();
        out.header = [OPEN, passages, words, postings, total, BLOCK_BITS];
        self.out
    }
}

fn narrow(count: usize, what: &str) -> Result<u32> {
    u32::try_from(count).map_err(|_| {
        Error::invalid(format!(
            "a segment must have at most 2^32 - 1 {what}, got {count}: \
             commit smaller batches, or merge fewer segments"
        ))
    })
}

//! A lexical field: its sections viewed in place, and the checks that make every later index safe.

use std::cmp::Ordering;
use std::ops::Range;

use bytemuck::{AnyBitPattern, try_cast_slice};

use super::sections::{BLOCK_BITS, MAX_WORD, OPEN, kind};
use crate::bit_set::contains;
use crate::limits::BLOCK;

type Check = std::result::Result<(), String>;

/// A field with a set of its passages; `None` is every passage.
pub type Live<'a> = (WordField<'a>, Option<&'a [u64]>);

/// The arrays of one open field. A *term* is a word's number in this segment's dictionary.
#[derive(Debug, Clone, Copy)]
pub struct WordField<'a> {
    total_length: u64,
    word_starts: &'a [u32],
    word_bytes: &'a [u8],
    block_starts: &'a [u32],
    blocks: &'a [u16],
    posting_starts: &'a [u64],
    offsets: &'a [u16],
    frequencies: &'a [u8],
    high_places: &'a [u64],
    high_frequencies: &'a [u32],
    lengths: &'a [u32],
}

impl<'a> WordField<'a> {
    /// Views the sections of a field and checks them: always what keeps indices in range, with
    /// `verify` also every posting.
    ///
    /// # Errors
    /// The first invariant that does not hold, with the section or the value.
    pub fn open(
        section: impl Fn(u32) -> Option<&'a [u8]>,
        passages: u32,
        verify: bool,
    ) -> Result<Self, String> {
        let field = Self::view(section, passages)?;
        field.check_starts()?;
        field.check_words()?;
        if verify {
            field.check_postings()?;
        }
        Ok(field)
    }

    /// Views sections that [`WordField::open`] has accepted. Only their lengths are compared again.
    ///
    /// # Errors
    /// The section that is missing, not aligned, or not of the length that the header implies.
    pub fn view(section: impl Fn(u32) -> Option<&'a [u8]>, passages: u32) -> Result<Self, String> {
        let header: &[u64] = array(&section, kind::HEADER, Some(6))?;
        let &[what, stored_passages, words, postings, total_length, block_bits] = header else {
            return Err("section 48 does not have 6 items".into());
        };
        if what != OPEN || block_bits != BLOCK_BITS || stored_passages != u64::from(passages) {
            return Err(format!(
                "field kind {what}, {stored_passages} passages of {passages}, \
                 blocks of 2^{block_bits}"
            ));
        }
        let blocks: &[u16] = array(&section, kind::BLOCKS, None)?;
        let high_places: &[u64] = array(&section, kind::HIGH_PLACES, None)?;
        Ok(WordField {
            total_length,
            word_starts: array(&section, kind::WORD_STARTS, Some(words.saturating_add(1)))?,
            word_bytes: array(&section, kind::WORD_BYTES, None)?,
            block_starts: array(&section, kind::BLOCK_STARTS, Some(words.saturating_add(1)))?,
            posting_starts: array(&section, kind::POSTING_STARTS, Some(blocks.len() as u64 + 1))?,
            offsets: array(&section, kind::OFFSETS, Some(postings))?,
            frequencies: array(&section, kind::FREQUENCIES, Some(postings))?,
            high_frequencies: array(
                &section,
                kind::HIGH_FREQUENCIES,
                Some(high_places.len() as u64),
            )?,
            lengths: array(&section, kind::LENGTHS, Some(u64::from(passages)))?,
            blocks,
            high_places,
        })
    }

    /// The number of passages in the segment.
    pub fn passages(&self) -> u32 {
        self.lengths.len() as u32
    }

    /// The number of words in the dictionary.
    pub fn terms(&self) -> u32 {
        (self.word_starts.len() - 1) as u32
    }

    /// The number of words in each passage, repetitions counted.
    pub fn lengths(&self) -> &'a [u32] {
        self.lengths
    }

    /// The number of passages in the set, and the sum of their lengths.
    pub fn totals(&self, live: Option<&[u64]>) -> (u64, u64) {
        if live.is_none() {
            return (self.lengths.len() as u64, self.total_length);
        }
        let live = self.lengths.iter().enumerate().filter(|(ordinal, _)| contains(live, *ordinal));
        live.fold((0, 0), |(passages, total), (_, &length)| {
            (passages + 1, total + u64::from(length))
        })
    }

    /// The word of a term.
    pub fn word(&self, term: u32) -> &'a str {
        std::str::from_utf8(self.word_bytes_of(term)).expect("checked when the field was opened")
    }

    /// The term of a word; None if the segment lacks it.
    pub fn term(&self, word: &str) -> Option<u32> {
        let (mut low, mut high) = (0, self.terms());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.word_bytes_of(middle).cmp(word.as_bytes()) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// A term's postings: ordinal and frequency, ascending by ordinal.
    pub fn postings(&self, term: u32) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        let field = *self;
        field.blocks_of(term).flat_map(move |i| {
            let first = u32::from(field.blocks[i]) * BLOCK as u32;
            field
                .postings_of(i)
                .map(move |place| (first + u32::from(field.offsets[place]), field.frequency(place)))
        })
    }

    /// How often a term occurs in a passage.
    pub fn frequency_in(&self, term: u32, ordinal: u32) -> u32 {
        let blocks = self.blocks_of(term);
        let block = (ordinal as usize / BLOCK) as u16;
        let Ok(i) = self.blocks[blocks.clone()].binary_search(&block) else { return 0 };
        let places = self.postings_of(blocks.start + i);
        let offset = (ordinal as usize % BLOCK) as u16;
        self.offsets[places.clone()]
            .binary_search(&offset)
            .map_or(0, |j| self.frequency(places.start + j))
    }

    /// A passage's terms with their frequencies, ascending. Looks up every word of the dictionary:
    /// a forward index would more than double the field, and only explanations need it.
    pub fn passage(&self, ordinal: u32) -> Vec<(u32, u32)> {
        let count = |term| (term, self.frequency_in(term, ordinal));
        (0..self.terms()).map(count).filter(|&(_, frequency)| frequency > 0).collect()
    }

    pub(super) fn word_bytes_of(&self, term: u32) -> &'a [u8] {
        &self.word_bytes
            [self.word_starts[term as usize] as usize..self.word_starts[term as usize + 1] as usize]
    }

    /// The range of a term's pairs of word and block.
    pub(super) fn blocks_of(&self, term: u32) -> Range<usize> {
        self.block_starts[term as usize] as usize..self.block_starts[term as usize + 1] as usize
    }

    /// The block of a pair.
    pub(super) fn block(&self, pair: usize) -> u16 {
        self.blocks[pair]
    }

    /// The range of a pair's postings.
    pub(super) fn postings_of(&self, pair: usize) -> Range<usize> {
        self.posting_starts[pair] as usize..self.posting_starts[pair + 1] as usize
    }

    /// The offsets of a range of postings.
    pub(super) fn offsets(&self, places: Range<usize>) -> &'a [u16] {
        &self.offsets[places]
    }

    pub(super) fn frequency(&self, place: usize) -> u32 {
        match self.frequencies[place] {
            // In a damaged file opened unverified it may be missing. Then the posting counts
            // nothing.
            0 => self
                .high_places
                .binary_search(&(place as u64))
                .map_or(0, |i| self.high_frequencies[i]),
            low => u32::from(low),
        }
    }

    /// Checks what keeps every later index in range, on each open.
    fn check_starts(&self) -> Check {
        ascend_to(self.word_starts, self.word_bytes.len(), "word starts")?;
        ascend_to(self.block_starts, self.blocks.len(), "block starts")?;
        let postings = self.posting_starts;
        let ends =
            postings.first() == Some(&0) && postings.last() == Some(&(self.offsets.len() as u64));
        require(
            ends && postings.is_sorted_by(|a, b| a < b),
            "posting starts do not ascend to the postings' end",
        )?;
        let all = self.lengths.len().div_ceil(BLOCK);
        let fit = |term| {
            let blocks = &self.blocks[self.blocks_of(term)];
            blocks.is_sorted_by(|a, b| a < b)
                && blocks.last().is_none_or(|&block| usize::from(block) < all)
        };
        require(
            (0..self.terms()).all(fit),
            "the blocks of a word do not ascend, or exceed the passages",
        )
    }

    fn check_words(&self) -> Check {
        for term in 0..self.terms() {
            let word = self.word_bytes_of(term);
            require(word.len() <= MAX_WORD, "a word has more than 255 bytes")?;
            require(std::str::from_utf8(word).is_ok(), "a word is not UTF-8")?;
            require(term == 0 || self.word_bytes_of(term - 1) < word, "the words do not ascend")?;
        }
        Ok(())
    }

    fn check_postings(&self) -> Check {
        for (pair, &block) in self.blocks.iter().enumerate() {
            let size = (self.lengths.len() - usize::from(block) * BLOCK).min(BLOCK);
            let offsets = self.offsets(self.postings_of(pair));
            require(
                offsets.is_sorted_by(|a, b| a < b)
                    && offsets.last().is_none_or(|&offset| usize::from(offset) < size),
                "a posting's offset is out of order or outside its block",
            )?;
        }
        self.check_frequencies()?;
        self.check_lengths()
    }

    fn check_frequencies(&self) -> Check {
        let zeros = self.frequencies.iter().enumerate().filter(|(_, frequency)| **frequency == 0);
        let places = zeros.map(|(place, _)| place as u64);
        require(
            places.eq(self.high_places.iter().copied()),
            "section 56 does not list the places with frequency 0",
        )?;
        require(
            self.high_frequencies.iter().all(|&high| high > 255),
            "a frequency in section 57 is not above 255",
        )
    }

    /// Checks that a passage's length is the sum of its frequencies.
    fn check_lengths(&self) -> Check {
        let mut sums = vec![0_u64; self.lengths.len()];
        for term in 0..self.terms() {
            self.postings(term)
                .for_each(|(ordinal, frequency)| sums[ordinal as usize] += u64::from(frequency));
        }
        let same = sums.iter().zip(self.lengths).all(|(&sum, &length)| sum == u64::from(length));
        require(same, "a passage's length is not the sum of its frequencies")?;
        require(
            sums.iter().sum::<u64>() == self.total_length,
            "the total length is not the sum of the lengths",
        )
    }
}

fn require(holds: bool, what: &str) -> Check {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// Checks that starts ascend strictly from 0 to `end`.
fn ascend_to(starts: &[u32], end: usize, what: &str) -> Check {
    let ends = starts.first() == Some(&0) && starts.last().map(|&last| last as usize) == Some(end);
    require(ends && starts.is_sorted_by(|a, b| a < b), &format!("{what} do not ascend to {end}"))
}

/// A section as an array, of `items` items if that is known.
fn array<'a, T: AnyBitPattern>(
    section: impl Fn(u32) -> Option<&'a [u8]>,
    kind: u32,
    items: Option<u64>,
) -> Result<&'a [T], String> {
    let bytes = section(kind).ok_or_else(|| format!("section {kind} is missing"))?;
    let array: &[T] = try_cast_slice(bytes)
        .map_err(|e| format!("section {kind} of {} bytes: {e}", bytes.len()))?;
    match items.filter(|&items| items != array.len() as u64) {
        Some(items) => Err(format!("section {kind} has {} items, not {items}", array.len())),
        None => Ok(array),
    }
}

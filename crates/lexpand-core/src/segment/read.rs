//! The arrays of a segment, read in place.

use std::path::PathBuf;

use bytemuck::{AnyBitPattern, try_cast_slice};

use super::bytes::Bytes;
use super::field::{Dense, Field, Postings, Terms};
use super::layout::{HEADER, Layout, NO_FIELD, Section, kind};
use super::sizes::{blocks, is_narrow, row_width};
use crate::Error;
use crate::words::{self, WordField};

/// A segment that passed its checks. Threads may share it.
#[derive(Debug)]
pub struct Segment {
    pub(super) map: Bytes,
    pub(super) layout: Layout,
    pub(super) path: PathBuf,
    pub(super) verified: bool,
}

/// The kind and size of a section, for reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The kind of content; see docs/format.md.
    pub kind: u32,
    /// The field that it belongs to; `u32::MAX` for none.
    pub field: u32,
    /// Its length.
    pub bytes: u64,
}

impl Segment {
    /// The number of passages.
    pub fn passages(&self) -> u32 {
        self.layout.passages
    }

    /// The header's checksum, which the catalogue records too.
    pub fn checksum(&self) -> u64 {
        u64::from_le_bytes(self.map[HEADER - 8..HEADER].try_into().expect("eight bytes"))
    }

    /// The length of the file.
    pub fn bytes(&self) -> u64 {
        self.layout.length
    }

    /// The row of each passage's document.
    pub fn rows(&self) -> &[u32] {
        self.array(kind::PASSAGE_ROWS, NO_FIELD)
    }

    /// The number of each passage within its document, from 0.
    pub fn chunks(&self) -> &[u32] {
        self.array(kind::PASSAGE_CHUNKS, NO_FIELD)
    }

    /// The first and end character of each passage, in turn.
    pub fn spans(&self) -> &[u32] {
        self.array(kind::PASSAGE_SPANS, NO_FIELD)
    }

    /// The numbers of the closed fields, ascending.
    pub fn fields(&self) -> Vec<u32> {
        self.layout.sections.iter().filter(|s| s.kind == kind::FIELD).map(|s| s.field).collect()
    }

    /// The numbers of the open fields, ascending.
    pub fn word_fields(&self) -> Vec<u32> {
        self.layout
            .sections
            .iter()
            .filter(|s| s.kind == words::kind::HEADER)
            .map(|s| s.field)
            .collect()
    }

    /// An open field; None if the segment lacks it.
    pub fn words(&self, field: u32) -> Option<WordField<'_>> {
        self.find(words::kind::HEADER, field)?;
        WordField::view(|kind| self.extra(kind, field), self.layout.passages).ok()
    }

    /// The kind and length of every section.
    pub fn parts(&self) -> Vec<Part> {
        self.layout
            .sections
            .iter()
            .map(|s| Part { kind: s.kind, field: s.field, bytes: s.length })
            .collect()
    }

    /// A section of another module (see [`super::Extra`]). It begins at a multiple of 64 bytes.
    pub fn extra(&self, kind: u32, field: u32) -> Option<&[u8]> {
        self.find(kind, field).filter(|s| s.kind >= kind::FIRST_EXTRA).map(|s| self.bytes_of(s))
    }

    /// The arrays of a closed field; None if the segment lacks it.
    pub fn field(&self, field: u32) -> Option<Field<'_>> {
        let header: &[u32] =
            self.find(kind::FIELD, field).map(|_| self.array(kind::FIELD, field))?;
        let vocabulary_size = header[1];
        let forward_terms = if is_narrow(vocabulary_size) {
            Terms::Narrow(self.array(kind::FORWARD_TERMS, field))
        } else {
            Terms::Wide(self.array(kind::FORWARD_TERMS, field))
        };
        Some(Field {
            vocabulary_size,
            scales: self.array(kind::SCALES, field),
            forward_starts: self.array(kind::FORWARD_STARTS, field),
            forward_terms,
            forward_impacts: self.array(kind::FORWARD_IMPACTS, field),
            postings: self.postings(field),
        })
    }

    fn postings(&self, field: u32) -> Postings<'_> {
        let passages = self.layout.passages as usize;
        Postings {
            blocks: blocks(passages),
            terms: self.array(kind::POSTING_TERMS, field),
            steps: self.array(kind::POSTING_STEPS, field),
            starts: self.array(kind::POSTING_STARTS, field),
            offsets: self.array(kind::POSTING_OFFSETS, field),
            bounds: self.array(kind::POSTING_BOUNDS, field),
            split_places: self.array(kind::SPLIT_PLACES, field),
            splits: self.array(kind::SPLITS, field),
            level_shares: self.array(kind::LEVEL_SHARES, field),
            dense: Dense {
                terms: self.array(kind::DENSE_TERMS, field),
                cuts: self.array(kind::DENSE_CUTS, field),
                rows: self.array(kind::DENSE_ROWS, field),
                width: row_width(passages),
                maxima: self.array(kind::DENSE_MAXIMA, field),
            },
        }
    }

    pub(super) fn find(&self, kind: u32, field: u32) -> Option<&Section> {
        self.layout.find(kind, field).map(|i| &self.layout.sections[i])
    }

    /// A section as numbers. Empty if it is missing or not a whole number of them, which `open`
    /// refuses.
    pub(super) fn array<T: AnyBitPattern>(&self, kind: u32, field: u32) -> &[T] {
        let bytes = self.find(kind, field).map(|s| self.bytes_of(s)).unwrap_or_default();
        try_cast_slice(bytes).unwrap_or_default()
    }

    pub(super) fn bytes_of(&self, section: &Section) -> &[u8] {
        &self.map[section.offset as usize..(section.offset + section.length) as usize]
    }

    pub(super) fn corrupt(&self, what: String) -> Error {
        Error::corrupt(&self.path, what)
    }
}

//! A segment file opened, checked once, and read in place.

use std::fs::File;
use std::path::{Path, PathBuf};

use bytemuck::{AnyBitPattern, try_cast_slice};
use memmap2::Mmap;
use xxhash_rust::xxh3::xxh3_64;

use super::BLOCK;
use super::layout::{HEADER, Layout, NO_FIELD, Section, align, kind};
use crate::{Error, MAX_TERMS, MAX_VOCABULARY, Result};

/// A segment that passed its checks. May be shared by threads.
#[derive(Debug)]
pub struct Segment {
    map: Mmap,
    layout: Layout,
    path: PathBuf,
}

/// The terms of a forward index, in the width that the vocabulary needs.
#[derive(Debug, Clone, Copy)]
pub enum Terms<'a> {
    /// Vocabularies up to 2^16.
    Narrow(&'a [u16]),
    /// Larger ones.
    Wide(&'a [u32]),
}

impl Terms<'_> {
    /// Stored weights.
    pub fn len(&self) -> usize {
        match self {
            Terms::Narrow(terms) => terms.len(),
            Terms::Wide(terms) => terms.len(),
        }
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The term at place i.
    pub fn at(&self, i: usize) -> u32 {
        match self {
            Terms::Narrow(terms) => u32::from(terms[i]),
            Terms::Wide(terms) => terms[i],
        }
    }
}

/// The arrays of one field, named as in docs/format.md.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// Terms are below this.
    pub vocabulary_size: u32,
    /// One a unit.
    pub scales: &'a [f32],
    /// Where each unit's terms begin; one more than there are units.
    pub forward_starts: &'a [u64],
    /// Ascending within a unit.
    pub forward_terms: Terms<'a>,
    /// Beside the terms.
    pub forward_impacts: &'a [u16],
    /// The terms that occur, ascending.
    pub posting_terms: &'a [u32],
    /// `[posting_terms.len(), blocks + 1]`
    pub posting_starts: &'a [u64],
    /// Ordinals less their block's first.
    pub posting_offsets: &'a [u16],
    /// Beside the offsets; `bound * step >=` the stored weight.
    pub posting_bounds: &'a [u8],
    /// One a posting term.
    pub posting_steps: &'a [f32],
}

impl Field<'_> {
    /// Where a unit's terms lie in the forward index.
    pub fn unit(&self, ordinal: u32) -> std::ops::Range<usize> {
        let i = ordinal as usize;
        self.forward_starts[i] as usize..self.forward_starts[i + 1] as usize
    }

    /// Blocks of 2^16 units.
    pub fn blocks(&self) -> usize {
        self.scales.len().div_ceil(BLOCK)
    }

    /// Where the postings of the i-th posting term in a block lie.
    pub fn postings(&self, i: usize, block: usize) -> std::ops::Range<usize> {
        let at = i * (self.blocks() + 1) + block;
        self.posting_starts[at] as usize..self.posting_starts[at + 1] as usize
    }
}

impl Segment {
    /// Opens and checks a file; with `verify` every byte, else only sizes, places and the header's checksums.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::NewerFormat`], or [`Error::Corrupt`] with the first invariant that does not hold.
    pub fn open(path: &Path, verify: bool) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        // SAFETY: a segment is written once, renamed into place and never changed (docs/format.md); whoever truncates
        // it under a reader breaks that contract, as with any mapped file.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io("map", path))?;
        let layout = Layout::parse(&map, path)?;
        let segment = Segment { map, layout, path: path.to_owned() };
        if verify {
            segment.check_bytes()?;
        }
        segment.check_units()?;
        for section in segment.layout.sections.iter().filter(|s| s.kind == kind::FIELD) {
            segment.check_field(section.field, verify)?;
        }
        Ok(segment)
    }

    /// Units in the segment.
    pub fn units(&self) -> u32 {
        self.layout.units
    }

    /// The header's checksum, which the catalogue records too.
    pub fn checksum(&self) -> u64 {
        u64::from_le_bytes(self.map[HEADER - 8..HEADER].try_into().expect("eight bytes"))
    }

    /// Length of the file.
    pub fn bytes(&self) -> u64 {
        self.layout.length
    }

    /// The row of each unit's document.
    pub fn rows(&self) -> &[u32] {
        self.array(kind::UNIT_ROWS, NO_FIELD)
    }

    /// The arrays of a field, where the segment has it.
    pub fn field(&self, field: u32) -> Option<Field<'_>> {
        let header: &[u32] = self.find(kind::FIELD, field).map(|_| self.array(kind::FIELD, field))?;
        let vocabulary_size = header[1];
        let forward_terms = if vocabulary_size <= 1 << 16 {
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
            posting_terms: self.array(kind::POSTING_TERMS, field),
            posting_starts: self.array(kind::POSTING_STARTS, field),
            posting_offsets: self.array(kind::POSTING_OFFSETS, field),
            posting_bounds: self.array(kind::POSTING_BOUNDS, field),
            posting_steps: self.array(kind::POSTING_STEPS, field),
        })
    }

    fn find(&self, kind: u32, field: u32) -> Option<&Section> {
        let sections = &self.layout.sections;
        sections.binary_search_by_key(&(field, kind), |s| (s.field, s.kind)).ok().map(|i| &sections[i])
    }

    /// A section as numbers; empty where it is missing or no whole number of them (which `open` refuses).
    fn array<T: AnyBitPattern>(&self, kind: u32, field: u32) -> &[T] {
        let bytes = self.find(kind, field).map(|s| self.bytes_of(s)).unwrap_or_default();
        try_cast_slice(bytes).unwrap_or_default()
    }

    fn bytes_of(&self, section: &Section) -> &[u8] {
        &self.map[section.offset as usize..(section.offset + section.length) as usize]
    }

    fn corrupt(&self, what: String) -> Error {
        Error::corrupt(&self.path, what)
    }

    fn check_bytes(&self) -> Result<()> {
        let mut end = HEADER + super::layout::ENTRY * self.layout.sections.len();
        for section in &self.layout.sections {
            if xxh3_64(self.bytes_of(section)) != section.checksum {
                return Err(self.corrupt(format!(
                    "section {} of field {} fails its checksum: the file is damaged",
                    section.kind, section.field
                )));
            }
            if self.map[end..align(end as u64) as usize].iter().any(|&byte| byte != 0) {
                return Err(self.corrupt(format!("bytes after {end} are not zero: the file is damaged")));
            }
            end = (section.offset + section.length) as usize;
        }
        Ok(())
    }

    /// A section is there and has this many bytes.
    fn check_length(&self, kind: u32, field: u32, expected: u64) -> Result<()> {
        let found = self.find(kind, field).map(|s| s.length);
        if found == Some(expected) {
            return Ok(());
        }
        let found = found.map_or("missing".into(), |n| format!("{n} bytes"));
        Err(self.corrupt(format!("section {kind} of field {field} is {found}, not {expected} bytes")))
    }

    fn check_units(&self) -> Result<()> {
        let n = u64::from(self.layout.units);
        self.check_length(kind::UNIT_ROWS, NO_FIELD, 4 * n)?;
        self.check_length(kind::UNIT_CHUNKS, NO_FIELD, 4 * n)?;
        self.check_length(kind::UNIT_SPANS, NO_FIELD, 8 * n)
    }

    fn check_field(&self, field: u32, verify: bool) -> Result<()> {
        self.check_length(kind::FIELD, field, 24)?;
        let header: &[u32] = self.array(kind::FIELD, field);
        let &[what, size, low, high, block, _] = header else {
            return Err(self.corrupt("a field's header".into()));
        };
        if what != 0 || block != 16 || size == 0 || size as usize > MAX_VOCABULARY {
            return Err(self.corrupt(format!("field {field}: kind {what}, {size} terms, blocks of 2^{block}")));
        }
        self.check_lengths(field, u64::from(size), u64::from(low) | u64::from(high) << 32)?;
        let view = self.field(field).expect("its header was just read");
        check_starts(view, verify).map_err(|what| self.corrupt(format!("field {field}: {what}")))?;
        if verify {
            check_values(view).map_err(|what| self.corrupt(format!("field {field}: {what}")))?;
        }
        Ok(())
    }

    /// Every section of a field is as long as n, V, nnz, T and B make it.
    fn check_lengths(&self, field: u32, vocabulary_size: u64, nnz: u64) -> Result<()> {
        let n = u64::from(self.layout.units);
        if nnz > self.layout.length {
            return Err(self.corrupt(format!("field {field}: {nnz} weights do not fit in the file")));
        }
        let posting_terms = self.find(kind::POSTING_TERMS, field).map_or(0, |s| s.length / 4);
        let starts = posting_terms * (n.div_ceil(BLOCK as u64) + 1);
        let width = if vocabulary_size <= 1 << 16 { 2 } else { 4 };
        let expected = [
            (kind::SCALES, 4 * n),
            (kind::FORWARD_STARTS, 8 * (n + 1)),
            (kind::FORWARD_TERMS, width * nnz),
            (kind::FORWARD_IMPACTS, 2 * nnz),
            (kind::POSTING_TERMS, 4 * posting_terms),
            (kind::POSTING_STARTS, 8 * starts),
            (kind::POSTING_OFFSETS, 2 * nnz),
            (kind::POSTING_BOUNDS, nnz),
            (kind::POSTING_STEPS, 4 * posting_terms),
        ];
        expected.into_iter().try_for_each(|(kind, length)| self.check_length(kind, field, length))
    }
}

type Check = std::result::Result<(), String>;

fn require(holds: bool, what: &str) -> Check {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// What keeps every later index in range; so it is checked on each open.
fn check_starts(field: Field<'_>, verify: bool) -> Check {
    let nnz = field.forward_terms.len() as u64;
    let runs = |starts: &[u64]| starts.is_sorted() && starts.last().is_none_or(|&end| end == nnz);
    require(field.forward_starts.first() == Some(&0) && runs(field.forward_starts), "forward starts")?;
    require(field.posting_starts.first().is_none_or(|&s| s == 0) && runs(field.posting_starts), "posting starts")?;
    require(nnz == 0 || !field.posting_terms.is_empty(), "weights without postings")?;
    let per_term = field.blocks() + 1;
    let joined = field.posting_starts.chunks(per_term).zip(field.posting_starts.chunks(per_term).skip(1));
    require(joined.into_iter().all(|(a, b)| a.last() == b.first()), "posting starts of two terms do not meet")?;
    require(
        field.posting_terms.is_sorted_by(|a, b| a < b)
            && field.posting_terms.last().is_none_or(|&term| term < field.vocabulary_size),
        "posting terms do not ascend below the vocabulary's size",
    )?;
    require(field.posting_steps.iter().all(|s| s.is_finite() && *s > 0.0), "a step is not above zero")?;
    require(field.scales.iter().all(|s| s.is_finite() && *s >= 0.0), "a scale is not finite and >= 0")?;
    // Without `verify` the offsets of a last, shorter block are left to the search, which ignores what is past it.
    if verify { check_offsets(field) } else { Ok(()) }
}

fn check_offsets(field: Field<'_>) -> Check {
    for block in 0..field.blocks() {
        let size = (field.scales.len() - block * BLOCK).min(BLOCK);
        for i in 0..field.posting_terms.len() {
            let offsets = &field.posting_offsets[field.postings(i, block)];
            require(
                offsets.is_sorted_by(|a, b| a < b) && offsets.last().is_none_or(|&o| (o as usize) < size),
                "a posting's offset is out of order or outside its block",
            )?;
        }
    }
    Ok(())
}

/// The values that a search relies on for its result.
fn check_values(field: Field<'_>) -> Check {
    for ordinal in 0..field.scales.len() as u32 {
        let range = field.unit(ordinal);
        require(range.len() <= MAX_TERMS, "a unit has too many terms")?;
        let terms = range.clone().map(|i| field.forward_terms.at(i));
        require(terms.is_sorted_by(|a, b| a < b), "the terms of a unit do not ascend")?;
        if let Some(last) = range.last() {
            require(field.forward_terms.at(last) < field.vocabulary_size, "a term is outside the vocabulary")?;
        }
    }
    require(!field.forward_impacts.contains(&0), "an impact is zero")?;
    require(!field.posting_bounds.contains(&0), "a bound is zero")
}

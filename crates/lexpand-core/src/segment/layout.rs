//! The header and the section table of a segment file; see docs/format.md.

use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::{Error, Result};

pub(super) const MAGIC: [u8; 8] = *b"LXSEG\r\n\x1a";
/// The format that is read and written.
pub const VERSION: u32 = 2;
pub(super) const HEADER: usize = 64;
pub(super) const ENTRY: usize = 32;
pub(super) const ALIGN: usize = 64;
/// The `field` of sections that belong to no field.
pub(super) const NO_FIELD: u32 = u32::MAX;
/// More sections than any writer makes. Keeps a damaged count from allocating a huge table.
const MAX_SECTIONS: u32 = 1 << 16;

/// Section kinds.
pub(super) mod kind {
    pub const PASSAGE_ROWS: u32 = 1;
    pub const PASSAGE_CHUNKS: u32 = 2;
    pub const PASSAGE_SPANS: u32 = 3;
    pub const FIELD: u32 = 16;
    pub const SCALES: u32 = 17;
    pub const FORWARD_STARTS: u32 = 18;
    pub const FORWARD_TERMS: u32 = 19;
    pub const FORWARD_IMPACTS: u32 = 20;
    pub const POSTING_TERMS: u32 = 21;
    pub const POSTING_STARTS: u32 = 22;
    pub const POSTING_OFFSETS: u32 = 23;
    pub const POSTING_BOUNDS: u32 = 24;
    pub const POSTING_STEPS: u32 = 25;
    pub const SPLIT_PLACES: u32 = 26;
    pub const SPLITS: u32 = 27;
    pub const LEVEL_SHARES: u32 = 28;
    pub const DENSE_TERMS: u32 = 29;
    pub const DENSE_CUTS: u32 = 30;
    pub const DENSE_ROWS: u32 = 31;
    pub const DENSE_MAXIMA: u32 = 32;
    /// Sections from here on belong to other modules; this one only stores them.
    pub const FIRST_EXTRA: u32 = 48;
}

/// The place and checksum of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) kind: u32,
    pub(super) field: u32,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) checksum: u64,
}

/// The header and the section table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) passages: u32,
    pub(super) length: u64,
    pub(super) sections: Vec<Section>,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// The next multiple of [`ALIGN`].
pub(super) fn align(offset: u64) -> u64 {
    offset.next_multiple_of(ALIGN as u64)
}

impl Layout {
    /// Places sections `(kind, field, bytes)`, which ascend by (field, kind), one after the other.
    /// Their checksums are set later.
    pub(super) fn place(passages: u32, parts: &[(u32, u32, u64)]) -> Self {
        let mut end = (HEADER + ENTRY * parts.len()) as u64;
        let sections = parts
            .iter()
            .map(|&(kind, field, length)| {
                let offset = align(end);
                end = offset + length;
                Section { kind, field, offset, length, checksum: 0 }
            })
            .collect();
        Layout { passages, length: end, sections }
    }

    /// The index of a section in the table.
    pub(super) fn find(&self, kind: u32, field: u32) -> Option<usize> {
        self.sections.binary_search_by_key(&(field, kind), |s| (s.field, s.kind)).ok()
    }

    /// The header and the table as bytes. The last eight bytes of the header are its checksum.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let table = self.sections.iter().flat_map(|section| section.to_bytes()).collect::<Vec<_>>();
        let mut out = MAGIC.to_vec();
        out.extend(VERSION.to_le_bytes());
        out.extend((self.sections.len() as u32).to_le_bytes());
        out.extend(self.length.to_le_bytes());
        out.extend(u64::from(self.passages).to_le_bytes());
        out.extend(xxh3_64(&table).to_le_bytes());
        out.resize(HEADER - 8, 0);
        out.extend(xxh3_64(&out).to_le_bytes());
        out.extend(table);
        out
    }

    /// Reads the header and the table, and checks them against the file's bytes.
    pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let corrupt = |what: String| Error::corrupt(path, what);
        if bytes.len() < HEADER || bytes[..8] != MAGIC {
            return Err(corrupt(
                "not a segment file (its first bytes are not the magic number)".into(),
            ));
        }
        let version = u32_at(bytes, 8);
        if version > VERSION {
            return Err(Error::NewerFormat {
                path: path.to_owned(),
                found: version,
                supported: VERSION,
            });
        }
        if xxh3_64(&bytes[..HEADER - 8]) != u64_at(bytes, HEADER - 8) {
            return Err(corrupt(
                "the header's checksum does not match: the file is damaged".into(),
            ));
        }
        if version < VERSION {
            return Err(Error::OlderFormat { path: path.to_owned(), found: version });
        }
        let (count, length, passages) = (u32_at(bytes, 12), u64_at(bytes, 16), u64_at(bytes, 24));
        if length != bytes.len() as u64 {
            return Err(corrupt(format!(
                "the file has {} bytes, not {length}: it was cut off or appended to",
                bytes.len()
            )));
        }
        let passages = u32::try_from(passages)
            .map_err(|_| corrupt(format!("{passages} passages are too many")))?;
        let table = HEADER + ENTRY * count.min(MAX_SECTIONS) as usize;
        if count > MAX_SECTIONS || table > bytes.len() {
            return Err(corrupt(format!("a table of {count} sections does not fit in the file")));
        }
        if xxh3_64(&bytes[HEADER..table]) != u64_at(bytes, 32) {
            return Err(corrupt(
                "the section table's checksum does not match: the file is damaged".into(),
            ));
        }
        let sections = bytes[HEADER..table].chunks_exact(ENTRY).map(Section::from_bytes).collect();
        let layout = Layout { passages, length, sections };
        layout.check_places(table as u64).map_err(corrupt)?;
        Ok(layout)
    }

    /// Checks that sections ascend, are aligned, do not overlap and fill the file.
    fn check_places(&self, table_end: u64) -> std::result::Result<(), String> {
        let mut end = table_end;
        for (i, section) in self.sections.iter().enumerate() {
            if section.offset != align(end) {
                return Err(format!(
                    "section {i} begins at {}, not at {}",
                    section.offset,
                    align(end)
                ));
            }
            end = section
                .offset
                .checked_add(section.length)
                .filter(|&e| e <= self.length)
                .ok_or_else(|| {
                    format!(
                        "section {i} ends past the file: {} + {}",
                        section.offset, section.length
                    )
                })?;
        }
        if end != self.length {
            return Err(format!("the last section ends at {end} of {} bytes", self.length));
        }
        if !self.sections.is_sorted_by_key(|s| (s.field, s.kind))
            || self.sections.windows(2).any(|w| (w[0].field, w[0].kind) == (w[1].field, w[1].kind))
        {
            return Err("sections are not in order of field and kind".into());
        }
        Ok(())
    }
}

impl Section {
    fn to_bytes(self) -> [u8; ENTRY] {
        let mut out = [0; ENTRY];
        out[..4].copy_from_slice(&self.kind.to_le_bytes());
        out[4..8].copy_from_slice(&self.field.to_le_bytes());
        out[8..16].copy_from_slice(&self.offset.to_le_bytes());
        out[16..24].copy_from_slice(&self.length.to_le_bytes());
        out[24..].copy_from_slice(&self.checksum.to_le_bytes());
        out
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        Section {
            kind: u32_at(bytes, 0),
            field: u32_at(bytes, 4),
            offset: u64_at(bytes, 8),
            length: u64_at(bytes, 16),
            checksum: u64_at(bytes, 24),
        }
    }
}

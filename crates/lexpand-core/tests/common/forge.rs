//! Segment files with invalid content under valid checksums, so that only the invariant itself can
//! fail.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

/// The `field` of sections that belong to no field.
pub const NO_FIELD: u32 = u32::MAX;

/// A file split into sections, to be changed and joined again.
#[derive(Clone)]
pub struct Forged {
    pub version: u32,
    pub passages: u64,
    /// By (field, kind), the order of the file.
    pub sections: BTreeMap<(u32, u32), Vec<u8>>,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

impl Forged {
    pub fn of(bytes: &[u8]) -> Self {
        let entry = |i| &bytes[64 + 32 * i..][..32];
        let section = |i| {
            let entry = entry(i);
            let (offset, length) = (u64_at(entry, 8) as usize, u64_at(entry, 16) as usize);
            ((u32_at(entry, 4), u32_at(entry, 0)), bytes[offset..][..length].to_vec())
        };
        let sections = (0..u32_at(bytes, 12) as usize).map(section).collect();
        Forged { version: u32_at(bytes, 8), passages: u64_at(bytes, 24), sections }
    }

    pub fn section(&mut self, kind: u32, field: u32) -> &mut Vec<u8> {
        self.sections.get_mut(&(field, kind)).unwrap()
    }

    /// Overwrites part of a section.
    pub fn put(mut self, kind: u32, field: u32, at: usize, value: &[u8]) -> Self {
        self.section(kind, field)[at..at + value.len()].copy_from_slice(value);
        self
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = b"LXSEG\r\n\x1a".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend((self.sections.len() as u32).to_le_bytes());
        bytes.resize(64 + 32 * self.sections.len(), 0);
        for (i, (&(field, kind), section)) in self.sections.iter().enumerate() {
            bytes.resize(bytes.len().next_multiple_of(64), 0);
            let numbers = [
                u64::from(kind) | u64::from(field) << 32,
                bytes.len() as u64,
                section.len() as u64,
            ];
            bytes[64 + 32 * i..][..24].copy_from_slice(bytemuck::cast_slice(&numbers));
            bytes.extend(section);
        }
        let length = bytes.len() as u64;
        bytes[16..24].copy_from_slice(&length.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.passages.to_le_bytes());
        seal(&mut bytes);
        bytes
    }
}

/// Corrects the checksums of a file, as far as its table permits.
pub fn seal(bytes: &mut [u8]) {
    let count = u32_at(bytes, 12) as usize;
    for at in (0..count).map(|i| 64 + 32 * i) {
        let (offset, length) = (u64_at(bytes, at + 8) as usize, u64_at(bytes, at + 16) as usize);
        if let Some(section) = offset.checked_add(length).and_then(|end| bytes.get(offset..end)) {
            let checksum = xxh3_64(section).to_le_bytes();
            bytes[at + 24..at + 32].copy_from_slice(&checksum);
        }
    }
    let table = xxh3_64(&bytes[64..64 + 32 * count]).to_le_bytes();
    bytes[32..40].copy_from_slice(&table);
    seal_header(bytes);
}

pub fn seal_header(bytes: &mut [u8]) {
    let header = xxh3_64(&bytes[..56]).to_le_bytes();
    bytes[56..64].copy_from_slice(&header);
}

//! A segment file written so that it is either whole and named, or not there.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use bytemuck::cast_slice;

use super::layout::{HEADER, Layout, NO_FIELD, align, kind};
use super::postings::Postings;
use super::quantise::Forward;
use crate::{Error, Result};

/// What is scored: one entry a unit.
#[derive(Debug, Clone, Copy)]
pub struct Units<'a> {
    /// The row of the unit's document.
    pub rows: &'a [u32],
    /// The chunk's number within the document.
    pub chunks: &'a [u32],
    /// First and end character of the chunk, in turn.
    pub spans: &'a [u32],
}

/// Sparse vectors of one closed field, CSR, one row a unit.
#[derive(Debug, Clone, Copy)]
pub struct FieldVectors<'a> {
    /// The field's number in the catalogue.
    pub field: u32,
    /// Terms are below this.
    pub vocabulary_size: u32,
    /// Where each unit's terms begin; one more than there are units.
    pub indptr: &'a [i64],
    /// Strictly ascending within a unit.
    pub terms: &'a [u32],
    /// Finite, at least zero.
    pub weights: &'a [f32],
}

/// A finished segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Length of the file.
    pub bytes: u64,
    /// The header's checksum, which covers the table and, through it, every section.
    pub checksum: u64,
}

/// Terms as they are stored: two bytes where the vocabulary allows it.
enum StoredTerms {
    Narrow(Vec<u16>),
    Wide(Vec<u32>),
}

impl StoredTerms {
    fn new(terms: Vec<u32>, vocabulary_size: u32) -> Self {
        if vocabulary_size <= 1 << 16 {
            StoredTerms::Narrow(terms.into_iter().map(|term| term as u16).collect())
        } else {
            StoredTerms::Wide(terms)
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            StoredTerms::Narrow(terms) => cast_slice(terms),
            StoredTerms::Wide(terms) => cast_slice(terms),
        }
    }
}

/// Everything that is stored of one field.
struct StoredField {
    field: u32,
    header: [u32; 6],
    forward: Forward,
    terms: StoredTerms,
    postings: Postings,
}

impl StoredField {
    fn build(vectors: &FieldVectors<'_>, units: usize) -> Result<Self> {
        let mut forward = Forward::build(vectors, units)?;
        let postings = Postings::build(&forward, vectors.vocabulary_size as usize);
        let nnz = forward.terms.len() as u64;
        let terms = StoredTerms::new(std::mem::take(&mut forward.terms), vectors.vocabulary_size);
        let header = [0, vectors.vocabulary_size, nnz as u32, (nnz >> 32) as u32, 16, 0];
        Ok(StoredField { field: vectors.field, header, forward, terms, postings })
    }

    fn parts(&self) -> impl Iterator<Item = (u32, u32, &[u8])> {
        let (forward, postings) = (&self.forward, &self.postings);
        let sections: [(u32, &[u8]); 10] = [
            (kind::FIELD, cast_slice(&self.header)),
            (kind::SCALES, cast_slice(&forward.scales)),
            (kind::FORWARD_STARTS, cast_slice(&forward.starts)),
            (kind::FORWARD_TERMS, self.terms.bytes()),
            (kind::FORWARD_IMPACTS, cast_slice(&forward.impacts)),
            (kind::POSTING_TERMS, cast_slice(&postings.terms)),
            (kind::POSTING_STARTS, cast_slice(&postings.starts)),
            (kind::POSTING_OFFSETS, cast_slice(&postings.offsets)),
            (kind::POSTING_BOUNDS, &postings.bounds),
            (kind::POSTING_STEPS, cast_slice(&postings.steps)),
        ];
        sections.into_iter().map(|(kind, bytes)| (kind, self.field, bytes))
    }
}

/// Writes a segment to `path`: to a `.tmp` beside it, synced, renamed, and the folder synced.
///
/// # Errors
/// [`Error::Invalid`] where the arrays break a limit or `path` exists; [`Error::Io`] where the disk refuses: what may be
/// left then is a file that no catalogue names.
pub fn write(path: &Path, units: Units<'_>, fields: &[FieldVectors<'_>]) -> Result<Written> {
    let n = check_units(units)?;
    if !fields.is_sorted_by(|a, b| a.field < b.field) || fields.iter().any(|f| f.field == NO_FIELD) {
        return Err(Error::invalid("fields ascend by number, each once"));
    }
    if path.exists() {
        return Err(Error::invalid(format!("{} exists: a segment is never written again", path.display())));
    }
    let stored = fields.iter().map(|f| StoredField::build(f, n as usize)).collect::<Result<Vec<_>>>()?;
    // (field, kind) ascends: fields come first, the units' own sections last.
    let mut parts: Vec<_> = stored.iter().flat_map(StoredField::parts).collect();
    parts.extend([
        (kind::UNIT_ROWS, NO_FIELD, cast_slice(units.rows)),
        (kind::UNIT_CHUNKS, NO_FIELD, cast_slice(units.chunks)),
        (kind::UNIT_SPANS, NO_FIELD, cast_slice(units.spans)),
    ]);
    let layout = Layout::place(n, &parts);
    let temporary = path.with_extension("tmp");
    write_whole(&temporary, &layout, &parts).and_then(|()| publish(&temporary, path)).inspect_err(|_| {
        // The failure is what is reported; a left-over is removed by the next writer too.
        let _ = fs::remove_file(&temporary);
    })?;
    let head = layout.to_bytes();
    let checksum = u64::from_le_bytes(head[HEADER - 8..HEADER].try_into().expect("eight bytes"));
    Ok(Written { bytes: layout.length, checksum })
}

fn check_units(units: Units<'_>) -> Result<u32> {
    let n = units.rows.len();
    if units.chunks.len() != n || units.spans.len() != 2 * n {
        return Err(Error::invalid(format!(
            "units: {n} rows, {} chunks, {} span ends do not fit together",
            units.chunks.len(),
            units.spans.len()
        )));
    }
    u32::try_from(n).map_err(|_| Error::invalid(format!("{n} units; at most 2^32 - 1")))
}

fn write_whole(path: &Path, layout: &Layout, parts: &[(u32, u32, &[u8])]) -> Result<()> {
    let io = |e| Error::io("write", path)(e);
    let mut out = BufWriter::new(File::create(path).map_err(Error::io("create", path))?);
    let head = layout.to_bytes();
    out.write_all(&head).map_err(io)?;
    let mut at = head.len() as u64;
    for (section, (_, _, bytes)) in layout.sections.iter().zip(parts) {
        out.write_all(&vec![0; (align(at) - at) as usize]).map_err(io)?;
        out.write_all(bytes).map_err(io)?;
        at = section.offset + section.length;
    }
    out.flush().map_err(io)?;
    out.get_ref().sync_all().map_err(Error::io("sync", path))
}

/// Gives the finished file its name, durably.
fn publish(temporary: &Path, path: &Path) -> Result<()> {
    fs::rename(temporary, path).map_err(Error::io("rename", temporary))?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// A rename lasts once the folder that holds the name is synced.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder).and_then(|f| f.sync_all()).map_err(Error::io("sync", folder))
}

/// NTFS journals names itself and does not let a folder be synced.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<()> {
    Ok(())
}

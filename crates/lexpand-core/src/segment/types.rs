//! The inputs from which a segment is written, and the result of writing it.

/// The passages of a segment, which are what is scored: one entry each.
#[derive(Debug, Clone, Copy)]
pub struct Passages<'a> {
    /// The row of the passage's document.
    pub rows: &'a [u32],
    /// The number of the passage within its document.
    pub chunks: &'a [u32],
    /// The first and end character of the passage, in turn.
    pub spans: &'a [u32],
}

/// The sparse vectors of one closed field, in CSR form, one row per passage.
#[derive(Debug, Clone, Copy)]
pub struct FieldVectors<'a> {
    /// The field's number in the catalogue.
    pub field: u32,
    /// Terms are below this.
    pub vocabulary_size: u32,
    /// Where the terms of each passage begin; one more entry than there are passages.
    pub indptr: &'a [i64],
    /// Strictly ascending within a passage.
    pub terms: &'a [u32],
    /// Finite and >= 0.
    pub weights: &'a [f32],
}

/// A finished segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The length of the file.
    pub bytes: u64,
    /// The header's checksum, which covers the table and, through it, every section.
    pub checksum: u64,
}

/// A section of another module, stored and checksummed as it is.
#[derive(Debug, Clone, Copy)]
pub struct Extra<'a> {
    /// At least 48.
    pub kind: u32,
    /// The field that it belongs to.
    pub field: u32,
    /// Its content.
    pub bytes: &'a [u8],
}

/// The resources that building a segment may use.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Bytes for postings while they are laid out. In addition, building takes at most 24 bytes per
    /// term and block, and 28 per passage.
    pub memory: usize,
    /// Threads that lay out postings.
    pub threads: usize,
}

//! What a segment is written from, and what writing it returns.

/// What is scored: one entry a passage.
#[derive(Debug, Clone, Copy)]
pub struct Passages<'a> {
    /// The row of the passage's document.
    pub rows: &'a [u32],
    /// The chunk's number within the document.
    pub chunks: &'a [u32],
    /// First and end character of the chunk, in turn.
    pub spans: &'a [u32],
}

/// Sparse vectors of one closed field, CSR, one row a passage.
#[derive(Debug, Clone, Copy)]
pub struct FieldVectors<'a> {
    /// The field's number in the catalogue.
    pub field: u32,
    /// Terms are below this.
    pub vocabulary_size: u32,
    /// Where each passage's terms begin; one more than there are passages.
    pub indptr: &'a [i64],
    /// Strictly ascending within a passage.
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

/// A section of another module: kept and checksummed as it is.
#[derive(Debug, Clone, Copy)]
pub struct Extra<'a> {
    /// From 48.
    pub kind: u32,
    /// The field that it belongs to.
    pub field: u32,
    /// What it holds.
    pub bytes: &'a [u8],
}

/// What building may use.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Bytes for postings that are being laid out; beside them stand at most 24 bytes a term and block, and 28 a passage.
    pub memory: usize,
    /// Threads that lay them out.
    pub threads: usize,
}

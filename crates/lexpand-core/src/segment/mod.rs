//! Sparse vectors on disk: immutable, checksummed, memory-mapped. docs/format.md is the specification.

mod layout;
mod postings;
mod quantise;
mod read;
mod write;

pub use layout::VERSION;
pub(crate) use quantise::check_unit;
pub use read::{Field, Segment, Terms};
pub use write::{FieldVectors, Units, Written, write};

/// Units in a block: a u16 tells them apart, and their u16 accumulators (128 KiB) stay in cache during a scan.
pub const BLOCK: usize = 1 << 16;

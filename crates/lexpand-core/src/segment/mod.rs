//! Sparse vectors on disk: immutable, checksummed, memory-mapped. docs/format.md is the specification.
//!
//! Written by [`write`] from vectors, or by [`merge`] from other segments: [`forward`] holds the stored weights, [`census`] counts them,
//! [`postings`] turns them over a range of terms at a time, [`sink`] puts the sections into the file. [`read`] opens it, [`check`] distrusts it,
//! [`deep`] distrusts its writer.

mod bytes;
mod census;
mod check;
mod deep;
mod field;
mod forward;
mod layout;
mod merge;
mod open;
mod postings;
mod quantize;
mod read;
mod sink;
mod sizes;
mod types;
mod write;

pub use field::{Dense, DenseTerm, Field, Postings, Terms};
pub use layout::VERSION;
pub use merge::{MergeSource, merge};
#[cfg(test)]
pub(crate) use postings::maxima;
pub use read::{Part, Segment};
pub(crate) use sizes::{GROUP, LEVELS, SUB_BLOCK, SUB_BLOCKS};
pub use types::{Budget, Extra, FieldVectors, Passages, Written};
pub use write::write;

//! Sparse vectors on disk: immutable, checksummed and memory-mapped. docs/format.md is the
//! specification.
//!
//! [`write()`] makes a segment from vectors, [`merge()`] from other segments. In order:
//!
//! * `quantize` rounds weights, `forward` holds them, `census` counts them;
//! * `postings` inverts them, a range of terms at a time;
//! * `sink` writes the sections into the file;
//! * `open` maps the file, `check` guards against damage, `deep` against a broken writer;
//! * `read` gives access to the arrays.

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

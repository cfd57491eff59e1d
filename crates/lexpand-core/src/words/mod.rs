//! Words of an open vocabulary: how do they lie on disk, and which passages score best by BM25?
//!
//! Each segment has a dictionary of its own. What is stored is how often a word occurs in a passage and how long passages are;
//! average length and document frequencies are counted over live passages when a query runs, so that deleting or merging
//! never leaves a stale one. docs/format.md specifies the sections.
//!
//! Not here: what a word is (stop words, stems); only [`split`] finds where words begin and end.

mod batch;
mod bm25;
mod field;
mod merge;
mod search;
mod sections;
mod split;
mod statistics;
mod writer;

pub use batch::Batch;
pub use bm25::{Bm25, Contribution, Query};
pub use field::{Live, WordField};
pub use merge::merge;
pub use search::{Source, search};
pub use sections::{Sections, kind};
pub use split::{Numbered, number_words, sentence_starts, split_words};
pub use statistics::{Statistics, document_frequencies};

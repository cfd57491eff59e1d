//! The lexical (BM25) field: how is it stored, and which passages score best?
//!
//! Each segment has its own dictionary of an open vocabulary. It stores how often a word occurs in
//! a passage and how long passages are. Average length and document frequencies are counted over
//! live passages when a query runs, so no deletion or merge leaves stale statistics. docs/format.md
//! specifies the sections.
//!
//! Stop words and stems are not here; `split` only finds where words begin and end.

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

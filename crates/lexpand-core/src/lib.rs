//! The two hot loops of Lexpand, without Python.
//!
//! | module | the question it answers |
//! |---|---|
//! | [`head`] | Hidden states of a text: which terms, with which weights, from which position? |
//! | [`segment`] | Sparse vectors: how do they lie on disk, and is this file sound? |
//! | [`search`] | Which k passages score best for a query vector? |
//! | [`words`] | Words of an open vocabulary: how do they lie on disk, and which passages score best by BM25? |
//!
//! Not here: a model's tokenizer, the transformer's body, the catalogue of documents.

#[cfg(target_endian = "big")]
compile_error!("segment files are mapped as they are: little-endian machines only");

mod bit_set;
mod error;
pub mod head;
mod limits;
mod parallel;
mod prefetch;
pub mod search;
pub mod segment;
mod top_k;
pub mod words;

pub use error::{Error, Result};
pub use prefetch::prefetch;

//! The core of Lexpand, without Python.
//!
//! | module | the question it answers |
//! |---|---|
//! | [`head`] | Hidden states of a text: which terms, with which weights, from which position? |
//! | [`segment`] | Sparse vectors: how are they stored, and is this file sound? |
//! | [`search`] | Which k passages score best for a query vector? |
//! | [`words`] | The lexical field: how is it stored, and which passages score best by BM25? |
//!
//! A model's tokenizer, the transformer's body and the catalogue of documents are not here.

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

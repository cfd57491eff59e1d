//! Which k passages score best for a query vector?
//!
//! The score of a passage is `(sum of q[t] * impact[t]) * scale` in float64, summed in ascending
//! order of the term. Equal scores are ordered by row. In order:
//!
//! * `plan` decides what a query reads of each segment, at less than full effort with `effort`;
//! * `scan` sums up the bounds of a query's postings, a sub-block of passages at a time;
//! * `pool` keeps the passages whose sum can still matter;
//! * `rescore` computes the scores of those passages.
//!
//! This is safe dynamic pruning in the line of MaxScore (Turtle and Flood, IP&M 1995), WAND (Broder
//! et al., CIKM 2003) and block-max WAND (Ding and Suel, SIGIR 2011): upper bounds prove that most
//! passages need no score. As in BMP (Mallia et al., SIGIR 2024), bounds are 8-bit integers and
//! passages are read in blocks.
//!
//! The first scan estimates its threshold from the passages seen so far (`pool`). If the scores
//! do not confirm the estimate, a second scan relies on proofs alone: threshold estimation with
//! exact fallback. With effort 1 the result is exact, to the bit; `bounds` has the proof.

mod bounds;
mod cost;
mod effort;
mod execute;
mod plan;
mod pool;
mod query;
mod rescore;
mod scan;
mod view;

pub use crate::top_k::Hit;
pub use execute::search;
pub use query::{Queries, SearchOptions};
pub use view::Searched;

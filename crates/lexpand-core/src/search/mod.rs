//! Which k passages score best for a query vector?
//!
//! The score of a passage is `(sum of q[t] * impact[t]) * scale` in float64, the sum in ascending order of the term; equal scores are ordered by row.
//! [`plan`] decides what a query reads of a segment, [`effort`] which part of it where that will do, [`scan`] sums it up a sub-block at a time,
//! [`pool`] keeps the passages whose sum can still matter, [`rescore`] gives those their score, [`top_k`] keeps the best. A first scan expects of all
//! passages what it sees in some ([`pool`]); where that was wrong there is a second one, which relies on proofs alone. With `effort` 1 the result is
//! exact, to the bit: [`bounds`] has the proof.

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

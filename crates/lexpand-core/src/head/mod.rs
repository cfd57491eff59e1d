//! The SPLADE head: which terms of the vocabulary does a text activate, how strongly, and from which position?
//!
//! Weight of term j (Formal et al. 2021, SPLADE v2, eq. 6): `max_i log(1 + relu(h_i . E_j + b_j))` over the positions i of a
//! text. log(1 + relu) never falls, so the maximum is taken first: the logits of a tile of terms live in registers and
//! are forgotten. Nothing of size positions x vocabulary is ever stored.

mod decoder;
mod encode;
mod pack;
mod screen;
mod tile;
mod types;

pub use decoder::Head;
pub use types::{Activation, Activations, Basis, HiddenBatch, Pooling};

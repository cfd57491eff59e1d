//! The SPLADE head: which terms of the vocabulary does a text activate, how strongly, and from
//! which position?
//!
//! The weight of term j is `max_i log(1 + relu(h_i . E_j + b_j))` over the positions i of a text
//! (Formal et al. 2021, SPLADE v2, eq. 6). log(1 + relu) is monotone, so the maximum is taken
//! first. The logits of a tile of terms stay in registers; nothing of size positions x vocabulary
//! is ever stored.
//!
//! `tile` is the float32 kernel, `screen` proves which of its work is unnecessary.

mod decoder;
mod encode;
mod pack;
mod screen;
mod tile;
mod types;

pub use decoder::Head;
pub use types::{Activation, Activations, Basis, HiddenBatch, Pooling};

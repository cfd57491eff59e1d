//! The SPLADE head: which terms of the vocabulary does a text activate, how strongly, and from which position?
//!
//! Weight of term j (Formal et al. 2021, SPLADE v2, eq. 6): `max_i log(1 + relu(h_i . E_j + b_j))` over the positions i of a
//! text. log(1 + relu) never falls, so the maximum is taken first: the logits of a tile of terms live in registers and
//! are forgotten. Nothing of size positions x vocabulary is ever stored.

mod encode;
mod pack;
mod screen;
mod tile;

use std::sync::Arc;

use crate::{Error, MAX_VOCABULARY, Result};
use pack::Panels;
use screen::Screen;

/// How the positions of a text are pooled into one weight a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The largest activation (SPLADE v2 and later).
    Max,
    /// The sum of the activations (SPLADE v1).
    Sum,
}

/// What is applied to a logit x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `log(1 + relu(x))`
    Log1pRelu,
    /// `log(1 + log(1 + relu(x)))` (Shen et al. 2025, arXiv 2504.14839)
    Log1pLog1pRelu,
}

impl Activation {
    /// The activation of one logit; computed in float64, so that only the result is rounded.
    pub fn apply(self, logit: f32) -> f32 {
        let once = f64::from(logit.max(0.0)).ln_1p();
        match self {
            Activation::Log1pRelu => once as f32,
            Activation::Log1pLog1pRelu => once.ln_1p() as f32,
        }
    }
}

/// The hidden states of a batch, padded at the end of each text.
#[derive(Debug, Clone, Copy)]
pub struct HiddenBatch<'a> {
    states: &'a [f32],
    lengths: &'a [u32],
    positions: usize,
    width: usize,
}

impl<'a> HiddenBatch<'a> {
    /// `states` is `[lengths.len(), positions, width]`, row by row; text i fills its first `lengths[i]` positions.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the sizes do not fit or a used state is not finite.
    pub fn new(states: &'a [f32], lengths: &'a [u32], positions: usize, width: usize) -> Result<Self> {
        if lengths.len().checked_mul(positions).and_then(|n| n.checked_mul(width)) != Some(states.len()) {
            return Err(Error::invalid(format!(
                "hidden states: {} values are not [{}, {positions}, {width}]",
                states.len(),
                lengths.len()
            )));
        }
        let batch = HiddenBatch { states, lengths, positions, width };
        for (i, &length) in lengths.iter().enumerate() {
            if length as usize > positions {
                return Err(Error::invalid(format!("text {i}: length {length} of {positions} positions")));
            }
            if !batch.text(i).iter().all(|x| x.is_finite()) {
                return Err(Error::invalid(format!("text {i}: a hidden state is not finite")));
            }
        }
        Ok(batch)
    }

    /// Texts in the batch.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether the batch has no text.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The used states of one text, `[lengths[i], width]`.
    fn text(&self, i: usize) -> &'a [f32] {
        let start = i * self.positions * self.width;
        &self.states[start..start + self.lengths[i] as usize * self.width]
    }
}

/// Sparse vectors of a batch in CSR form, with the position that gave each term its weight.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Activations {
    /// Where each text's terms begin; one more than there are texts.
    pub indptr: Vec<i64>,
    /// Ascending within a text.
    pub terms: Vec<u32>,
    /// Above zero.
    pub weights: Vec<f32>,
    /// The first position with the largest logit.
    pub positions: Vec<u32>,
}

/// A masked-language-model decoder with SPLADE's activation and pooling, packed for the kernel.
#[derive(Debug)]
pub struct Head {
    panels: Arc<Panels>,
    pooling: Pooling,
    activation: Activation,
    screen: Option<Screen>,
}

/// A basis for [`Head::screened`]: matrices `[width, width]`, row by row.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    /// T: a hidden state h becomes `h T`.
    pub to_basis: &'a [f64],
    /// S with `T S' = I`: a decoder row w becomes `w S`.
    pub back: &'a [f64],
    /// The leading dimensions that screening looks at.
    pub kept: usize,
    /// A hidden state as they usually are, `[width]`, or empty: terms that it brings alike near to activity are looked
    /// at together.
    pub typical: &'a [f64],
}

impl Head {
    /// `weights` is `[bias.len(), width]`, row by row: the decoder of the vocabulary.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the sizes do not fit, the vocabulary is above 2^18, or a value is not finite.
    pub fn new(weights: &[f32], bias: &[f32], width: usize, pooling: Pooling, activation: Activation) -> Result<Self> {
        let terms = bias.len();
        if width == 0 || terms == 0 || terms > MAX_VOCABULARY {
            return Err(Error::invalid(format!(
                "head: {terms} terms of width {width}; a vocabulary has 1 to {MAX_VOCABULARY} terms"
            )));
        }
        if weights.len() != terms * width {
            return Err(Error::invalid(format!("head: {} weights are not [{terms}, {width}]", weights.len())));
        }
        if let Some(i) = weights.iter().position(|x| !x.is_finite()) {
            return Err(Error::invalid(format!("head: the weight of term {} is {}", i / width, weights[i])));
        }
        if let Some(term) = bias.iter().position(|x| !x.is_finite()) {
            return Err(Error::invalid(format!("head: the bias of term {term} is {}", bias[term])));
        }
        let panels = Arc::new(Panels::pack(weights, bias, width));
        Ok(Head { panels, pooling, activation, screen: None })
    }

    /// A head over the same weights that leaves out pairs of a position and a term that a cheap bound proves inactive, on
    /// processors where that pays; on others, the same head.
    ///
    /// The result of [`Head::encode`] is the same to the bit, whatever the basis; its speed depends on how much of `h . w`
    /// the first dimensions carry.
    ///
    /// # Errors
    /// [`Error::Invalid`] where sizes do not fit, or the basis is not inverted.
    pub fn screened(&self, basis: Basis<'_>, threads: usize) -> Result<Self> {
        let panels = Arc::new(self.panels.reordered(&screen::order(&self.panels, basis)?));
        let screen = Screen::of(&panels, basis, threads.max(1))?;
        Ok(Head { panels, screen, ..*self })
    }

    /// Terms in the vocabulary.
    pub fn vocabulary_size(&self) -> usize {
        self.panels.terms().len()
    }

    /// Width of a hidden state.
    pub fn width(&self) -> usize {
        self.panels.width()
    }

    /// Encodes a batch on `threads` threads (at least one). The result does not depend on their number.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the batch has another width than the head.
    pub fn encode(&self, batch: HiddenBatch<'_>, threads: usize) -> Result<Activations> {
        if batch.width != self.width() {
            return Err(Error::invalid(format!("hidden states are {} wide, the head {}", batch.width, self.width())));
        }
        Ok(encode::encode(self, batch, threads.max(1)))
    }
}

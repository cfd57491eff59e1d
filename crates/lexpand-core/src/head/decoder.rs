//! The decoder of a masked language model, packed for the kernels.

use std::sync::Arc;

use super::pack::Panels;
use super::screen::{Screen, order};
use super::types::{Activation, Basis, Pooling};
use crate::limits::MAX_VOCABULARY;
use crate::{Error, Result};

/// A masked-language-model decoder with SPLADE's activation and pooling, packed for the kernel.
#[derive(Debug)]
pub struct Head {
    pub(super) panels: Arc<Panels>,
    pub(super) pooling: Pooling,
    pub(super) activation: Activation,
    pub(super) screen: Option<Screen>,
}

impl Head {
    /// `weights` is `[bias.len(), width]`, row by row: the decoder of the vocabulary.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the sizes do not fit, the vocabulary is above 2^18, or a value is not
    /// finite.
    pub fn new(
        weights: &[f32],
        bias: &[f32],
        width: usize,
        pooling: Pooling,
        activation: Activation,
    ) -> Result<Self> {
        let terms = bias.len();
        if width == 0 || terms == 0 || terms > MAX_VOCABULARY {
            return Err(Error::invalid(format!(
                "head: a vocabulary must have 1 to {MAX_VOCABULARY} terms of width >= 1, \
                 got {terms} terms of width {width}"
            )));
        }
        if weights.len() != terms * width {
            return Err(Error::invalid(format!(
                "head: weights must be [{terms}, {width}], got {} values",
                weights.len()
            )));
        }
        if let Some(i) = weights.iter().position(|x| !x.is_finite()) {
            return Err(Error::invalid(format!(
                "head: the weights of term {} must be finite, got {}",
                i / width,
                weights[i]
            )));
        }
        if let Some(term) = bias.iter().position(|x| !x.is_finite()) {
            return Err(Error::invalid(format!(
                "head: the bias of term {term} must be finite, got {}",
                bias[term]
            )));
        }
        let panels = Arc::new(Panels::pack(weights, bias, width));
        Ok(Head { panels, pooling, activation, screen: None })
    }

    /// A head over the same weights with safe pruning: it skips pairs of a position and a term that
    /// a cheap bound proves inactive. On processors where that does not pay, it encodes as before.
    ///
    /// The result of [`Head::encode`] is the same to the bit for any basis. Its speed depends on
    /// how much of `h . w` the first dimensions carry.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the sizes do not fit, or `back` does not invert `to_basis`.
    pub fn screened(&self, basis: Basis<'_>, threads: usize) -> Result<Self> {
        let panels = Arc::new(self.panels.reordered(&order(&self.panels, basis)?));
        let screen = Screen::of(&panels, basis, threads.max(1))?;
        Ok(Head { panels, screen, ..*self })
    }

    /// The number of terms in the vocabulary.
    pub fn vocabulary_size(&self) -> usize {
        self.panels.terms().len()
    }

    /// The width of a hidden state.
    pub fn width(&self) -> usize {
        self.panels.width()
    }
}

//! The inputs and the result of the head.

use crate::{Error, Result};

/// How the positions of a text are pooled into one weight per term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The largest activation (SPLADE v2 and later).
    Max,
    /// The sum of the activations (SPLADE v1).
    Sum,
}

/// The activation of a logit x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `log(1 + relu(x))`
    Log1pRelu,
    /// `log(1 + log(1 + relu(x)))` (Shen et al. 2025, arXiv 2504.14839)
    Log1pLog1pRelu,
}

impl Activation {
    /// The activation of one logit, computed in float64, so that only the result is rounded.
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
    pub(super) width: usize,
}

impl<'a> HiddenBatch<'a> {
    /// `states` is `[lengths.len(), positions, width]`, row by row. Text i fills its first
    /// `lengths[i]` positions.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the sizes do not fit or a state that is used is not finite.
    pub fn new(
        states: &'a [f32],
        lengths: &'a [u32],
        positions: usize,
        width: usize,
    ) -> Result<Self> {
        if lengths.len().checked_mul(positions).and_then(|n| n.checked_mul(width))
            != Some(states.len())
        {
            return Err(Error::invalid(format!(
                "hidden states: {} values do not fit [{}, {positions}, {width}]",
                states.len(),
                lengths.len()
            )));
        }
        let batch = HiddenBatch { states, lengths, positions, width };
        for (i, &length) in lengths.iter().enumerate() {
            if length as usize > positions {
                return Err(Error::invalid(format!(
                    "text {i}: the length must be at most {positions} positions, got {length}"
                )));
            }
            if !batch.text(i).iter().all(|x| x.is_finite()) {
                return Err(Error::invalid(format!("text {i}: a hidden state is not finite")));
            }
        }
        Ok(batch)
    }

    /// The number of texts.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether the batch has no text.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The states of one text without padding, `[lengths[i], width]`.
    pub(super) fn text(&self, i: usize) -> &'a [f32] {
        let start = i * self.positions * self.width;
        &self.states[start..start + self.lengths[i] as usize * self.width]
    }
}

/// Sparse vectors of a batch in CSR form, with the position that gave each term its weight.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Activations {
    /// Where each text's terms begin; one more entry than there are texts.
    pub indptr: Vec<i64>,
    /// Ascending within a text.
    pub terms: Vec<u32>,
    /// Above zero.
    pub weights: Vec<f32>,
    /// The first position with the largest logit.
    pub positions: Vec<u32>,
}

/// A basis for [`Head::screened`](super::Head::screened): matrices `[width, width]`, row by row.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    /// T: a hidden state h becomes `h T`.
    pub to_basis: &'a [f64],
    /// S with `T S' = I`: a decoder row w becomes `w S`.
    pub back: &'a [f64],
    /// The number of leading dimensions that screening uses.
    pub kept: usize,
    /// A typical hidden state `[width]`, or empty. Terms that it brings equally near to activity
    /// are screened together.
    pub typical: &'a [f64],
}

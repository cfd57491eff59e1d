//! Quantizes float weights to impacts, which make up the forward index of a field.

use super::sizes::MAX_IMPACT;
use super::types::FieldVectors;
use crate::limits::{MAX_VOCABULARY, check_vector};
use crate::{Error, Result};

/// The forward index: passages in order, the terms of each ascending.
#[derive(Debug, Default)]
pub(super) struct Forward {
    pub(super) scales: Vec<f32>,
    pub(super) starts: Vec<u64>,
    pub(super) terms: Vec<u32>,
    pub(super) impacts: Vec<u16>,
}

/// The smallest float32 that is not below `x`, which is >= 0 and in the range of float32.
pub(super) fn round_up(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) < x { near.next_up() } else { near }
}

impl Forward {
    /// Quantizes `vectors`, which must have `passages` rows.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the passage that breaks a limit.
    pub(super) fn build(vectors: &FieldVectors<'_>, passages: usize) -> Result<Self> {
        check_shape(vectors, passages)?;
        let mut forward = Forward { starts: vec![0], ..Forward::default() };
        for (passage, bounds) in vectors.indptr.windows(2).enumerate() {
            let range = bounds[0] as usize..bounds[1] as usize;
            let (terms, weights) = (&vectors.terms[range.clone()], &vectors.weights[range]);
            check_vector(terms, weights, vectors.vocabulary_size)
                .map_err(|what| Error::invalid(format!("passage {passage}: {what}")))?;
            forward.push(terms, weights);
        }
        Ok(forward)
    }

    fn push(&mut self, terms: &[u32], weights: &[f32]) {
        let most = f64::from(weights.iter().copied().fold(0.0, f32::max));
        // At least the smallest normal number: a scale that underflows would make all stored
        // weights zero.
        let scale =
            if most > 0.0 { round_up(most / MAX_IMPACT).max(f32::MIN_POSITIVE) } else { 0.0 };
        for (&term, &weight) in terms.iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
            let impact = (f64::from(weight) / f64::from(scale)).round();
            self.terms.push(term);
            self.impacts.push(impact.clamp(1.0, MAX_IMPACT) as u16);
        }
        self.scales.push(scale);
        self.starts.push(self.terms.len() as u64);
    }
}

fn check_shape(vectors: &FieldVectors<'_>, passages: usize) -> Result<()> {
    let FieldVectors { indptr, terms, weights, vocabulary_size, .. } = vectors;
    if *vocabulary_size == 0 || *vocabulary_size as usize > MAX_VOCABULARY {
        return Err(Error::invalid(format!(
            "a vocabulary must have 1 to {MAX_VOCABULARY} terms, got {vocabulary_size}"
        )));
    }
    let whole = indptr.first() == Some(&0) && indptr.last() == Some(&(terms.len() as i64));
    if indptr.len() != passages + 1 || !whole || !indptr.is_sorted() || terms.len() != weights.len()
    {
        return Err(Error::invalid(format!(
            "vectors: indptr of {} for {passages} passages, {} terms and {} weights \
             do not fit together",
            indptr.len(),
            terms.len(),
            weights.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stored_weight_is_within_half_a_scale(
            weights in prop::collection::vec(1e-30_f32..1e6, 1..50),
        ) {
            let terms: Vec<u32> = (0..weights.len() as u32).collect();
            let mut forward = Forward::default();
            forward.push(&terms, &weights);
            let scale = f64::from(forward.scales[0]);
            for (&impact, &weight) in forward.impacts.iter().zip(&weights) {
                let error = (f64::from(impact) * scale - f64::from(weight)).abs();
                let allowed = if impact == 1 { scale } else { scale * 0.500_001 };
                prop_assert!(error <= allowed, "{impact} x {scale} is not {weight}");
            }
        }

        #[test]
        fn round_up_is_the_next_float32(x in 0.0_f64..1e30) {
            let up = round_up(x);
            prop_assert!(f64::from(up) >= x && (up == 0.0 || f64::from(up.next_down()) < x));
        }
    }

    #[test]
    fn extreme_weights_stay_above_zero() {
        let mut forward = Forward::default();
        forward.push(&[1, 2, 3], &[f32::MAX, 1e-45, 0.0]);
        forward.push(&[4], &[1e-45]);
        forward.push(&[], &[]);
        assert_eq!((forward.terms, forward.starts), (vec![1, 2, 4], vec![2, 3, 3]));
        assert_eq!(forward.impacts, vec![65535, 1, 1]);
        assert_eq!(forward.scales[1..], [f32::MIN_POSITIVE, 0.0]);
    }
}

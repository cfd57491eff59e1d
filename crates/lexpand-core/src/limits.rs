//! The limits of vectors, and the block size that all posting lists share.

/// Terms of a closed vocabulary are below this.
pub(crate) const MAX_VOCABULARY: usize = 1 << 18;

/// The largest number of terms in a vector.
pub(crate) const MAX_TERMS: usize = 1 << 16;

/// Passages in a block of a posting list. A u16 numbers them.
pub(crate) const BLOCK: usize = 1 << 16;

/// Checks the limits of one sparse vector.
pub(crate) fn check_vector(
    terms: &[u32],
    weights: &[f32],
    vocabulary_size: u32,
) -> std::result::Result<(), String> {
    if terms.len() > MAX_TERMS {
        return Err(format!("a vector must have at most {MAX_TERMS} terms, got {}", terms.len()));
    }
    if let Some(pair) = terms.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(format!(
            "term ids must be strictly increasing, got {} after {}: sort them and merge duplicates",
            pair[1], pair[0]
        ));
    }
    if let Some(&term) = terms.last().filter(|&&term| term >= vocabulary_size) {
        return Err(format!("term {term} is outside the vocabulary of {vocabulary_size} terms"));
    }
    match terms.iter().zip(weights).find(|(_, weight)| !(weight.is_finite() && **weight >= 0.0)) {
        Some((term, weight)) => {
            Err(format!("the weight of term {term} must be finite and >= 0, got {weight}"))
        }
        None => Ok(()),
    }
}

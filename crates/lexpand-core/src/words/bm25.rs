//! BM25 in float64, in a fixed order of operations, which every search reproduces to the bit.
//!
//! Of the variants in Kamphuis et al. ("Which BM25 Do You Mean?", ECIR 2020) this is the one of
//! Lucene since 8.0. Its idf is never negative, and it has no factor k1 + 1, which changes no
//! order. Lucene rounds lengths to four significant bits; the paper measures no significant
//! difference to exact lengths. Lengths are exact here unless `rounded_lengths` is set.

use super::field::WordField;
use super::statistics::Statistics;
use crate::{Error, Result};

/// Norms of shorter passages are computed once per query.
const TABLE: u32 = 1024;

/// The parameters of BM25.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bm25 {
    k1: f64,
    b: f64,
    rounded_lengths: bool,
}

impl Bm25 {
    /// `k1 >= 0` sets how soon repetition stops to count, `b` from 0 to 1 how much length counts.
    /// With `rounded_lengths`, lengths are rounded as in Lucene's norms.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the parameter that is out of range.
    pub fn new(k1: f64, b: f64, rounded_lengths: bool) -> Result<Self> {
        if !(k1.is_finite() && k1 >= 0.0) {
            return Err(Error::invalid(format!("BM25: k1 must be finite and >= 0, got {k1}")));
        }
        if !(0.0..=1.0).contains(&b) {
            return Err(Error::invalid(format!("BM25: b must be from 0 to 1, got {b}")));
        }
        Ok(Bm25 { k1, b, rounded_lengths })
    }

    /// The length norm, which is added to the frequency in the denominator.
    fn norm(&self, length: u32, average: f64) -> f64 {
        let length = if self.rounded_lengths { rounded(length) } else { length };
        self.k1 * (1.0 - self.b + self.b * (f64::from(length) / average))
    }
}

/// The length as Lucene's norms keep it: `SmallFloat.byte4ToInt(SmallFloat.intToByte4(length))` of
/// Lucene 7 and later. Up to 24 it is exact; of the excess over 24 it keeps the four leading bits.
/// The first length that changes is 41.
fn rounded(length: u32) -> u32 {
    const EXACT: u32 = 24;
    let Some(rest) = length.checked_sub(EXACT) else { return length };
    let shift = (32 - rest.leading_zeros()).saturating_sub(4);
    EXACT + (rest >> shift << shift)
}

/// A word of a query, ready to score.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term<'q> {
    pub(super) word: &'q str,
    idf: f64,
    /// The query weight times the idf.
    weight: f64,
}

/// The contribution of one query word to a passage's score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contribution<'q> {
    /// The word.
    pub word: &'q str,
    /// How often the passage has it.
    pub frequency: u32,
    /// ln(1 + (N - df + 0.5) / (df + 0.5))
    pub idf: f64,
    /// Its share of the score.
    pub score: f64,
}

/// Weighted words with the statistics of the collection.
#[derive(Debug)]
pub struct Query<'q> {
    pub(super) terms: Vec<Term<'q>>,
    bm25: Bm25,
    average: f64,
    norms: Vec<f64>,
}

impl<'q> Query<'q> {
    /// `statistics` has counts of these words, in their order.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a word occurs twice, a weight is not finite and >= 0, or the
    /// statistics are impossible.
    pub fn new(words: &[(&'q str, f64)], bm25: Bm25, statistics: &Statistics) -> Result<Self> {
        let Statistics { passages, total_length, document_frequencies } = statistics;
        if words.len() != document_frequencies.len() {
            let found = document_frequencies.len();
            return Err(Error::invalid(format!(
                "query: {} words have {found} document frequencies",
                words.len()
            )));
        }
        let terms =
            words.iter().zip(document_frequencies).map(|(&word, &df)| term(word, *passages, df));
        let mut terms = terms.collect::<Result<Vec<_>>>()?;
        terms.sort_unstable_by_key(|term| term.word);
        if let Some(pair) = terms.windows(2).find(|pair| pair[0].word == pair[1].word) {
            return Err(Error::invalid(format!(
                "query: the word {:?} occurs twice: add its weights up",
                pair[0].word
            )));
        }
        // Without any word in the collection nothing is scored; 1 keeps the norms finite.
        let average =
            if *total_length == 0 { 1.0 } else { *total_length as f64 / *passages as f64 };
        let norms = (0..TABLE).map(|length| bm25.norm(length, average)).collect();
        Ok(Query { terms, bm25, average, norms })
    }

    /// The contribution of each query word to a passage's score, in the order of summation. Empty if
    /// the passage does not exist.
    pub fn contributions(&self, field: WordField<'_>, ordinal: u32) -> Vec<Contribution<'q>> {
        let Some(&length) = field.lengths().get(ordinal as usize) else { return Vec::new() };
        let of = |term: &Term<'q>| {
            let frequency =
                field.term(term.word).map_or(0, |found| field.frequency_in(found, ordinal));
            let score = self.share(*term, frequency, length);
            (frequency > 0).then_some(Contribution {
                word: term.word,
                frequency,
                idf: term.idf,
                score,
            })
        };
        self.terms.iter().filter_map(of).collect()
    }

    /// A term's share of the score of a passage of this length.
    pub(super) fn share(&self, term: Term<'_>, frequency: u32, length: u32) -> f64 {
        let norm = match self.norms.get(length as usize) {
            Some(&norm) => norm,
            None => self.bm25.norm(length, self.average),
        };
        let frequency = f64::from(frequency);
        term.weight * frequency / (frequency + norm)
    }
}

fn term((word, weight): (&str, f64), passages: u64, df: u64) -> Result<Term<'_>> {
    if !(weight.is_finite() && weight >= 0.0) {
        return Err(Error::invalid(format!(
            "query: the weight of {word:?} must be finite and >= 0, got {weight}"
        )));
    }
    if df > passages {
        return Err(Error::invalid(format!(
            "query: {df} of {passages} passages have {word:?}: count both over the same passages"
        )));
    }
    let (passages, df) = (passages as f64, df as f64);
    let idf = (1.0 + (passages - df + 0.5) / (df + 0.5)).ln();
    Ok(Term { word, idf, weight: weight * idf })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values, and a polynomial hash over 5 million lengths, are from SmallFloat of
    /// Lucene 9.12.1.
    #[test]
    fn lengths_are_rounded_as_lucene_does() {
        assert!((0..=40).all(|length| rounded(length) == length));
        let known = [
            (41, 40),
            (42, 42),
            (43, 42),
            (55, 54),
            (58, 56),
            (100, 96),
            (1000, 984),
            (65_535, 61_464),
        ];
        let larger = [(1_000_000, 983_064), (2_147_483_647, 2_013_265_944)];
        for (length, expected) in known.into_iter().chain(larger) {
            assert_eq!(rounded(length), expected);
        }
        let sum = (0..5_000_000)
            .fold(0_i64, |sum, i| sum.wrapping_mul(31).wrapping_add(i64::from(rounded(i))));
        assert_eq!(sum, 4_849_730_319_254_110_996);
        assert_eq!(rounded(u32::MAX), 24 + (0xF << 28));
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        for (k1, b, reason) in [
            (-1.0, 0.5, "k1 must be finite and >= 0, got -1"),
            (f64::NAN, 0.5, "got NaN"),
            (1.2, 1.5, "b must be from 0 to 1, got 1.5"),
        ] {
            assert!(Bm25::new(k1, b, false).unwrap_err().to_string().contains(reason));
        }
    }
}

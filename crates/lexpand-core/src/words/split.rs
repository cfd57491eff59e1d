//! Where words and sentences begin and end: Unicode's default boundaries (UAX #29).
//!
//! Segments without a letter or a digit (spaces, punctuation, emoji) are not words. Text without
//! spaces between words is split into single ideographs and hiragana; katakana stays together.

use std::collections::HashMap;

use unicode_segmentation::UnicodeSegmentation;

/// The words of a text, unchanged.
pub fn split_words(text: &str) -> impl Iterator<Item = &str> {
    text.unicode_words()
}

/// Where the sentences of a text begin, in characters (not bytes), ascending from 0. Empty for an
/// empty text.
///
/// White space after a sentence belongs to it, and every line end is a boundary, as in UAX #29.
pub fn sentence_starts(text: &str) -> Vec<u64> {
    let lengths = text.split_sentence_bounds().map(|sentence| sentence.chars().count() as u64);
    lengths
        .scan(0, |next, length| {
            let start = *next;
            *next += length;
            Some(start)
        })
        .collect()
}

/// Texts as numbers of distinct words.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Numbered<'t> {
    /// The distinct words, in order of first occurrence.
    pub words: Vec<&'t str>,
    /// Where each text's numbers begin; one more entry than there are texts.
    pub indptr: Vec<i64>,
    /// Indices into `words`, in the order of the texts.
    pub numbers: Vec<u32>,
}

/// Splits texts and numbers their words, so that a caller stems each distinct word once per batch.
///
/// # Panics
/// If there are 2^32 distinct words, which no memory holds.
pub fn number_words<'t>(texts: impl IntoIterator<Item = &'t str>) -> Numbered<'t> {
    let mut places: HashMap<&str, u32> = HashMap::new();
    let mut out = Numbered { indptr: vec![0], ..Numbered::default() };
    for text in texts {
        for word in split_words(text) {
            let place = *places.entry(word).or_insert_with(|| {
                out.words.push(word);
                u32::try_from(out.words.len() - 1).expect("fewer than 2^32 distinct words")
            });
            out.numbers.push(place);
        }
        out.indptr.push(out.numbers.len() as i64);
    }
    out
}

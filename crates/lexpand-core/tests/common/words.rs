//! Lexical fields built from maps of words.

use std::collections::BTreeMap;

use lexpand_core::words::{Batch, Sections, WordField};

/// The words of one passage with their frequencies.
pub type Passage = BTreeMap<String, u32>;

/// The sections of a field with these passages.
pub fn build<'a>(passages: impl IntoIterator<Item = &'a Passage>) -> Sections {
    let (mut words, mut indptr, mut terms, mut counts) =
        (Vec::<&str>::new(), vec![0], Vec::new(), Vec::new());
    for passage in passages {
        for (word, &count) in passage {
            let place = words.iter().position(|other| other == word).unwrap_or_else(|| {
                words.push(word);
                words.len() - 1
            });
            terms.push(place as u32);
            counts.push(count);
        }
        indptr.push(terms.len() as i64);
    }
    Batch { words: &words, indptr: &indptr, terms: &terms, counts: &counts }.build().unwrap()
}

/// The field, checked.
pub fn open(sections: &Sections, passages: usize) -> WordField<'_> {
    WordField::open(|kind| sections.get(kind), passages as u32, true).unwrap()
}

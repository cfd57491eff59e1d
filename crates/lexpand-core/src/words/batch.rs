//! Inverts the counted words of a batch of passages into posting lists.

use super::sections::{MAX_WORD, Sections};
use super::writer::Writer;
use crate::{Error, Result};

/// The words of passages in CSR form: passage i has the words `terms[indptr[i]..indptr[i + 1]]`.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Distinct, in any order, 1 to 255 bytes each. A word that no passage has is not stored.
    pub words: &'a [&'a str],
    /// One more entry than there are passages; from 0, never descending.
    pub indptr: &'a [i64],
    /// Indices into `words`, distinct within a passage, in any order.
    pub terms: &'a [u32],
    /// The frequency of each, at least 1.
    pub counts: &'a [u32],
}

/// The postings (ordinal, frequency) of each word of a batch.
struct Postings {
    starts: Vec<usize>,
    postings: Vec<(u32, u32)>,
}

impl Postings {
    fn of(&self, place: usize) -> &[(u32, u32)] {
        &self.postings[self.starts[place]..self.starts[place + 1]]
    }
}

impl Batch<'_> {
    /// Builds the sections of the field.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the passage or the word that breaks a limit.
    pub fn build(&self) -> Result<Sections> {
        self.check_shape()?;
        let order = self.sorted()?;
        let lengths = self.lengths()?;
        let postings = self.inverted(lengths.len())?;
        let mut writer = Writer::new(lengths);
        for place in order {
            writer.push(self.words[place as usize].as_bytes(), postings.of(place as usize))?;
        }
        Ok(writer.finish())
    }

    fn check_shape(&self) -> Result<()> {
        let (indptr, nnz) = (self.indptr, self.terms.len());
        let whole = indptr.first() == Some(&0)
            && indptr.last() == Some(&(nnz as i64))
            && indptr.is_sorted();
        if !whole
            || self.counts.len() != nnz
            || indptr.len().max(self.words.len()) > u32::MAX as usize
        {
            return Err(Error::invalid(format!(
                "words: indptr of {}, {nnz} terms and {} counts do not fit together",
                indptr.len(),
                self.counts.len()
            )));
        }
        match self.terms.iter().find(|&&term| term as usize >= self.words.len()) {
            Some(term) => Err(Error::invalid(format!(
                "words: term {term} is outside the dictionary of {} words",
                self.words.len()
            ))),
            None => Ok(()),
        }
    }

    /// Indices of the words, ascending by their bytes.
    fn sorted(&self) -> Result<Vec<u32>> {
        if let Some((place, word)) =
            self.words.iter().enumerate().find(|(_, w)| !(1..=MAX_WORD).contains(&w.len()))
        {
            let found = word.len();
            return Err(Error::invalid(format!(
                "word {place} must have 1 to {MAX_WORD} bytes of UTF-8, got {found}"
            )));
        }
        let mut order: Vec<u32> = (0..self.words.len() as u32).collect();
        order.sort_unstable_by_key(|&place| self.words[place as usize]);
        let twice = order
            .windows(2)
            .find(|pair| self.words[pair[0] as usize] == self.words[pair[1] as usize]);
        match twice {
            Some(pair) => Err(Error::invalid(format!(
                "the word {:?} occurs twice",
                self.words[pair[0] as usize]
            ))),
            None => Ok(order),
        }
    }

    fn lengths(&self) -> Result<Vec<u32>> {
        let length = |(passage, ends): (usize, &[i64])| {
            let counts = &self.counts[ends[0] as usize..ends[1] as usize];
            let sum: u64 = counts.iter().map(|&count| u64::from(count)).sum();
            match u32::try_from(sum) {
                Ok(length) if !counts.contains(&0) => Ok(length),
                Ok(_) => Err(Error::invalid(format!(
                    "passage {passage}: counts must be at least 1, got 0"
                ))),
                Err(_) => Err(Error::invalid(format!(
                    "passage {passage}: a passage must have at most 2^32 - 1 words, got {sum}"
                ))),
            }
        };
        self.indptr.windows(2).enumerate().map(length).collect()
    }

    /// A counting sort, so that a word's ordinals ascend.
    fn inverted(&self, passages: usize) -> Result<Postings> {
        let mut starts = vec![0; self.words.len() + 1];
        self.terms.iter().for_each(|&term| starts[term as usize + 1] += 1);
        (0..self.words.len()).for_each(|i| starts[i + 1] += starts[i]);
        let mut next = starts.clone();
        let mut postings = vec![(0, 0); self.terms.len()];
        for passage in 0..passages {
            for i in self.indptr[passage] as usize..self.indptr[passage + 1] as usize {
                let term = self.terms[i] as usize;
                let place = next[term];
                if place > starts[term] && postings[place - 1].0 == passage as u32 {
                    return Err(Error::invalid(format!(
                        "passage {passage}: the word {:?} occurs twice",
                        self.words[term]
                    )));
                }
                postings[place] = (passage as u32, self.counts[i]);
                next[term] = place + 1;
            }
        }
        Ok(Postings { starts, postings })
    }
}

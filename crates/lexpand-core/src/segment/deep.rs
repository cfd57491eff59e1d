//! Checks that a segment's postings are the inverse of its forward index. Exact search relies on
//! this, and no checksum shows it.
//!
//! Only a broken writer makes such a file. So this module shares no code with [`super::census`] and
//! [`super::postings`], and opening a segment does not run it. It inverts one sub-block of passages
//! at a time, which takes 4 bytes per weight in the sub-block and 60 bytes per term.

use super::field::{DenseTerm, Field};
use super::read::Segment;
use super::sizes::{GROUP, LEVELS, SUB_BLOCK, SUB_BLOCKS};
use crate::Result;
use crate::limits::MAX_VOCABULARY;

type Check = std::result::Result<(), String>;

/// The weights of a sub-block's passages, by term.
#[derive(Default)]
struct Inverted {
    starts: Vec<usize>,
    /// Ordinals minus the sub-block's first ordinal.
    offsets: Vec<u16>,
    impacts: Vec<u16>,
}

/// A field under examination.
struct Examined<'a> {
    field: Field<'a>,
    /// Places by term of the vocabulary; `u32::MAX` for a term without postings.
    places: Vec<u32>,
    /// By place: how many passages have the term, and how many of their bounds reach each level.
    counts: Vec<[u32; LEVELS.len() + 1]>,
    /// By place: where the postings of the next sub-block begin.
    next: Vec<u64>,
    /// The impact of a term in each passage of a sub-block; all zero between terms.
    impacts: Vec<u16>,
}

impl Segment {
    /// Verifies every byte, then compares postings, dense impact rows and level shares with the
    /// forward index. The time is linear in the size of the file, the memory in the weights of 2^14
    /// passages.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) with the first field and term that do not agree.
    pub fn check_deep(&self) -> Result<()> {
        self.verify()?;
        for number in self.fields() {
            let field = self.field(number).expect("one of its fields");
            let named = |what| self.corrupt(format!("field {number}: {what}"));
            Examined::new(field).check().map_err(named)?;
        }
        Ok(())
    }
}

impl<'a> Examined<'a> {
    fn new(field: Field<'a>) -> Self {
        let postings = field.postings;
        let mut places = vec![u32::MAX; MAX_VOCABULARY];
        postings.terms.iter().zip(0..).for_each(|(&term, place)| places[term as usize] = place);
        let counts = vec![[0; LEVELS.len() + 1]; postings.terms.len()];
        let next = vec![0; postings.terms.len()];
        Examined { field, places, counts, next, impacts: vec![0; SUB_BLOCK] }
    }

    fn check(mut self) -> Check {
        let passages = self.field.scales.len();
        for (number, first) in (0..passages).step_by(SUB_BLOCK).enumerate() {
            let inverted = self.invert(first, (passages - first).min(SUB_BLOCK))?;
            for place in 0..self.field.postings.terms.len() {
                let named = |what| {
                    let term = self.field.postings.terms[place];
                    format!(
                        "term {term} in the passages from {first} on: {what}: \
                         a broken writer made the file"
                    )
                };
                let (block, sub) = (number / SUB_BLOCKS, number % SUB_BLOCKS);
                self.check_term(place, block, sub, first, &inverted).map_err(named)?;
            }
        }
        self.check_maxima()?;
        self.check_shares()
    }

    /// A counting sort by term.
    fn invert(&self, first: usize, passages: usize) -> std::result::Result<Inverted, String> {
        let range = self.field.forward_starts[first] as usize
            ..self.field.forward_starts[first + passages] as usize;
        let mut starts = vec![0; self.field.postings.terms.len() + 1];
        for i in range.clone() {
            let term = self.field.forward_terms.at(i);
            match self.places[term as usize] {
                u32::MAX => {
                    return Err(format!(
                        "term {term} has no postings: a broken writer made the file"
                    ));
                }
                place => starts[place as usize + 1] += 1,
            }
        }
        (1..starts.len()).for_each(|i| starts[i] += starts[i - 1]);
        let mut next = starts.clone();
        let mut inverted =
            Inverted { starts, offsets: vec![0; range.len()], impacts: vec![0; range.len()] };
        for offset in 0..passages {
            for i in self.field.passage((first + offset) as u32) {
                let next = &mut next[self.places[self.field.forward_terms.at(i) as usize] as usize];
                inverted.offsets[*next] = offset as u16;
                inverted.impacts[*next] = self.field.forward_impacts[i];
                *next += 1;
            }
        }
        Ok(inverted)
    }

    /// Checks one term in one sub-block.
    fn check_term(
        &mut self,
        place: usize,
        block: usize,
        sub: usize,
        first: usize,
        inverted: &Inverted,
    ) -> Check {
        let entries = inverted.starts[place]..inverted.starts[place + 1];
        let pairs =
            || inverted.offsets[entries.clone()].iter().zip(&inverted.impacts[entries.clone()]);
        pairs().for_each(|(&offset, &impact)| self.impacts[usize::from(offset)] = impact);
        let dense = self.field.postings.dense.term(place);
        let mut left = entries.len();
        for p in self.postings_of_sub_block(place, block, sub) {
            let (offset, bound) = (
                usize::from(self.field.postings.offsets[p]) % SUB_BLOCK,
                self.field.postings.bounds[p],
            );
            let impact = std::mem::take(&mut self.impacts[offset]);
            self.check_bound(place, first + offset, impact, bound)?;
            left -= 1;
            if dense.is_none() {
                self.count(place, bound);
            }
        }
        match dense {
            Some(DenseTerm { row, cut, .. }) => {
                self.check_row(place, first, &row[first..], cut, pairs())
            }
            None if left > 0 => Err(format!("{left} passages lack a posting")),
            None => Ok(()),
        }
    }

    /// The range of a term's postings in a sub-block. Callers pass sub-blocks in order; splits are
    /// checked elsewhere.
    fn postings_of_sub_block(
        &mut self,
        place: usize,
        block: usize,
        sub: usize,
    ) -> std::ops::Range<usize> {
        let block = self.field.postings.block(place, block);
        let start = if sub == 0 { block.start } else { self.next[place] as usize };
        let of_sub = |&&offset: &&u16| usize::from(offset) / SUB_BLOCK == sub;
        let end =
            start + self.field.postings.offsets[start..block.end].iter().take_while(of_sub).count();
        self.next[place] = end as u64;
        start..end
    }

    /// Checks that `bound` is the smallest one that is not below the weight. An impact of zero
    /// means that the passage lacks the term.
    fn check_bound(&self, place: usize, passage: usize, impact: u16, bound: u8) -> Check {
        if impact == 0 {
            return Err(format!("passage {passage} lacks the term or has two postings"));
        }
        let weight = f64::from(impact) * f64::from(self.field.scales[passage]);
        let step = f64::from(self.field.postings.steps[place]);
        let encloses =
            f64::from(bound) * step >= weight && (f64::from(bound) - 1.0) * step < weight;
        if encloses {
            Ok(())
        } else {
            Err(format!("the bound {bound} of passage {passage} does not enclose {weight}"))
        }
    }

    /// Checks that a dense impact row has exactly the passages that have the term. The impacts that
    /// remain after the postings were read must have bounds below the cut.
    fn check_row<'b>(
        &mut self,
        place: usize,
        first: usize,
        row: &[u8],
        cut: u8,
        pairs: impl Iterator<Item = (&'b u16, &'b u16)>,
    ) -> Check {
        let row = &row[..row.len().min(SUB_BLOCK)];
        let mut left = row.iter().filter(|&&bound| bound > 0).count();
        for (&offset, &impact) in pairs {
            let bound = row[usize::from(offset)];
            self.check_bound(place, first + usize::from(offset), impact, bound)?;
            let has_posting = std::mem::take(&mut self.impacts[usize::from(offset)]) == 0;
            if has_posting != (cut > 0 && bound >= cut) {
                return Err(format!(
                    "bound {bound} has a posting: {has_posting}, although the cut is {cut}"
                ));
            }
            self.count(place, bound);
            left -= 1;
        }
        if left == 0 {
            Ok(())
        } else {
            Err(format!("its row has {left} passages that lack the term"))
        }
    }

    fn count(&mut self, place: usize, bound: u8) {
        let counts = &mut self.counts[place];
        counts[0] += 1;
        counts[1..]
            .iter_mut()
            .zip(LEVELS)
            .for_each(|(count, level)| *count += u32::from(bound >= level));
    }

    fn check_maxima(&self) -> Check {
        for &place in self.field.postings.dense.terms {
            let dense =
                self.field.postings.dense.term(place as usize).expect("one of the dense terms");
            let most =
                dense.row.chunks(GROUP).map(|group| group.iter().copied().max().unwrap_or(0));
            if dense.maxima.is_some_and(|found| !most.eq(found.iter().copied())) {
                let term = self.field.postings.terms[place as usize];
                return Err(format!(
                    "the block maxima of term {term} are not those of its row: \
                     a broken writer made the file"
                ));
            }
        }
        Ok(())
    }

    /// Shares are in 1/255 and rounded up. A term that no passage has is not in the file.
    fn check_shares(&self) -> Check {
        for (place, &[whole, parts @ ..]) in self.counts.iter().enumerate() {
            let right = |(&share, part): (&u8, u32)| {
                let (share, whole, part) =
                    (u64::from(share), u64::from(whole), u64::from(part) * 255);
                share * whole >= part && (share == 0 || (share - 1) * whole < part)
            };
            if whole == 0 || !self.field.postings.shares(place).iter().zip(parts).all(right) {
                let term = self.field.postings.terms[place];
                return Err(format!(
                    "the level shares of term {term} are not those of its {whole} passages: \
                     a broken writer made the file"
                ));
            }
        }
        Ok(())
    }
}

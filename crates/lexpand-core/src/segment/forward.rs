//! The stored weights of a field, passage by passage, from vectors just quantized or from segments
//! to merge.

use bytemuck::cast_slice;

use super::field::Terms;
use crate::bit_set::contains;

/// The number of weights that are copied at a time.
const PIECE: usize = 1 << 21;

/// The forward index of one source, and which of its passages are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct ForwardPart<'a> {
    pub(super) scales: &'a [f32],
    pub(super) starts: &'a [u64],
    pub(super) terms: Terms<'a>,
    pub(super) impacts: &'a [u16],
    pub(super) keep: Option<&'a [u64]>,
}

/// The passages of several sources, one source after the other.
#[derive(Debug)]
pub(super) struct ForwardParts<'a>(pub(super) Vec<ForwardPart<'a>>);

impl<'a> ForwardPart<'a> {
    fn kept(self) -> impl Iterator<Item = usize> + 'a {
        (0..self.scales.len()).filter(move |&passage| contains(self.keep, passage))
    }

    fn range(&self, passage: usize) -> std::ops::Range<usize> {
        self.starts[passage] as usize..self.starts[passage + 1] as usize
    }

    /// The weights of the kept passages as ranges, as few as possible.
    fn ranges(self) -> impl Iterator<Item = std::ops::Range<usize>> + 'a {
        let whole = (self.keep.is_none() && !self.scales.is_empty())
            .then(|| self.starts[0] as usize..self.starts[self.scales.len()] as usize);
        let single =
            self.keep.is_some().then(|| self.kept().map(move |passage| self.range(passage)));
        whole.into_iter().chain(single.into_iter().flatten())
    }

    /// Calls `f(passage, term, weight)` for every kept weight, with passages numbered from `first`.
    /// Returns the next number.
    fn each(self, first: usize, mut f: impl FnMut(usize, usize, f64)) -> usize {
        let mut number = first;
        for passage in self.kept() {
            let (range, scale) = (self.range(passage), f64::from(self.scales[passage]));
            let impacts =
                self.impacts[range.clone()].iter().map(|&impact| f64::from(impact) * scale);
            match self.terms {
                Terms::Narrow(terms) => terms[range]
                    .iter()
                    .zip(impacts)
                    .for_each(|(&term, weight)| f(number, usize::from(term), weight)),
                Terms::Wide(terms) => terms[range]
                    .iter()
                    .zip(impacts)
                    .for_each(|(&term, weight)| f(number, term as usize, weight)),
            }
            number += 1;
        }
        number
    }
}

impl ForwardParts<'_> {
    /// The number of kept passages.
    pub(super) fn passages(&self) -> usize {
        self.0.iter().map(|part| part.kept().count()).sum()
    }

    /// The scale of each passage, and where its weights begin; one more start than there are
    /// passages.
    pub(super) fn scales_and_starts(&self) -> (Vec<f32>, Vec<u64>) {
        let (mut scales, mut starts) = (Vec::new(), vec![0]);
        let mut end = 0;
        for part in &self.0 {
            for passage in part.kept() {
                end += part.range(passage).len() as u64;
                scales.push(part.scales[passage]);
                starts.push(end);
            }
        }
        (scales, starts)
    }

    /// Calls `f(passage, term, weight)` for every kept weight, in order.
    pub(super) fn each(&self, mut f: impl FnMut(usize, usize, f64)) {
        self.0.iter().fold(0, |first, part| part.each(first, &mut f));
    }

    /// The number of kept weights.
    pub(super) fn nnz(&self) -> u64 {
        self.0.iter().flat_map(|part| part.ranges()).map(|range| range.len() as u64).sum()
    }

    /// The bytes of all terms and impacts, some MiB at a time.
    pub(super) fn copy<E>(
        &self,
        mut push: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut held_terms, mut held_impacts) = (Vec::new(), Vec::new());
        for part in &self.0 {
            // A source that is kept whole is a single range.
            let pieces = part.ranges().flat_map(|range| {
                let end = range.end;
                range.step_by(PIECE).map(move |start| start..end.min(start + PIECE))
            });
            for range in pieces {
                match part.terms {
                    Terms::Narrow(all) => {
                        held_terms.extend_from_slice(cast_slice(&all[range.clone()]))
                    }
                    Terms::Wide(all) => {
                        held_terms.extend_from_slice(cast_slice(&all[range.clone()]))
                    }
                }
                held_impacts.extend_from_slice(cast_slice::<u16, u8>(&part.impacts[range]));
                if held_impacts.len() >= 2 * PIECE {
                    push(&held_terms, &held_impacts)?;
                    held_terms.clear();
                    held_impacts.clear();
                }
            }
        }
        push(&held_terms, &held_impacts)
    }
}

//! Merges the open fields of several segments, a word at a time, in the order of the dictionaries.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::field::Live;
use super::sections::Sections;
use super::writer::Writer;
use crate::bit_set::contains;
use crate::{Error, Result};

/// The new ordinal of a passage that is dropped.
const DROPPED: u32 = u32::MAX;

/// The live passages as one field, one source after the other. The sections equal those that a
/// [`Batch`](super::Batch) of the kept passages builds.
///
/// # Errors
/// [`Error::Invalid`] if the result would break a limit of one segment.
pub fn merge(sources: &[Live<'_>]) -> Result<Sections> {
    let ordinals = in_sequence(sources)?;
    let mut writer = Writer::new(lengths(sources, &ordinals));
    let mut heap: BinaryHeap<_> =
        (0..sources.len()).filter_map(|source| next(sources, source, 0)).collect();
    let mut postings: Vec<(u32, u32)> = Vec::new();
    while let Some(Reverse((word, source, term))) = heap.pop() {
        let new =
            |old: u32| ordinals[source].get(old as usize).copied().filter(|&new| new != DROPPED);
        postings.extend(
            sources[source].0.postings(term).filter_map(|(old, count)| Some((new(old)?, count))),
        );
        heap.extend(next(sources, source, term + 1));
        if heap.peek().is_none_or(|Reverse((other, ..))| *other != word) {
            postings.sort_unstable();
            writer.push(word, &postings)?;
            postings.clear();
        }
    }
    Ok(writer.finish())
}

/// A source's term as an entry of the heap, smallest word first; None past the last term.
fn next<'a>(
    sources: &[Live<'a>],
    source: usize,
    term: u32,
) -> Option<Reverse<(&'a [u8], usize, u32)>> {
    let field = sources[source].0;
    (term < field.terms()).then(|| Reverse((field.word_bytes_of(term), source, term)))
}

/// The new ordinal of each passage of each source.
fn in_sequence(sources: &[Live<'_>]) -> Result<Vec<Vec<u32>>> {
    let mut count = 0_u64;
    let mut ordinal = |live: Option<&[u64]>, old: u32| {
        let new = if contains(live, old as usize) { count } else { return DROPPED };
        count += 1;
        new as u32
    };
    let ordinals = sources
        .iter()
        .map(|(field, live)| (0..field.passages()).map(|old| ordinal(*live, old)).collect());
    let ordinals = ordinals.collect();
    match count > u64::from(u32::MAX) {
        true => Err(Error::invalid(format!(
            "a segment must have at most 2^32 - 1 passages, got {count}: merge fewer segments"
        ))),
        false => Ok(ordinals),
    }
}

fn lengths(sources: &[Live<'_>], ordinals: &[Vec<u32>]) -> Vec<u32> {
    let kept = |new: &&u32| **new != DROPPED;
    let mut lengths = vec![0; ordinals.iter().flatten().filter(kept).count()];
    for ((field, _), ordinals) in sources.iter().zip(ordinals) {
        for (&new, &length) in ordinals.iter().zip(field.lengths()).filter(|(new, _)| kept(new)) {
            lengths[new as usize] = length;
        }
    }
    lengths
}

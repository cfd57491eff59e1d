//! Merges segments: copies the stored weights as they are, and leaves out deleted passages.

use std::path::Path;

use super::forward::{ForwardPart, ForwardParts};
use super::read::Segment;
use super::types::{Budget, Extra, Passages, Written};
use super::write::{StoredField, write_stored};
use crate::bit_set::contains;
use crate::{Error, Result};

/// A segment to merge, and which of its passages are kept; all of them without a set.
#[derive(Debug, Clone, Copy)]
pub struct MergeSource<'a> {
    /// The segment.
    pub segment: &'a Segment,
    /// The ordinals to keep: at least as many bits as the segment has passages.
    pub keep: Option<&'a [u64]>,
}

/// Writes the passages of `sources`, in their order, as one segment. `extras` are already merged. A
/// source that was opened without `verify` is verified first, since the new checksums would hide
/// its damage.
///
/// # Errors
/// [`Error::Invalid`] if the sources differ in fields or vocabularies, or a set is too short;
/// [`Error::Corrupt`] if a source is damaged; otherwise as [`super::write`].
pub fn merge(
    path: &Path,
    sources: &[MergeSource<'_>],
    extras: &[Extra<'_>],
    budget: Budget,
) -> Result<Written> {
    let numbers = sources.first().map_or(Vec::new(), |source| source.segment.fields());
    if sources.iter().any(|source| source.segment.fields() != numbers) {
        return Err(Error::invalid("the segments to merge have different fields"));
    }
    if sources
        .iter()
        .any(|s| s.keep.is_some_and(|keep| keep.len() * 64 < s.segment.passages() as usize))
    {
        return Err(Error::invalid("the set of passages to keep is shorter than its segment"));
    }
    sources.iter().try_for_each(|source| source.segment.verify())?;
    let fields =
        numbers.into_iter().map(|number| stored(sources, number)).collect::<Result<Vec<_>>>()?;
    let rows = gather(sources, |segment| segment.rows(), 1);
    let chunks = gather(sources, |segment| segment.chunks(), 1);
    let spans = gather(sources, |segment| segment.spans(), 2);
    let passages = Passages { rows: &rows, chunks: &chunks, spans: &spans };
    write_stored(path, passages, fields, extras, budget)
}

fn stored<'a>(sources: &[MergeSource<'a>], number: u32) -> Result<StoredField<'a>> {
    let part = |source: &MergeSource<'a>| {
        let field = source.segment.field(number).expect("one of its fields");
        let part = ForwardPart {
            scales: field.scales,
            starts: field.forward_starts,
            terms: field.forward_terms,
            impacts: field.forward_impacts,
            keep: source.keep,
        };
        (field.vocabulary_size, part)
    };
    let (sizes, parts): (Vec<u32>, Vec<_>) = sources.iter().map(part).unzip();
    if sizes.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(Error::invalid(format!(
            "field {number} of the segments has different vocabularies"
        )));
    }
    Ok(StoredField { field: number, vocabulary_size: sizes[0], forward: ForwardParts(parts) })
}

/// `width` numbers of each kept passage.
fn gather(sources: &[MergeSource<'_>], of: impl Fn(&Segment) -> &[u32], width: usize) -> Vec<u32> {
    let kept = |source: &MergeSource<'_>| {
        let passages = of(source.segment).chunks_exact(width).enumerate();
        passages
            .filter(|&(i, _)| contains(source.keep, i))
            .flat_map(|(_, numbers)| numbers)
            .copied()
            .collect::<Vec<u32>>()
    };
    sources.iter().flat_map(kept).collect()
}

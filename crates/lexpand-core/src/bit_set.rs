//! Sets of passages: bit `i % 64` of word `i / 64` stands for ordinal i.

use std::ops::Range;

/// Whether a set contains an ordinal. `None` contains all ordinals; an ordinal past the end of a
/// set is not in it.
#[inline]
pub(crate) fn contains(set: Option<&[u64]>, ordinal: usize) -> bool {
    set.is_none_or(|words| {
        words.get(ordinal / 64).is_some_and(|word| word >> (ordinal % 64) & 1 == 1)
    })
}

/// The number of ordinals of a set in `range`, which begins at a multiple of 64.
pub(crate) fn count_in(set: &[u64], range: Range<usize>) -> usize {
    let words = range.clone().step_by(64).zip(&set[range.start / 64..]);
    let within = |(i, word): (usize, &u64)| {
        if range.end - i < 64 { word & ((1 << (range.end - i)) - 1) } else { *word }
    };
    words.map(|word| within(word).count_ones() as usize).sum()
}

//! Sets of units: bit `i % 64` of word `i / 64` is ordinal i. None is every unit.

/// Whether a unit is in the set; one past its end is not.
pub(super) fn contains(set: Option<&[u64]>, ordinal: u32) -> bool {
    set.is_none_or(|words| words.get(ordinal as usize / 64).is_some_and(|word| word >> (ordinal % 64) & 1 == 1))
}

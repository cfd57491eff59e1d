//! The hot loops for AVX2: the same sums as [`super::portable`].

use std::arch::x86_64::*;

use super::{Candidate, Kernel, Place, Row, portable};
use crate::segment::SUB_BLOCK;

/// The kernel, where the processor has AVX2.
pub(super) fn kernel() -> Option<Kernel> {
    is_x86_feature_detected!("avx2").then_some(Kernel { rows, scatter, prefix, collect })
}

fn rows(sums: &mut [u16; SUB_BLOCK], rows: &[Row<'_>], units: usize) {
    // SAFETY: `kernel` hands this out only where AVX2 is there.
    unsafe { rows_avx2(sums, rows, units) }
}

fn scatter(sums: &mut [u16; SUB_BLOCK], offsets: &[u16], bounds: &[u8], multiplier: u16) {
    // SAFETY: as above.
    unsafe { scatter_avx2(sums, offsets, bounds, multiplier) }
}

fn prefix(bounds: &[u8], least: u8) -> usize {
    // SAFETY: as above.
    unsafe { prefix_avx2(bounds, least) }
}

fn collect(sums: &[u16; SUB_BLOCK], place: Place<'_>, floor: u16, candidates: &mut Vec<Candidate>) {
    // SAFETY: as above.
    unsafe { collect_avx2(sums, place, floor, candidates) }
}

/// Bytes become the upper halves of u16, so that the upper half of their product with the multiplier is `bound * multiplier >> 8`.
#[target_feature(enable = "avx2")]
fn rows_avx2(sums: &mut [u16; SUB_BLOCK], rows: &[Row<'_>], units: usize) {
    let (zero, one) = (_mm256_setzero_si256(), _mm256_set1_epi8(1));
    for (i, sums) in sums[..units].chunks_exact_mut(32).enumerate() {
        let (mut low, mut high, mut any) = (zero, zero, zero);
        for row in rows {
            let bounds: &[u8; 32] = row.bounds[i * 32..].first_chunk().expect("rows are as long as the sums");
            // SAFETY: 32 bytes are read from a reference to 32 bytes.
            let bounds = unsafe { _mm256_loadu_si256(bounds.as_ptr().cast()) };
            let multiplier = _mm256_set1_epi16(row.multiplier as i16);
            low = _mm256_add_epi16(low, _mm256_mulhi_epu16(_mm256_unpacklo_epi8(zero, bounds), multiplier));
            high = _mm256_add_epi16(high, _mm256_mulhi_epu16(_mm256_unpackhi_epi8(zero, bounds), multiplier));
            any = _mm256_or_si256(any, bounds);
        }
        let any = _mm256_min_epu8(any, one);
        low = _mm256_add_epi16(low, _mm256_unpacklo_epi8(any, zero));
        high = _mm256_add_epi16(high, _mm256_unpackhi_epi8(any, zero));
        // Unpacking works within halves of the register: put them in order again.
        let (first, second) =
            (_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high));
        // SAFETY: 64 bytes are written to a slice of 32 u16.
        unsafe {
            _mm256_storeu_si256(sums.as_mut_ptr().cast(), first);
            _mm256_storeu_si256(sums[16..].as_mut_ptr().cast(), second);
        }
    }
}

/// What sixteen postings add is computed at once; the additions are one by one.
#[target_feature(enable = "avx2")]
fn scatter_avx2(sums: &mut [u16; SUB_BLOCK], offsets: &[u16], bounds: &[u8], multiplier: u16) {
    let (factor, one) = (_mm256_set1_epi16(multiplier as i16), _mm256_set1_epi16(1));
    let (offset_chunks, offset_rest) = offsets.as_chunks::<16>();
    let (bound_chunks, bound_rest) = bounds.as_chunks::<16>();
    for (offsets, bounds) in offset_chunks.iter().zip(bound_chunks) {
        let mut added = [0_u16; 16];
        // SAFETY: 16 bytes are read from a reference to 16 bytes, and 32 written to one of 16 u16.
        unsafe {
            let bounds = _mm256_slli_epi16::<8>(_mm256_cvtepu8_epi16(_mm_loadu_si128(bounds.as_ptr().cast())));
            let sum = _mm256_add_epi16(_mm256_mulhi_epu16(bounds, factor), one);
            _mm256_storeu_si256(added.as_mut_ptr().cast(), sum);
        }
        for (&offset, added) in offsets.iter().zip(added) {
            let sum = &mut sums[usize::from(offset) % SUB_BLOCK];
            *sum = sum.wrapping_add(added);
        }
    }
    portable::scatter(sums, offset_rest, bound_rest, multiplier);
}

#[target_feature(enable = "avx2")]
fn prefix_avx2(bounds: &[u8], least: u8) -> usize {
    let wanted = _mm256_set1_epi8(least as i8);
    let (chunks, rest) = bounds.as_chunks::<32>();
    for (i, chunk) in chunks.iter().enumerate() {
        // SAFETY: 32 bytes are read from a reference to 32 bytes.
        let bounds = unsafe { _mm256_loadu_si256(chunk.as_ptr().cast()) };
        let reach = _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(bounds, wanted), bounds)) as u32;
        if reach != u32::MAX {
            return i * 32 + reach.trailing_ones() as usize;
        }
    }
    bounds.len() - rest.len() + portable::prefix(rest, least)
}

#[target_feature(enable = "avx2")]
fn collect_avx2(sums: &[u16; SUB_BLOCK], place: Place<'_>, floor: u16, candidates: &mut Vec<Candidate>) {
    let least = _mm256_set1_epi16(floor as i16);
    for (i, chunk) in sums[..place.units.next_multiple_of(32)].chunks_exact(32).enumerate() {
        // SAFETY: 64 bytes are read from a slice of 32 u16.
        let (first, second) =
            unsafe { (_mm256_loadu_si256(chunk.as_ptr().cast()), _mm256_loadu_si256(chunk[16..].as_ptr().cast())) };
        let reaches = |sums| _mm256_cmpeq_epi16(_mm256_max_epu16(sums, least), sums);
        let packed = _mm256_packs_epi16(reaches(first), reaches(second));
        let mut taken = _mm256_movemask_epi8(_mm256_permute4x64_epi64::<0b11_01_10_00>(packed)) as u32;
        if taken != 0 {
            taken &= allowed(place, i * 32);
        }
        while taken != 0 {
            let bit = taken.trailing_zeros();
            taken &= taken - 1;
            let ordinal = place.first + i as u32 * 32 + bit;
            candidates.push(Candidate { sum: chunk[bit as usize], segment: place.segment, ordinal });
        }
    }
}

/// Which of 32 units from `at` on exist and may be taken.
fn allowed(place: Place<'_>, at: usize) -> u32 {
    let units = place.units - at;
    let exist = if units < 32 { (1_u32 << units) - 1 } else { u32::MAX };
    let ordinal = place.first as usize + at;
    exist & place.allowed.map_or(u32::MAX, |words| (words[ordinal / 64] >> (ordinal % 64)) as u32)
}

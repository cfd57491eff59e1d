//! The inner loops for AVX2. They compute the same sums as [`super::portable`].

use std::arch::x86_64::*;

use super::kernel::{Kernel, Place, Row, Sums, Term};
use super::portable;
use crate::prefetch::prefetch;
use crate::search::pool::Candidate;
use crate::segment::{GROUP, SUB_BLOCK};

/// How many groups ahead bounds are prefetched.
const AHEAD: usize = 8;

/// The kernel, if the processor has AVX2.
pub(super) fn kernel() -> Option<Kernel> {
    is_x86_feature_detected!("avx2").then_some(Kernel {
        rows,
        open,
        narrow,
        scatter,
        prefix,
        collect,
    })
}

fn rows(sums: &mut [u16], rows: &[Row<'_>], first: usize) {
    // SAFETY: `kernel` returns this function only if AVX2 was detected.
    unsafe { rows_avx2(sums, rows, first) }
}

fn open(sums: &[u16], most: &[u16], floor: u16, open: &mut Vec<u16>) {
    // SAFETY: as above.
    unsafe { open_avx2(sums, most, floor, open) }
}

fn narrow(sums: &mut Sums, term: Term<'_>, first: usize, floor: u16) {
    // SAFETY: as above.
    unsafe { narrow_avx2(sums, term, first, floor) }
}

fn scatter(sums: &mut [u16; SUB_BLOCK], offsets: &[u16], bounds: &[u8], multiplier: u16) {
    // SAFETY: as above.
    unsafe { scatter_avx2(sums, offsets, bounds, multiplier) }
}

fn prefix(bounds: &[u8], least: u8) -> usize {
    // SAFETY: as above.
    unsafe { prefix_avx2(bounds, least) }
}

fn collect(sums: &[u16], place: Place<'_>, floor: u16, candidates: &mut Vec<Candidate>) {
    // SAFETY: as above.
    unsafe { collect_avx2(sums, place, floor, candidates) }
}

/// Bytes become the upper halves of u16, so the upper half of their product with the multiplier is
/// `bound * multiplier >> 8`.
#[target_feature(enable = "avx2")]
fn rows_avx2(sums: &mut [u16], rows: &[Row<'_>], first: usize) {
    let (zero, one) = (_mm256_setzero_si256(), _mm256_set1_epi8(1));
    let (chunks, rest) = sums.as_chunks_mut::<32>();
    for (i, sums) in chunks.iter_mut().enumerate() {
        let (mut low, mut high, mut any) = (zero, zero, zero);
        for row in rows {
            let bounds: &[u8; 32] =
                row.bounds[first + i * 32..].first_chunk().expect("rows are as long as the sums");
            // SAFETY: reads 32 bytes from a reference to 32 bytes.
            let bounds = unsafe { _mm256_loadu_si256(bounds.as_ptr().cast()) };
            let multiplier = _mm256_set1_epi16(row.multiplier as i16);
            low = _mm256_add_epi16(
                low,
                _mm256_mulhi_epu16(_mm256_unpacklo_epi8(zero, bounds), multiplier),
            );
            high = _mm256_add_epi16(
                high,
                _mm256_mulhi_epu16(_mm256_unpackhi_epi8(zero, bounds), multiplier),
            );
            any = _mm256_or_si256(any, bounds);
        }
        let any = _mm256_min_epu8(any, one);
        low = _mm256_add_epi16(low, _mm256_unpacklo_epi8(any, zero));
        high = _mm256_add_epi16(high, _mm256_unpackhi_epi8(any, zero));
        // Unpacking works within halves of the register. This restores the order.
        let added = [
            _mm256_permute2x128_si256::<0x20>(low, high),
            _mm256_permute2x128_si256::<0x31>(low, high),
        ];
        for (sums, added) in sums.as_chunks_mut::<16>().0.iter_mut().zip(added) {
            // SAFETY: reads 32 bytes from a reference to 16 u16, and writes them to it.
            unsafe {
                let sum = _mm256_add_epi16(_mm256_loadu_si256(sums.as_ptr().cast()), added);
                _mm256_storeu_si256(sums.as_mut_ptr().cast(), sum);
            }
        }
    }
    portable::rows(rest, rows, first + chunks.len() * 32);
}

#[target_feature(enable = "avx2")]
fn open_avx2(sums: &[u16], most: &[u16], floor: u16, open: &mut Vec<u16>) {
    let (groups, _) = sums.as_chunks::<GROUP>();
    for (group, (sums, &most)) in groups.iter().zip(most).enumerate() {
        // SAFETY: reads 32 bytes from a reference to 16 u16.
        let sums = unsafe { _mm256_loadu_si256(sums.as_ptr().cast()) };
        if any_reaches(sums, floor.saturating_sub(most)) {
            open.push(group as u16);
        }
    }
}

#[target_feature(enable = "avx2")]
fn narrow_avx2(sums: &mut Sums, term: Term<'_>, first: usize, floor: u16) {
    let Sums { passages, groups, open, .. } = sums;
    let multiplier = _mm256_set1_epi16(term.row.multiplier as i16);
    let mut kept = 0;
    for i in 0..open.len() {
        if let Some(&next) = open.get(i + AHEAD) {
            prefetch(&term.row.bounds[first + usize::from(next) * GROUP]);
        }
        let group = usize::from(open[i]);
        let (sums, _) =
            passages[group * GROUP..].split_first_chunk_mut::<GROUP>().expect("a group is whole");
        let bounds: &[u8; GROUP] =
            term.row.bounds[first + group * GROUP..].first_chunk().expect("rows are whole groups");
        // SAFETY: reads 16 bytes from a reference to 16 bytes, and 32 from one to 16 u16.
        let (bounds, sum) = unsafe {
            (_mm_loadu_si128(bounds.as_ptr().cast()), _mm256_loadu_si256(sums.as_ptr().cast()))
        };
        let bounds = _mm256_slli_epi16::<8>(_mm256_cvtepu8_epi16(bounds));
        let sum = _mm256_add_epi16(sum, _mm256_mulhi_epu16(bounds, multiplier));
        // SAFETY: writes 32 bytes to a reference to 16 u16.
        unsafe { _mm256_storeu_si256(sums.as_mut_ptr().cast(), sum) };
        let most = groups[group].wrapping_sub(term.maxima.adds(first / GROUP + group));
        groups[group] = most;
        open[kept] = group as u16;
        kept += usize::from(any_reaches(sum, floor.saturating_sub(most)));
    }
    open.truncate(kept);
}

/// Whether any of 16 sums is at least `least`.
#[target_feature(enable = "avx2")]
fn any_reaches(sums: __m256i, least: u16) -> bool {
    let most = _mm256_max_epu16(sums, _mm256_set1_epi16(least as i16));
    _mm256_movemask_epi8(_mm256_cmpeq_epi16(most, sums)) != 0
}

/// Computes what sixteen postings add at once, then adds one by one.
#[target_feature(enable = "avx2")]
fn scatter_avx2(sums: &mut [u16; SUB_BLOCK], offsets: &[u16], bounds: &[u8], multiplier: u16) {
    let (factor, one) = (_mm256_set1_epi16(multiplier as i16), _mm256_set1_epi16(1));
    let (offset_chunks, offset_rest) = offsets.as_chunks::<16>();
    let (bound_chunks, bound_rest) = bounds.as_chunks::<16>();
    for (offsets, bounds) in offset_chunks.iter().zip(bound_chunks) {
        let mut added = [0_u16; 16];
        // SAFETY: reads 16 bytes from a reference to 16 bytes, and writes 32 to one of 16 u16.
        unsafe {
            let bounds = _mm256_slli_epi16::<8>(_mm256_cvtepu8_epi16(_mm_loadu_si128(
                bounds.as_ptr().cast(),
            )));
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
        // SAFETY: reads 32 bytes from a reference to 32 bytes.
        let bounds = unsafe { _mm256_loadu_si256(chunk.as_ptr().cast()) };
        let reach =
            _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(bounds, wanted), bounds)) as u32;
        if reach != u32::MAX {
            return i * 32 + reach.trailing_ones() as usize;
        }
    }
    bounds.len() - rest.len() + portable::prefix(rest, least)
}

#[target_feature(enable = "avx2")]
fn collect_avx2(sums: &[u16], place: Place<'_>, floor: u16, candidates: &mut Vec<Candidate>) {
    let least = _mm256_set1_epi16(floor as i16);
    for (i, chunk) in sums[..place.passages.next_multiple_of(32)].chunks_exact(32).enumerate() {
        // SAFETY: reads 64 bytes from a slice of 32 u16.
        let (first, second) = unsafe {
            (
                _mm256_loadu_si256(chunk.as_ptr().cast()),
                _mm256_loadu_si256(chunk[16..].as_ptr().cast()),
            )
        };
        let reaches = |sums| _mm256_cmpeq_epi16(_mm256_max_epu16(sums, least), sums);
        let packed = _mm256_packs_epi16(reaches(first), reaches(second));
        let mut taken =
            _mm256_movemask_epi8(_mm256_permute4x64_epi64::<0b11_01_10_00>(packed)) as u32;
        if taken != 0 {
            taken &= allowed(place, i * 32);
        }
        while taken != 0 {
            let bit = taken.trailing_zeros();
            taken &= taken - 1;
            let ordinal = place.first + i as u32 * 32 + bit;
            candidates.push(Candidate {
                sum: chunk[bit as usize],
                segment: place.segment,
                ordinal,
            });
        }
    }
}

/// Which of the 32 passages from `at` on exist and are allowed.
fn allowed(place: Place<'_>, at: usize) -> u32 {
    let passages = place.passages - at;
    let exist = if passages < 32 { (1_u32 << passages) - 1 } else { u32::MAX };
    let ordinal = place.first as usize + at;
    exist & place.allowed.map_or(u32::MAX, |words| (words[ordinal / 64] >> (ordinal % 64)) as u32)
}

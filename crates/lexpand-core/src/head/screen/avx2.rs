//! The screener for AVX2: 8-bit products summed in 16 and 32 bits, 6 positions by 8 terms at a time.

use std::arch::x86_64::{
    __m256, __m256i, _mm256_add_epi16, _mm256_add_epi32, _mm256_cmpgt_epi32, _mm256_cvttps_epi32, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_movemask_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_si256,
};

use bytemuck::{cast, cast_slice, pod_read_unaligned};

use super::{PANEL, ROWS, STEP, ScreenPanel, ScreenedText};

/// Bytes of weights that one step takes: two groups of four dimensions for 16 terms.
const STEP_BYTES: usize = STEP * PANEL;

#[target_feature(enable = "avx2,fma")]
pub(super) fn screen(text: &ScreenedText, panel: &ScreenPanel, out: &mut Vec<u32>) {
    out.clear();
    let tile_bytes = ROWS * panel.weights.len() / PANEL;
    let weights = cast_slice::<i8, u8>(&panel.weights).as_chunks().0;
    for (tile, states) in text.states.chunks_exact(tile_bytes).enumerate() {
        let thresholds: [__m256; 2] = cast(panel.thresholds(text, tile));
        let states = states.as_chunks().0;
        let low = passing(dot_products::<0>(states, weights), thresholds[0]);
        let high = passing(dot_products::<1>(states, weights), thresholds[1]);
        let first = tile * ROWS;
        let passed = (first..text.positions.min(first + ROWS)).filter(|&at| low[at - first] | high[at - first]);
        out.extend(passed.map(|at| at as u32));
    }
}

/// Of each position, whether any of 8 terms exceeds its threshold.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn passing(sums: [__m256i; ROWS], thresholds: __m256) -> [bool; ROWS] {
    let thresholds = _mm256_cvttps_epi32(thresholds);
    sums.map(|sum| _mm256_movemask_epi8(_mm256_cmpgt_epi32(sum, thresholds)) != 0)
}

/// The integer dot products of a tile with one half of the panel's terms.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn dot_products<const HALF: usize>(states: &[[u8; ROWS * STEP]], weights: &[[u8; STEP_BYTES]]) -> [__m256i; ROWS] {
    let ones = _mm256_set1_epi16(1);
    let mut sums = [_mm256_setzero_si256(); ROWS];
    for (states, weights) in states.iter().zip(weights) {
        let weights: [__m256i; 4] = pod_read_unaligned(weights);
        for (sum, state) in sums.iter_mut().zip(states.as_chunks::<STEP>().0) {
            let first = _mm256_set1_epi32(pod_read_unaligned(&state[..4]));
            let second = _mm256_set1_epi32(pod_read_unaligned(&state[4..]));
            let pairs = _mm256_add_epi16(
                _mm256_maddubs_epi16(first, weights[HALF]),
                _mm256_maddubs_epi16(second, weights[HALF + 2]),
            );
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
        }
    }
    sums
}

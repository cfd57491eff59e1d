//! The screener for x86: 8-bit products, 6 positions by 8 terms at a time, by the best dot product that the processor has.
//!
//! The code is written once; each variant is compiled for its own instructions, so a macro stands where a generic function
//! would lose them.

use super::{Pairing, Screener};

/// The best that this processor runs.
pub(super) fn screener() -> Option<Screener> {
    if is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512vl") {
        // SAFETY: the features that the function is compiled for were just detected.
        return Some(|pairing, out| unsafe { avx512_vnni::screen(pairing, out) });
    }
    if is_x86_feature_detected!("avxvnni") {
        // SAFETY: as above.
        return Some(|pairing, out| unsafe { avx_vnni::screen(pairing, out) });
    }
    if is_x86_feature_detected!("avx2") {
        // SAFETY: as above.
        return Some(|pairing, out| unsafe { avx2::screen(pairing, out) });
    }
    None
}

macro_rules! screener {
    // The last adds, to eight sums, products of unsigned and signed bytes for two groups of four dimensions.
    ($name:ident, $features:literal, ($sum:ident, $states:ident, $weights:ident) => $dot:block) => {
        mod $name {
            use std::arch::x86_64::*;

            use bytemuck::{cast, cast_slice, pod_read_unaligned};

            use super::super::super::pack::PANEL;
            use super::super::{LANES, RANGE, ROWS, STAGE, STEP};
            use super::Pairing;

            /// Bytes of states and of weights that one step takes: two groups of four dimensions.
            const STATES: usize = ROWS * STEP;
            const WEIGHTS: usize = STEP * PANEL;

            #[target_feature(enable = $features)]
            pub(super) fn screen(pairing: Pairing<'_>, out: &mut Vec<u32>) {
                out.clear();
                let weights: &[[u8; WEIGHTS]] = cast_slice::<i8, u8>(&pairing.panel.weights).as_chunks().0;
                for tile in 0..pairing.tiles {
                    let states = pairing.text.tile(tile).as_chunks().0;
                    let passed =
                        half::<0>(&pairing, tile, states, weights) | half::<1>(&pairing, tile, states, weights);
                    if passed != 0 {
                        pairing.take(tile, passed, out);
                    }
                }
                out.sort_unstable();
            }

            /// Of each position of a tile, a bit: whether any of 8 terms is left at the end of the last stage.
            #[target_feature(enable = $features)]
            #[inline]
            fn half<const HALF: usize>(
                pairing: &Pairing<'_>,
                tile: usize,
                states: &[[u8; STATES]],
                weights: &[[u8; WEIGHTS]],
            ) -> u32 {
                const STEPS: usize = STAGE / STEP;
                let mut sums = [_mm256_setzero_si256(); ROWS];
                let mut thresholds = _mm256_setzero_si256();
                let stages = states.as_chunks::<STEPS>().0.iter().zip(weights.as_chunks::<STEPS>().0);
                for (stage, (states, weights)) in stages.enumerate() {
                    for (states, weights) in states.iter().zip(weights) {
                        let weights: [__m256i; 4] = pod_read_unaligned(weights);
                        for (sum, state) in sums.iter_mut().zip(states.as_chunks::<STEP>().0) {
                            let $states = [
                                _mm256_set1_epi32(pod_read_unaligned(&state[..4])),
                                _mm256_set1_epi32(pod_read_unaligned(&state[4..])),
                            ];
                            let ($sum, $weights) = (*sum, [weights[HALF], weights[HALF + 2]]);
                            *sum = $dot;
                        }
                    }
                    thresholds = stage_thresholds::<HALF>(pairing, tile, stage);
                    let [a, b, c, d, e, f] = sums;
                    let most = _mm256_max_epi32(
                        _mm256_max_epi32(_mm256_max_epi32(a, b), _mm256_max_epi32(c, d)),
                        _mm256_max_epi32(e, f),
                    );
                    if _mm256_movemask_epi8(_mm256_cmpgt_epi32(most, thresholds)) == 0 {
                        return 0;
                    }
                }
                let mut passed = 0;
                for (r, sum) in sums.into_iter().enumerate() {
                    passed |= u32::from(_mm256_movemask_epi8(_mm256_cmpgt_epi32(sum, thresholds)) != 0) << r;
                }
                passed
            }

            /// `Pairing::integer_thresholds`, in the same order of operations.
            #[target_feature(enable = $features)]
            #[inline]
            fn stage_thresholds<const HALF: usize>(pairing: &Pairing<'_>, tile: usize, stage: usize) -> __m256i {
                let (shift, products) = pairing.panel.stage(stage, HALF);
                let base: [[f32; LANES]; PANEL / LANES] = cast(pairing.base);
                let mut left = _mm256_sub_ps(cast(*shift), cast(base[HALF]));
                for (&side, product) in pairing.text.sides(tile, stage).iter().zip(products) {
                    left = _mm256_sub_ps(left, _mm256_mul_ps(_mm256_set1_ps(side), cast(*product)));
                }
                // Where `left` is no number it stays so, and becomes the least integer.
                _mm256_cvttps_epi32(_mm256_min_ps(_mm256_set1_ps(RANGE), left))
            }
        }
    };
}

// LEVELS says why nothing saturates in 16 bits.
screener!(avx2, "avx2", (sum, states, weights) => {
    let pairs =
        _mm256_add_epi16(_mm256_maddubs_epi16(states[0], weights[0]), _mm256_maddubs_epi16(states[1], weights[1]));
    _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
});

screener!(avx_vnni, "avxvnni", (sum, states, weights) => {
    _mm256_dpbusd_avx_epi32(_mm256_dpbusd_avx_epi32(sum, states[0], weights[0]), states[1], weights[1])
});

screener!(avx512_vnni, "avx512vnni,avx512vl", (sum, states, weights) => {
    _mm256_dpbusd_epi32(_mm256_dpbusd_epi32(sum, states[0], weights[0]), states[1], weights[1])
});

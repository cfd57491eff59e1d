//! The screeners for x86: 8-bit products of 4 positions by 32 terms, by the best available
//! instructions.
//!
//! AVX2 sums products in 16 bits, which wrap; the dot products of VNNI sum in 32 bits. The VNNI
//! code is compiled for two instruction sets by a macro, since a generic function would lose its
//! target features.

#[cfg(test)]
use std::arch::x86_64::*;

use super::pairing::{Screen, Screener};
use super::rounding::Layout;

/// The fastest screener that this processor runs.
pub(super) fn screener() -> Option<Screener> {
    let quads = |screen: Screen| Some(Screener { screen, layout: Layout::Quads });
    if is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512vl") {
        // SAFETY: the features that the function is compiled for were just detected.
        return quads(|text, group, dots, out| unsafe {
            avx512_vnni::screen(text, group, dots, out)
        });
    }
    if is_x86_feature_detected!("avxvnni") {
        // SAFETY: the feature that the function is compiled for was just detected.
        return quads(|text, group, dots, out| unsafe { avx_vnni::screen(text, group, dots, out) });
    }
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the feature that the function is compiled for was just detected.
        let screen: Screen =
            |text, group, dots, out| unsafe { avx2::screen(text, group, dots, out) };
        return Some(Screener { screen, layout: Layout::Pairs });
    }
    None
}

mod avx2 {
    use std::arch::x86_64::*;

    use bytemuck::cast;

    use crate::head::screen::group::{Group, GroupDots};
    use crate::head::screen::pairing::{Pairing, Passed, screen_tiles};
    use crate::head::screen::rounding::{PANELS, RANGE, ROWS, STAGE, TERMS};
    use crate::head::screen::text::ScreenedText;

    /// Groups of two dimensions in a stage, and the bytes of one group's weights.
    const STEPS: usize = STAGE / 2;
    const WEIGHTS: usize = 2 * TERMS;

    #[target_feature(enable = "avx2")]
    pub(super) fn screen(
        text: &ScreenedText,
        group: Group<'_>,
        dots: &GroupDots,
        out: &mut Passed,
    ) {
        screen_tiles(&Pairing::new(text, group, dots), out, |pairing, tile| passing(pairing, tile));
    }

    /// The same as the portable `passing`. Partial sums wrap, but complete sums fit in 16 bits.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn passing(pairing: &Pairing<'_>, tile: usize) -> [u32; PANELS] {
        let weights: &[[u8; WEIGHTS]] = pairing.group.weights.as_chunks().0;
        let stages = pairing
            .text
            .tile(tile)
            .as_chunks::<STEPS>()
            .0
            .iter()
            .zip(weights.as_chunks::<STEPS>().0);
        let mut sums = [[_mm256_setzero_si256(); PANELS]; ROWS];
        let mut least = [_mm256_setzero_si256(); PANELS];
        for (stage, (states, weights)) in stages.enumerate() {
            for (sums, &shift) in sums.iter_mut().zip(pairing.text.shifts(tile, stage)) {
                let shift = _mm256_set1_epi16(shift as i16);
                *sums = [_mm256_add_epi16(sums[0], shift), _mm256_add_epi16(sums[1], shift)];
            }
            for (states, weights) in states.iter().zip(weights) {
                let weights: [__m256i; PANELS] = cast(*weights);
                for (sums, &state) in sums.iter_mut().zip(states) {
                    let state = _mm256_set1_epi32(cast(state));
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        *sum = _mm256_add_epi16(*sum, _mm256_maddubs_epi16(weights, state));
                    }
                }
            }
            least = [thresholds::<0>(pairing, tile, stage), thresholds::<1>(pairing, tile, stage)];
            let [a, b, c, d] = sums;
            let exceeding = |panel: usize| {
                let most = _mm256_max_epi16(
                    _mm256_max_epi16(a[panel], b[panel]),
                    _mm256_max_epi16(c[panel], d[panel]),
                );
                _mm256_cmpgt_epi16(most, least[panel])
            };
            if _mm256_movemask_epi8(_mm256_or_si256(exceeding(0), exceeding(1))) == 0 {
                return [0; PANELS];
            }
        }
        let mut passed = [0; PANELS];
        for (r, sums) in sums.into_iter().enumerate() {
            for panel in 0..PANELS {
                let exceeding = _mm256_movemask_epi8(_mm256_cmpgt_epi16(sums[panel], least[panel]));
                passed[panel] |= u32::from(exceeding != 0) << r;
            }
        }
        passed
    }

    /// `Pairing::integer_thresholds` of a panel, in the same order of operations, clamped to 16
    /// bits.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn thresholds<const PANEL: usize>(pairing: &Pairing<'_>, tile: usize, stage: usize) -> __m256i {
        let base: [__m256; TERMS / 8] = cast(pairing.base);
        let products = &pairing.group.products[stage];
        let eight = |v: usize| {
            let mut left = _mm256_sub_ps(_mm256_setzero_ps(), base[2 * PANEL + v]);
            for (&side, product) in pairing.text.sides(tile, stage).iter().zip(products) {
                let product: [__m256; TERMS / 8] = cast(*product);
                left = _mm256_sub_ps(
                    left,
                    _mm256_mul_ps(_mm256_set1_ps(side), product[2 * PANEL + v]),
                );
            }
            // If `left` is NaN it stays NaN, and becomes the smallest integer.
            _mm256_cvttps_epi32(_mm256_min_ps(_mm256_set1_ps(RANGE), left))
        };
        // Packing interleaves four of each; this restores the order.
        _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(eight(0), eight(1)))
    }
}

macro_rules! quads {
    // `$dot` adds the products of unsigned weights and signed states to eight sums, four dimensions
    // each.
    ($name:ident, $features:literal, $dot:ident) => {
        mod $name {
            use std::arch::x86_64::*;

            use bytemuck::cast;

            #[cfg(test)]
            #[allow(unused_imports, reason = "of three that are made, one is for tests")]
            use super::dot_by_avx2;
            use crate::head::pack::PANEL;
            use crate::head::screen::group::{Group, GroupDots};
            use crate::head::screen::pairing::{Pairing, Passed, screen_tiles};
            use crate::head::screen::rounding::{PANELS, ROWS, STAGE, TERMS};
            use crate::head::screen::text::ScreenedText;

            /// Groups of four dimensions in a stage, and vectors of eight terms in a panel and in a
            /// group.
            const STEPS: usize = STAGE / 4;
            const EIGHTS: usize = PANEL / 8;
            const ALL: usize = TERMS / 8;

            #[target_feature(enable = $features)]
            pub(super) fn screen(
                text: &ScreenedText,
                group: Group<'_>,
                dots: &GroupDots,
                out: &mut Passed,
            ) {
                screen_tiles(&Pairing::new(text, group, dots), out, |pairing, tile| {
                    passing(pairing, tile)
                });
            }

            /// The same as the portable `passing`. One panel at a time, since the sums of both
            /// exceed the registers of some processors.
            #[target_feature(enable = $features)]
            #[inline]
            fn passing(pairing: &Pairing<'_>, tile: usize) -> [u32; PANELS] {
                let weights: &[[[u8; 32]; ALL]] = pairing.group.weights.as_chunks().0.as_chunks().0;
                let stages = pairing
                    .text
                    .tile(tile)
                    .as_chunks::<STEPS>()
                    .0
                    .iter()
                    .zip(weights.as_chunks::<STEPS>().0);
                let mut sums = [[[_mm256_setzero_si256(); EIGHTS]; ROWS]; PANELS];
                let mut passed = [0; PANELS];
                for (stage, (states, weights)) in stages.enumerate() {
                    let thresholds: [__m256i; ALL] = cast(pairing.integer_thresholds(tile, stage));
                    let shifts = pairing.text.shifts(tile, stage);
                    for (panel, sums) in sums.iter_mut().enumerate() {
                        for (sums, &shift) in sums.iter_mut().zip(shifts) {
                            *sums = sums.map(|sum| _mm256_add_epi32(sum, _mm256_set1_epi32(shift)));
                        }
                        for (states, weights) in states.iter().zip(weights) {
                            for (sums, &state) in sums.iter_mut().zip(states) {
                                let state = _mm256_set1_epi32(cast(state));
                                for (sum, weights) in
                                    sums.iter_mut().zip(&weights[panel * EIGHTS..])
                                {
                                    *sum = $dot(*sum, cast(*weights), state);
                                }
                            }
                        }
                        passed[panel] = 0;
                        for (r, sums) in sums.iter().enumerate() {
                            for (&sum, &threshold) in sums.iter().zip(&thresholds[panel * EIGHTS..])
                            {
                                let exceeds = _mm256_cmpgt_epi32(sum, threshold);
                                passed[panel] |=
                                    u32::from(_mm256_testz_si256(exceeds, exceeds) == 0) << r;
                            }
                        }
                    }
                    if passed == [0; PANELS] {
                        break;
                    }
                }
                passed
            }
        }
    };
}

quads!(avx_vnni, "avxvnni", _mm256_dpbusd_avx_epi32);
quads!(avx512_vnni, "avx512vnni,avx512vl", _mm256_dpbusd_epi32);

/// The VNNI code with its dot product emulated, for tests on processors without VNNI.
#[cfg(test)]
pub(super) fn quads_on_avx2() -> Option<Screener> {
    // SAFETY: the feature that the function is compiled for is detected before the screener is
    // returned.
    let screen: Screen =
        |text, group, dots, out| unsafe { by_avx2::screen(text, group, dots, out) };
    is_x86_feature_detected!("avx2").then_some(Screener { screen, layout: Layout::Quads })
}

#[cfg(test)]
#[target_feature(enable = "avx2")]
fn dot_by_avx2(sums: __m256i, weights: __m256i, states: __m256i) -> __m256i {
    let pairs = _mm256_maddubs_epi16(weights, states);
    _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
}

#[cfg(test)]
quads!(by_avx2, "avx2", dot_by_avx2);

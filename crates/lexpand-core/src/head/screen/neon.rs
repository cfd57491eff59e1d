//! The screener for NEON: 8-bit products of 4 positions by 32 terms, in 16-bit sums that wrap.

use std::arch::aarch64::*;

use bytemuck::cast;

use super::group::{Group, GroupDots};
use super::pairing::{Pairing, Passed, screen_tiles};
use super::rounding::{PANELS, ROWS, STAGE, TERMS};
use super::text::ScreenedText;
use crate::head::pack::PANEL;

/// Groups of two dimensions in a stage, and the bytes of one group's weights.
const STEPS: usize = STAGE / 2;
const WEIGHTS: usize = 2 * TERMS;

/// The sums of a panel's terms, four per vector: those of their first and of their second
/// dimensions.
type Sums = [int16x8_t; PANEL / 4];

/// NEON is part of the base instruction set.
pub(super) fn screen(text: &ScreenedText, group: Group<'_>, dots: &GroupDots, out: &mut Passed) {
    screen_tiles(&Pairing::new(text, group, dots), out, passing);
}

/// The same as the portable `passing`. One panel at a time, since the sums of both exceed the
/// registers.
fn passing(pairing: &Pairing<'_>, tile: usize) -> [u32; PANELS] {
    let weights: &[[u8; WEIGHTS]] = pairing.group.weights.as_chunks().0;
    let stages =
        pairing.text.tile(tile).as_chunks::<STEPS>().0.iter().zip(weights.as_chunks::<STEPS>().0);
    // SAFETY: makes a vector of zeros. Every processor of this architecture has the instruction.
    let mut sums = [[unsafe { [vdupq_n_s16(0); PANEL / 4] }; ROWS]; PANELS];
    let mut passed = [0; PANELS];
    for (stage, (states, weights)) in stages.enumerate() {
        let thresholds: [[i32; PANEL]; PANELS] = cast(pairing.integer_thresholds(tile, stage));
        for panel in 0..PANELS {
            let sums = &mut sums[panel];
            add_shifts(sums, pairing.text.shifts(tile, stage));
            for (states, weights) in states.iter().zip(weights) {
                let weights: &[u8; 2 * PANEL] = weights[panel * 2 * PANEL..]
                    .first_chunk()
                    .expect("a group has so many for each of its panels");
                for (sums, &state) in sums.iter_mut().zip(states) {
                    step(sums, state, weights);
                }
            }
            passed[panel] = exceeding(sums, &thresholds[panel]);
        }
        if passed == [0; PANELS] {
            break;
        }
    }
    passed
}

/// Adds the shift once per term: to the sum of its first dimensions.
#[inline(always)]
fn add_shifts(sums: &mut [Sums; ROWS], shifts: &[i32; ROWS]) {
    for (sums, &shift) in sums.iter_mut().zip(shifts) {
        // SAFETY: as in `step`. The upper half of each four bytes stays zero.
        let shift = unsafe { vreinterpretq_s16_u32(vdupq_n_u32(u32::from(shift as u16))) };
        // SAFETY: as in `step`.
        *sums = sums.map(|sum| unsafe { vaddq_s16(sum, shift) });
    }
}

/// Adds the products of one position's two dimensions with those of a panel's terms.
#[inline(always)]
fn step(sums: &mut Sums, state: [i8; 4], weights: &[u8; 2 * PANEL]) {
    for (v, sums) in sums.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        let weights: [u8; 16] =
            *weights[16 * v..].first_chunk().expect("16 bytes are two dimensions of eight terms");
        // SAFETY: vectors are loaded from arrays of their size, and every processor of this
        // architecture has the instructions. Weights are at most 127, so they are the same as
        // signed bytes.
        unsafe {
            let state = vreinterpretq_s8_s32(vdupq_n_s32(cast(state)));
            let weights = vreinterpretq_s8_u8(vld1q_u8(weights.as_ptr()));
            *sums = [
                vmlal_s8(sums[0], vget_low_s8(weights), vget_low_s8(state)),
                vmlal_high_s8(sums[1], weights, state),
            ];
        }
    }
}

/// One bit per position: whether a sum exceeds its term's threshold, which is clamped to 16 bits.
#[inline(always)]
fn exceeding(sums: &[Sums; ROWS], thresholds: &[i32; PANEL]) -> u32 {
    let thresholds = thresholds.map(|t| t.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16);
    let thresholds: [[i16; 8]; PANEL / 8] = cast(thresholds);
    let mut passed = 0;
    for (r, sums) in sums.iter().enumerate() {
        for (sums, threshold) in sums.as_chunks::<2>().0.iter().zip(&thresholds) {
            // SAFETY: as in `step`.
            let exceeds = unsafe {
                vmaxvq_u16(vcgtq_s16(vpaddq_s16(sums[0], sums[1]), vld1q_s16(threshold.as_ptr())))
            };
            passed |= u32::from(exceeds != 0) << r;
        }
    }
    passed
}

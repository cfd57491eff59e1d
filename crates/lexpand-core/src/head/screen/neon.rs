//! The screener for NEON: 8-bit products summed in 16 and 32 bits, 6 positions by 8 terms at a time.

use std::arch::aarch64::*;

use bytemuck::{cast, pod_read_unaligned};

use super::super::pack::PANEL;
use super::{LANES, Pairing, ROWS, STAGE, STEP};

/// Bytes of states and of weights that one step takes: two groups of four dimensions.
const STATES: usize = ROWS * STEP;
const WEIGHTS: usize = STEP * PANEL;

/// Two sums for each of four terms: its even and its odd pairs of dimensions.
type Sums = [int32x4_t; 2];

/// NEON is in the base set of the architecture.
pub(super) fn screen(pairing: Pairing<'_>, out: &mut Vec<u32>) {
    out.clear();
    for tile in 0..pairing.tiles {
        let passed = half(&pairing, tile, 0) | half(&pairing, tile, 1);
        if passed != 0 {
            pairing.take(tile, passed, out);
        }
    }
    out.sort_unstable();
}

/// Of each position of a tile, a bit: whether any of 8 terms is left at the end of the last stage.
fn half(pairing: &Pairing<'_>, tile: usize, half: usize) -> u32 {
    const STEPS: usize = STAGE / STEP;
    let states: &[[u8; STATES]] = pairing.text.tile(tile).as_chunks().0;
    let weights: &[[i8; WEIGHTS]] = pairing.panel.weights.as_chunks().0;
    // SAFETY: makes a vector of zeros; every processor of this architecture has the instruction.
    let mut sums = [[unsafe { [vdupq_n_s32(0); 2] }; LANES / 4]; ROWS];
    let mut passed = 0;
    let stages = states.as_chunks::<STEPS>().0.iter().zip(weights.as_chunks::<STEPS>().0);
    for (stage, (states, weights)) in stages.enumerate() {
        for (states, weights) in states.iter().zip(weights) {
            for (sums, state) in sums.iter_mut().zip(states.as_chunks::<STEP>().0) {
                step(sums, state, weights, half);
            }
        }
        passed = exceeding(&sums, pairing.integer_thresholds(tile, stage, half));
        if passed == 0 {
            break;
        }
    }
    passed
}

/// Adds the products of one position's eight dimensions with those of eight terms.
#[inline(always)]
fn step(sums: &mut [Sums; LANES / 4], state: &[u8; STEP], weights: &[i8; WEIGHTS], half: usize) {
    let group = |i: usize| -> u32 { pod_read_unaligned(&state[4 * i..4 * i + 4]) };
    for (v, sums) in sums.iter_mut().enumerate() {
        let terms = |i: usize| -> [i8; 16] {
            let at = (i * PANEL + half * LANES + 4 * v) * 4;
            *weights[at..].first_chunk().expect("16 bytes are 4 terms of a group, and there are 16 terms")
        };
        // SAFETY: vectors are made of arrays of their size, and every processor of this architecture has the instructions.
        // States are at most 127, so they are the same as signed bytes. LEVELS says why nothing saturates in 16 bits.
        unsafe {
            let (a, b) = (vreinterpretq_s8_u32(vdupq_n_u32(group(0))), vreinterpretq_s8_u32(vdupq_n_u32(group(1))));
            let (wa, wb) = (vld1q_s8(terms(0).as_ptr()), vld1q_s8(terms(1).as_ptr()));
            let low = vmlal_s8(vmull_s8(vget_low_s8(a), vget_low_s8(wa)), vget_low_s8(b), vget_low_s8(wb));
            let high = vmlal_high_s8(vmull_high_s8(a, wa), b, wb);
            *sums = [vpadalq_s16(sums[0], low), vpadalq_s16(sums[1], high)];
        }
    }
}

/// Of each position, a bit: whether a sum exceeds its term's threshold.
#[inline(always)]
fn exceeding(sums: &[[Sums; LANES / 4]; ROWS], thresholds: [i32; LANES]) -> u32 {
    let thresholds: [[i32; 4]; LANES / 4] = cast(thresholds);
    let mut passed = 0;
    for (r, sums) in sums.iter().enumerate() {
        for (sums, threshold) in sums.iter().zip(&thresholds) {
            // SAFETY: as above.
            let exceeds = unsafe { vmaxvq_u32(vcgtq_s32(vpaddq_s32(sums[0], sums[1]), vld1q_s32(threshold.as_ptr()))) };
            passed |= u32::from(exceeds != 0) << r;
        }
    }
    passed
}

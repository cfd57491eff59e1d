//! One panel of terms against positions of one text, in float32.
//!
//! The code is written once and compiled for several instruction sets. The accumulators of [`ROWS`]
//! positions x [`PANEL`] terms stay in registers (12 of 16 on AVX2).

use super::pack::PANEL;
use super::types::{Activation, Pooling};

/// Positions in a tile.
pub(super) const ROWS: usize = 6;

/// The results of a panel's terms over the positions seen so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct PanelResult {
    /// The largest logit, before the bias.
    pub(super) best: [f32; PANEL],
    /// The first position that has it.
    pub(super) position: [u32; PANEL],
    /// The sum of the activations; only filled with [`Pooling::Sum`].
    pub(super) sum: [f32; PANEL],
}

impl PanelResult {
    fn new() -> Self {
        PanelResult { best: [f32::NEG_INFINITY; PANEL], position: [0; PANEL], sum: [0.0; PANEL] }
    }

    /// Adds one position's dot products. The comparison is strict, so of equal logits the first
    /// position stays.
    #[expect(
        clippy::needless_range_loop,
        reason = "three arrays in step, in the form that becomes SIMD"
    )]
    #[inline(always)]
    fn take_best(&mut self, dots: &[f32; PANEL], position: u32) {
        for j in 0..PANEL {
            let better = dots[j] > self.best[j];
            self.best[j] = if better { dots[j] } else { self.best[j] };
            self.position[j] = if better { position } else { self.position[j] };
        }
    }

    fn take_sum(&mut self, dots: &[f32; PANEL], bias: &[f32; PANEL], activation: Activation) {
        for j in 0..PANEL {
            let logit = dots[j] + bias[j];
            if logit > 0.0 {
                self.sum[j] += activation.apply(logit);
            }
        }
    }
}

/// The input of a kernel.
#[derive(Clone, Copy)]
pub(super) struct PanelTask<'a> {
    /// `[positions, width]`
    pub(super) text: &'a [f32],
    /// The positions to read, ascending; at least one.
    pub(super) positions: &'a [u32],
    /// `[width, PANEL]`
    pub(super) panel: &'a [f32],
    pub(super) bias: &'a [f32; PANEL],
    pub(super) width: usize,
    pub(super) pooling: Pooling,
    pub(super) activation: Activation,
}

/// A kernel for some instruction set.
pub(super) type Kernel = fn(PanelTask<'_>) -> PanelResult;

/// The dot products of six rows with a panel's terms, for some instruction set.
pub(super) type Dots = fn(&[&[f32]; ROWS], &[f32]) -> [[f32; PANEL]; ROWS];

/// The fastest kernel of this processor.
pub(super) fn kernel() -> Kernel {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature that the function is compiled for was just detected.
            return |task| unsafe { x86::run_avx512(task) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: both features that the function is compiled for were just detected.
            return |task| unsafe { x86::run_avx2(task) };
        }
    }
    run_portable
}

/// The fastest dot products of this processor.
pub(super) fn dots() -> Dots {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the features that the function is compiled for were just detected.
        return |rows, panel| unsafe { x86::dots_avx2(rows, panel) };
    }
    dot_products::<{ cfg!(target_arch = "aarch64") }>
}

/// The kernel for any processor.
pub(super) fn run_portable(task: PanelTask<'_>) -> PanelResult {
    // NEON always has fused multiply-add. Elsewhere `mul_add` may be a slow call of the C library.
    run::<{ cfg!(target_arch = "aarch64") }>(task)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{PANEL, PanelResult, PanelTask, ROWS, dot_products, run};

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn dots_avx2(rows: &[&[f32]; ROWS], panel: &[f32]) -> [[f32; PANEL]; ROWS] {
        dot_products::<true>(rows, panel)
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn run_avx2(task: PanelTask<'_>) -> PanelResult {
        run::<true>(task)
    }

    #[target_feature(enable = "avx512f,avx2,fma")]
    pub(super) fn run_avx512(task: PanelTask<'_>) -> PanelResult {
        run::<true>(task)
    }
}

#[inline(always)]
fn run<const FUSED: bool>(task: PanelTask<'_>) -> PanelResult {
    let mut result = PanelResult::new();
    for positions in task.positions.chunks(ROWS) {
        // The last position fills the tile up; its repeated results are not used.
        let rows: [&[f32]; ROWS] = std::array::from_fn(|r| {
            let at = positions[r.min(positions.len() - 1)] as usize * task.width;
            &task.text[at..at + task.width]
        });
        let dots = dot_products::<FUSED>(&rows, task.panel);
        for (dots, &position) in dots.iter().zip(positions) {
            result.take_best(dots, position);
            if task.pooling == Pooling::Sum {
                result.take_sum(dots, task.bias, task.activation);
            }
        }
    }
    result
}

#[inline(always)]
fn dot_products<const FUSED: bool>(rows: &[&[f32]; ROWS], panel: &[f32]) -> [[f32; PANEL]; ROWS] {
    let columns = panel.as_chunks::<PANEL>().0;
    assert!(rows.iter().all(|row| row.len() == columns.len()), "every row is as wide as the panel");
    let mut sums = [[0.0_f32; PANEL]; ROWS];
    for (i, column) in columns.iter().enumerate() {
        for r in 0..ROWS {
            // SAFETY: i < columns.len(), which was asserted to be the row's length. With a bounds
            // check at each step, the loop takes 1.75 times as long (measured).
            let state = unsafe { *rows[r].get_unchecked(i) };
            for j in 0..PANEL {
                sums[r][j] = if FUSED {
                    state.mul_add(column[j], sums[r][j])
                } else {
                    sums[r][j] + state * column[j]
                };
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task<'a>(
        text: &'a [f32],
        positions: &'a [u32],
        panel: &'a [f32],
        width: usize,
    ) -> PanelTask<'a> {
        let (pooling, activation) = (Pooling::Max, Activation::Log1pRelu);
        PanelTask { text, positions, panel, bias: &[0.0; PANEL], width, pooling, activation }
    }

    fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut x = seed;
        let next = |_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n).map(next).collect()
    }

    #[test]
    fn chosen_kernel_agrees_with_the_portable_one() {
        for (width, positions) in [(1, 1), (5, 6), (64, 7), (128, 13)] {
            let (text, panel) = (noise(width * positions, 7), noise(width * PANEL, 8));
            let all: Vec<u32> = (0..positions as u32).collect();
            let fast = kernel()(task(&text, &all, &panel, width));
            let slow = run_portable(task(&text, &all, &panel, width));
            assert_eq!(fast.position, slow.position);
            for j in 0..PANEL {
                assert!((fast.best[j] - slow.best[j]).abs() < 1e-4);
            }
        }
    }
}

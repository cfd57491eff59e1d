//! Vectors in the screening basis, rounded to small integers.

use crate::head::pack::PANEL;

/// Positions in a tile of the integer kernels.
pub(super) const ROWS: usize = 4;
/// Panels that are screened together, and their terms: four rows by 32 sums of 16 bits fill 8
/// registers of AVX2.
pub(in crate::head) const PANELS: usize = 2;
pub(super) const TERMS: usize = PANELS * PANEL;
/// Dimensions between two tests of the bound.
pub(super) const STAGE: usize = 32;
/// The largest magnitudes of rounded values. Weights are stored as `q + SHIFT`, at most 127: two
/// products of 127 and 127 are below the 32,767 at which AVX2 would saturate.
pub(super) const STATE_LEVELS: f64 = 127.0;
pub(super) const WEIGHT_LEVELS: f64 = 63.0;
pub(super) const SHIFT: i32 = 64;
/// The largest norm of a rounded vector: no dot product of two exceeds 181^2 = 32,761, which fits
/// in 16 bits.
pub(super) const LONGEST_ROUNDED: f64 = 181.0;
/// With more dimensions, rounding errors would use up [`LONGEST_ROUNDED`].
pub(super) const MOST_KEPT: usize = 1 << 14;
/// Products of a position's and a term's number in the bound, at each stage.
pub(super) const PRODUCTS: usize = 3;
/// More than the float32 rounding of a threshold, relative to each magnitude that is added: about
/// five operations, 2^-24 each.
pub(super) const ROUNDING: f64 = 2e-6;
/// One for the truncation of a conversion to an integer, one for the rounding of a sum of small
/// magnitudes.
pub(super) const MARGIN: f64 = 2.0;
/// Products of longer vectors may overflow float32, and nothing is proved about them.
pub(super) const LONGEST: f64 = 1e18;
/// Fits in i32, and exceeds every integer dot product.
pub(super) const RANGE: f32 = 1e9;

/// The screening basis, as texts need it.
#[derive(Debug)]
pub(super) struct Space {
    /// T, `[width, width]`, row by row.
    pub(super) to_basis: Vec<f64>,
    pub(super) width: usize,
    pub(super) kept: usize,
    /// The error of float arithmetic and of the inverse, relative to the norms of the vectors.
    pub(super) slack: f64,
    /// Replaces the mean of short texts, `[width]`.
    pub(super) typical: Vec<f32>,
    pub(super) layout: Layout,
}

/// How many dimensions of a term lie together: as many as an instruction sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Two, summed in 16 bits.
    Pairs,
    /// Four, summed in 32 bits.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only VNNI takes four"))]
    Quads,
}

impl Layout {
    pub(super) fn dimensions(self) -> usize {
        match self {
            Layout::Pairs => 2,
            Layout::Quads => 4,
        }
    }
}

/// A vector split and rounded: `vector = scale * q + rest` on the kept dimensions, with the norms
/// that bound each stage.
pub(super) struct Rounded {
    pub(super) q: Vec<i32>,
    pub(super) stages: Vec<StageNorms>,
}

/// Over the dimensions up to the end of a stage: the norms of the vector, of the rounded vector and
/// of their difference. `tail` is the norm of all later dimensions.
#[derive(Debug, Clone, Copy)]
pub(super) struct StageNorms {
    pub(super) kept: f64,
    pub(super) rounded: f64,
    pub(super) rest: f64,
    pub(super) tail: f64,
}

pub(super) fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

/// The number of stages of so many kept dimensions.
pub(super) fn stages(kept: usize) -> usize {
    kept.div_ceil(STAGE)
}

#[inline(always)]
pub(super) fn round(vector: &[f64], kept: usize, scale: f64, levels: f64) -> Rounded {
    // A loop: the closures of `collect` are not compiled for the caller's instruction set.
    let mut q = vec![0; kept];
    for (q, x) in q.iter_mut().zip(vector) {
        *q = (x / scale).round_ties_even().clamp(-levels, levels) as i32;
    }
    // Summed from the end, since a difference of sums would cancel.
    let mut behind = vec![0.0; vector.len() + 1];
    for (i, x) in vector.iter().enumerate().rev() {
        behind[i] = behind[i + 1] + x * x;
    }
    let (mut kept_sum, mut rounded, mut rest) = (0.0, 0.0, 0.0);
    let mut norms = Vec::with_capacity(stages(kept));
    for (stage, (values, q)) in vector[..kept].chunks(STAGE).zip(q.chunks(STAGE)).enumerate() {
        for (&x, &q) in values.iter().zip(q) {
            let near = scale * f64::from(q);
            kept_sum += x * x;
            rounded += near * near;
            rest += (x - near) * (x - near);
        }
        let tail = behind[kept.min((stage + 1) * STAGE)];
        norms.push(StageNorms {
            kept: kept_sum.sqrt(),
            rounded: rounded.sqrt(),
            rest: rest.sqrt(),
            tail: tail.sqrt(),
        });
    }
    Rounded { q, stages: norms }
}

/// The smallest scale with which no value exceeds `levels` and the rounded vector is no longer than
/// [`LONGEST_ROUNDED`]; zero for a vector of zeros.
pub(super) fn least_scale(vector: &[f64], levels: f64) -> f64 {
    let most = vector.iter().map(|x| x.abs()).fold(0.0, f64::max);
    // Rounding moves no value by more than 1/2.
    let moved = (vector.len() as f64).sqrt() / 2.0;
    (most / levels).max(norm(vector.iter().copied()) / (LONGEST_ROUNDED - moved))
}

/// The divisor for a scale.
pub(super) fn divisor(scale: f64) -> f64 {
    if scale > 0.0 { scale } else { 1.0 }
}

/// `row [width] x matrix [width, width]`, in float64.
#[inline(always)]
pub(super) fn transform(row: &[f64], matrix: &[f64], out: &mut [f64]) {
    out.fill(0.0);
    for (&x, column) in row.iter().zip(matrix.chunks_exact(row.len())) {
        for (out, m) in out.iter_mut().zip(column) {
            *out += x * m;
        }
    }
}

/// A length rounded up; infinite above [`LONGEST`].
pub(super) fn provable(length: f64) -> f32 {
    if length <= LONGEST { round_up(length) } else { f32::INFINITY }
}

/// A float32 that is not below x, with a margin that covers the rounding of products with it.
pub(super) fn round_up(x: f64) -> f32 {
    (x * (1.0 + ROUNDING)) as f32
}

/// A float32 below a positive x, with a margin that covers the rounding of the division that made
/// it.
#[inline(always)]
pub(super) fn round_down(x: f32) -> f32 {
    x * (1.0 - ROUNDING as f32)
}

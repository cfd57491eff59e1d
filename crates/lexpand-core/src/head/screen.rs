//! Which positions of a text can activate a term at all? Answered in small integers, with a proof.
//!
//! Nearly all pairs of a position and a term are far from active (with splade-tiny 99.99 %, the median logit is -7), and
//! most of what distinguishes terms is the same for all positions of a text. So a text's states are taken as their mean m
//! (of a short text, a typical state, whose products are known) and what is left, d = h - m. `m . w + b` is one number a
//! term; `d . w` is bounded in a basis in which few dimensions carry most of it: `d' = d T`, `w' = w S` with `T S' = I`. Of
//! the first K dimensions the dot product is taken in 7-bit integers, the others are bounded. With q the rounded vectors, s their scales, e = first part - s q and t the rest:
//!
//! `d . w <= s_d s_w (q_d . q_w) + |e_d| |w'_K| + |s_d q_d| |e_w| + |t_d| |t_w| + slack`
//!
//! by Cauchy-Schwarz for each term of `d'_K . w'_K = (s q_d + e_d) . w'_K`. A pair whose bound plus `m . w + b` is not above
//! zero is left out; all others are computed in float32 by the tile kernel, to the same bits as without screening.
//!
//! The bound is looked at after every [`STAGE`] dimensions, for a tile of positions and a group of terms at a time, and
//! what is proved is not summed further. So likes are put together: positions of a text by falling |d'|, terms by how near
//! a typical state brings them to activity. Any basis and any order give the same result; good ones leave out more.
//!
//! The integers are so short that no sum of products leaves 16 bits (Cauchy-Schwarz again), and may wrap on the way.

mod group;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pairing;
#[cfg(test)]
mod tests;
mod text;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::Basis;
use super::encode::in_parallel;
use super::pack::{PANEL, Panels};
use crate::{Error, Result};
pub(super) use group::GroupDots;
use group::{Group, GroupNumbers, Packing, StageProducts};
pub(super) use pairing::Passed;
use pairing::Screener;
pub(super) use text::ScreenedText;

/// Positions in a tile of the integer kernels.
const ROWS: usize = 4;
/// Panels that are screened together, and their terms: four rows by 32 sums of 16 bits are 8 registers of AVX2.
pub(super) const PANELS: usize = 2;
const TERMS: usize = PANELS * PANEL;
/// Dimensions between two looks at the bound.
const STAGE: usize = 32;
/// Largest magnitudes of rounded values. Weights are stored as `q + SHIFT`, at most 127: two products of 127 and 127 are
/// below the 32,767 at which AVX2 would saturate.
const STATE_LEVELS: f64 = 127.0;
const WEIGHT_LEVELS: f64 = 63.0;
const SHIFT: i32 = 64;
/// Largest norm of a rounded vector: no dot product of two is past 181^2 = 32,761, within 16 bits.
const LONGEST_ROUNDED: f64 = 181.0;
/// Of more dimensions, what rounding moves would leave nothing of that.
const MOST_KEPT: usize = 1 << 14;
/// Terms of the bound that are products of a position's and a term's number, at each stage.
const PRODUCTS: usize = 3;
/// More than the rounding of the float32 operations of a threshold, relative to each of the magnitudes that they add: some
/// five of them, 2^-24 each.
const ROUNDING: f64 = 2e-6;
/// One for what a conversion to an integer cuts off, one for the rounding of a sum of small magnitudes.
const MARGIN: f64 = 2.0;
/// Products of longer vectors may overflow float32 on the way, and nothing is proved of them.
const LONGEST: f64 = 1e18;
/// Within i32, and past every integer dot product.
const RANGE: f32 = 1e9;

/// The decoder in the screening basis.
#[derive(Debug)]
pub(super) struct Screen {
    /// T, `[width, width]`, row by row.
    to_basis: Vec<f64>,
    width: usize,
    kept: usize,
    /// What float arithmetic and the inverse may be off, relative to the norms of the vectors.
    slack: f64,
    /// Stands for the mean of short texts, `[width]`.
    typical: Vec<f32>,
    screener: Screener,
    groups: Vec<GroupNumbers>,
    /// Of each group one after the other, as the layout has it: `q_w + SHIFT` of all stages.
    weights: Vec<u8>,
    /// Of each group, at the end of each stage.
    products: Vec<StageProducts>,
}

/// How many dimensions lie together, term by term: as many as an instruction adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Two, summed in 16 bits.
    Pairs,
    /// Four, summed in 32 bits.
    Quads,
}

impl Layout {
    fn dimensions(self) -> usize {
        match self {
            Layout::Pairs => 2,
            Layout::Quads => 4,
        }
    }
}

/// A vector split and rounded: `vector = scale * q + rest` on the kept dimensions. Of each stage, the norms that bound it.
struct Rounded {
    q: Vec<i32>,
    stages: Vec<StageNorms>,
}

/// Of the dimensions up to the end of a stage: norms of the vector, of what it was rounded to and of the difference; and the
/// norm of all dimensions behind.
#[derive(Debug, Clone, Copy)]
struct StageNorms {
    kept: f64,
    rounded: f64,
    rest: f64,
    tail: f64,
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

/// Stages of so many kept dimensions.
fn stages(kept: usize) -> usize {
    kept.div_ceil(STAGE)
}

#[inline(always)]
fn round(vector: &[f64], kept: usize, scale: f64, levels: f64) -> Rounded {
    // A loop, for what `collect` calls is not compiled for the caller's instructions.
    let mut q = vec![0; kept];
    for (q, x) in q.iter_mut().zip(vector) {
        *q = (x / scale).round_ties_even().clamp(-levels, levels) as i32;
    }
    // Summed from the end: a difference of sums would cancel.
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
        norms.push(StageNorms { kept: kept_sum.sqrt(), rounded: rounded.sqrt(), rest: rest.sqrt(), tail: tail.sqrt() });
    }
    Rounded { q, stages: norms }
}

/// The least scale with which no value of a vector is above `levels`, nor the rounded vector longer than
/// [`LONGEST_ROUNDED`]; zero for a vector of zeros.
fn least_scale(vector: &[f64], levels: f64) -> f64 {
    let most = vector.iter().map(|x| x.abs()).fold(0.0, f64::max);
    // Rounding moves no value by more than a half.
    let moved = (vector.len() as f64).sqrt() / 2.0;
    (most / levels).max(norm(vector.iter().copied()) / (LONGEST_ROUNDED - moved))
}

/// What a vector of that scale is divided by.
fn divisor(scale: f64) -> f64 {
    if scale > 0.0 { scale } else { 1.0 }
}

/// `row [width] x matrix [width, width]`, in float64.
#[inline(always)]
fn transform(row: &[f64], matrix: &[f64], out: &mut [f64]) {
    out.fill(0.0);
    for (&x, column) in row.iter().zip(matrix.chunks_exact(row.len())) {
        for (out, m) in out.iter_mut().zip(column) {
            *out += x * m;
        }
    }
}

/// A length, upwards; infinite past [`LONGEST`].
fn provable(length: f64) -> f32 {
    if length <= LONGEST { round_up(length) } else { f32::INFINITY }
}

/// A float32 that is not below x, by a margin that covers the rounding of products with it.
fn round_up(x: f64) -> f32 {
    (x * (1.0 + ROUNDING)) as f32
}

/// A float32 that is below a positive x by a margin that covers the rounding of the division that made it.
#[inline(always)]
fn round_down(x: f32) -> f32 {
    x * (1.0 - ROUNDING as f32)
}

impl Screen {
    /// Turns the decoder into the basis.
    ///
    /// # Errors
    /// [`Error::Invalid`] where sizes do not fit, or T S' is not the identity to 1e-6.
    fn new(panels: &Panels, basis: Basis<'_>, screener: Screener, threads: usize) -> Result<Self> {
        let Basis { to_basis, back, kept, .. } = basis;
        let width = panels.width();
        if kept == 0 || kept > width.min(MOST_KEPT) || to_basis.len() != width * width || back.len() != width * width {
            return Err(Error::invalid(format!(
                "screening: {kept} dimensions kept of {width}, with matrices of {} and {} values",
                to_basis.len(),
                back.len()
            )));
        }
        let error = distance_from_identity(to_basis, back, width);
        if error.is_nan() || error > 1e-6 {
            return Err(Error::invalid(format!(
                "screening: the basis is not inverted by its inverse (off by {error:e})"
            )));
        }
        // What may be off, / (|h| |w|): the inverse; both changes of basis in float64, which an ill-conditioned basis
        // magnifies by the norms of its matrices; the float32 dot products of the tile kernel.
        let norms = norm(to_basis.iter().copied()) * norm(back.iter().copied());
        let turning = 4.0 * (width + 8) as f64 * f64::EPSILON * norms;
        let slack = error + turning + (width + 8) as f64 * f64::from(f32::EPSILON);
        let typical: Vec<f32> = (0..width).map(|i| basis.typical.get(i).map_or(0.0, |&x| x as f32)).collect();
        let packing = Packing { panels, back, kept, typical: &typical, layout: screener.layout };
        let packed = in_parallel(panels.len().div_ceil(PANELS), threads, |i| packing.group(i));
        let weights = packed.iter().flat_map(|group| &group.weights).copied().collect();
        let products = packed.iter().flat_map(|group| &group.products).copied().collect();
        let groups = packed.into_iter().map(|group| group.numbers).collect();
        Ok(Screen { to_basis: to_basis.to_vec(), width, kept, slack, typical, screener, groups, weights, products })
    }

    /// What `new` makes for this processor; none where the float32 kernel alone is as fast.
    ///
    /// # Errors
    /// [`Error::Invalid`] where sizes do not fit, or the basis is not inverted.
    pub(super) fn of(panels: &Panels, basis: Basis<'_>, threads: usize) -> Result<Option<Self>> {
        let screener = pairing::screener();
        // Without one too, for a basis that is none is refused everywhere.
        let screen = Self::new(panels, basis, screener.unwrap_or(Screener::PORTABLE), threads)?;
        Ok(screener.map(|_| screen))
    }

    /// A group of [`PANELS`] panels.
    #[inline(always)]
    fn group(&self, i: usize) -> Group<'_> {
        let stages = stages(self.kept);
        let size = stages * STAGE * TERMS;
        Group {
            numbers: &self.groups[i],
            weights: &self.weights[i * size..(i + 1) * size],
            products: &self.products[i * stages..(i + 1) * stages],
            layout: self.screener.layout,
        }
    }

    /// Finds the positions of a text that can activate a term, for each panel of group i. `own` are the dot products of the
    /// text's mean with the terms, where it has one.
    #[inline]
    pub(super) fn pass(&self, text: &ScreenedText, i: usize, own: Option<&GroupDots>, out: &mut Passed) {
        let group = self.group(i);
        (self.screener.screen)(text, group, own.unwrap_or(&group.numbers.typical_dots), out);
    }

    /// Turns a text `[positions, width]` into the basis; `batch` is the number of positions of all texts of its batch.
    pub(super) fn text(&self, text: &[f32], batch: usize) -> ScreenedText {
        ScreenedText::new(text, self, batch)
    }
}

fn distance_from_identity(to_basis: &[f64], back: &[f64], width: usize) -> f64 {
    let entry = |i: usize, j: usize| -> f64 {
        let dot: f64 = (0..width).map(|k| to_basis[i * width + k] * back[j * width + k]).sum();
        dot - if i == j { 1.0 } else { 0.0 }
    };
    norm((0..width).flat_map(|i| (0..width).map(move |j| (i, j))).map(|(i, j)| entry(i, j)))
}

/// Places of the terms, those first that the typical state brings nearest to activity, by its distance in norms of their rows.
///
/// # Errors
/// [`Error::Invalid`] where the typical state has another width.
pub(super) fn order(panels: &Panels, basis: Basis<'_>) -> Result<Vec<u32>> {
    let typical = basis.typical;
    if !typical.is_empty() && typical.len() != panels.width() {
        return Err(Error::invalid(format!(
            "screening: a typical state of {} values for a width of {}",
            typical.len(),
            panels.width()
        )));
    }
    let nearness = |place: usize| -> f64 {
        let row = || panels.row(place).map(f64::from);
        let logit = row().zip(typical).map(|(w, h)| w * h).sum::<f64>() + f64::from(panels.bias(place));
        logit / norm(row()).max(f64::MIN_POSITIVE)
    };
    let nearness: Vec<f64> = (0..panels.terms().len()).map(nearness).collect();
    let mut places: Vec<u32> = (0..nearness.len() as u32).collect();
    places.sort_by(|&a, &b| nearness[b as usize].total_cmp(&nearness[a as usize]));
    Ok(places)
}

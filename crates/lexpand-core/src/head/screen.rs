//! Which positions of a text can activate a term at all? Answered in small integers, with a proof.
//!
//! Nearly all pairs of a position and a term are far from active (with splade-tiny 99.99 %, the median logit is -7). So hidden
//! state h and decoder row w are turned into a basis in which few dimensions carry most of `h . w`:
//! `h' = h T`, `w' = w S` with `T S' = I`. Of the first `kept` dimensions the dot product is taken in 7-bit integers, and
//! the rest is bounded. With q the rounded vectors, s their scales, d = kept part - s q and t the tail:
//!
//! `h . w <= s_h s_w (q_h . q_w) + |d_h| |w'_kept| + |s_h q_h| |d_w| + |t_h| |t_w| + |h| |w| slack`
//!
//! by Cauchy-Schwarz for each term of `h'_kept . w'_kept = (s q_h + d_h) . w'_kept`. A pair whose bound plus bias is not
//! above zero is left out; all others are computed in float32 by the tile kernel, to the same bits as without screening.
//! Any basis gives the same result; a good one leaves out more.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(test)]
mod tests;

use super::Basis;
use super::encode::in_parallel;
use super::pack::{PANEL, Panels};
use crate::{Error, Result};

/// Positions in a tile of the integer kernel: 6 accumulators for 8 terms at a time leave 10 registers for the rest.
const ROWS: usize = 6;
/// Dimensions that the integer kernel takes at once.
const STEP: usize = 8;
/// Largest magnitude of a rounded value. Two products of `q + 64 <= 127` and 63, twice: below the 32,767 at which the
/// 16-bit sums of AVX2 would saturate.
const LEVELS: f64 = 63.0;
const SHIFT: i32 = 64;
/// Terms of the bound that are products of a position's and a term's number.
const PRODUCTS: usize = 4;
/// More than the rounding of the float32 operations of a threshold, relative to the sum of magnitudes: some ten of them,
/// 2^-24 each. One unit more for the rounding down to an integer.
const ROUNDING: f32 = 2e-6;
const MARGIN: f32 = 1.0;
/// Within i32, and past every integer dot product.
const RANGE: f32 = 1e9;

/// The decoder in the screening basis.
#[derive(Debug)]
pub(super) struct Screen {
    /// T, `[width, width]`, row by row.
    to_basis: Vec<f64>,
    width: usize,
    /// Dimensions of the integer dot product, a multiple of [`STEP`]; those past `kept` are zero.
    dimensions: usize,
    kept: usize,
    panels: Vec<ScreenPanel>,
}

/// One panel's terms: integers in the kernel's order and the numbers of their thresholds.
#[derive(Debug)]
pub(super) struct ScreenPanel {
    /// `[dimensions / 4, PANEL, 4]`
    weights: Vec<i8>,
    /// `SHIFT * sum of q_w`: what the shift of q_h adds to the dot product.
    shift: [f32; PANEL],
    /// Bias / s_w.
    bias: [f32; PANEL],
    /// The term's side of each product, / s_w.
    products: [[f32; PANEL]; PRODUCTS],
}

/// A text in the screening basis.
#[derive(Debug, Default)]
pub(super) struct ScreenedText {
    /// `q_h + SHIFT`, `[tiles, dimensions / STEP, ROWS, STEP]`.
    states: Vec<u8>,
    /// For each tile, the largest of its positions' side of each product, / s_h.
    products: Vec<[f32; PRODUCTS]>,
    inverse_scale: f32,
    positions: usize,
}

/// A vector split and rounded: `vector = scale * q + rest` on the kept dimensions, and the tail.
struct Rounded {
    q: Vec<i32>,
    kept: f64,
    rounded: f64,
    rest: f64,
    tail: f64,
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

fn round(vector: &[f64], kept: usize, scale: f64) -> Rounded {
    let q: Vec<i32> = vector[..kept].iter().map(|x| (x / scale).round().clamp(-LEVELS, LEVELS) as i32).collect();
    let rest = norm(vector[..kept].iter().zip(&q).map(|(x, &q)| x - scale * f64::from(q)));
    let rounded = scale * norm(q.iter().map(|&q| f64::from(q)));
    Rounded { kept: norm(vector[..kept].iter().copied()), tail: norm(vector[kept..].iter().copied()), q, rounded, rest }
}

/// A scale with which no kept value is above [`LEVELS`]; never zero.
fn scale_of(values: impl Iterator<Item = f64>) -> f64 {
    let most = values.map(f64::abs).fold(0.0, f64::max);
    if most > 0.0 { most / LEVELS } else { 1.0 }
}

/// `rows [n, width] x matrix [width, width]`, a row at a time, in float64.
fn transform(row: &[f32], matrix: &[f64], out: &mut [f64]) {
    out.fill(0.0);
    for (&x, column) in row.iter().zip(matrix.chunks_exact(row.len())) {
        let x = f64::from(x);
        for (out, m) in out.iter_mut().zip(column) {
            *out += x * m;
        }
    }
}

impl Screen {
    /// Turns the decoder into the basis.
    ///
    /// # Errors
    /// [`Error::Invalid`] where sizes do not fit, or T S' is not the identity to 1e-6.
    pub(super) fn new(panels: &Panels, basis: Basis<'_>, threads: usize) -> Result<Self> {
        let Basis { to_basis, back, kept } = basis;
        let width = panels.width();
        if kept == 0 || kept > width || to_basis.len() != width * width || back.len() != width * width {
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
        // magnifies by the norms of its matrices; the float32 dot product of the tile kernel.
        let norms = norm(to_basis.iter().copied()) * norm(back.iter().copied());
        let turning = 4.0 * (width + 8) as f64 * f64::EPSILON * norms;
        let slack = error + turning + (width + 8) as f64 * f64::from(f32::EPSILON);
        let packed = in_parallel(panels.len(), threads, |i| ScreenPanel::pack(panels, i, back, kept, slack));
        let dimensions = kept.next_multiple_of(STEP);
        Ok(Screen { to_basis: to_basis.to_vec(), width, dimensions, kept, panels: packed })
    }

    pub(super) fn panel(&self, i: usize) -> &ScreenPanel {
        &self.panels[i]
    }

    /// Turns a text `[positions, width]` into the basis.
    pub(super) fn text(&self, text: &[f32]) -> ScreenedText {
        let positions = text.len() / self.width;
        let mut turned = vec![0.0; text.len()];
        for (row, out) in text.chunks_exact(self.width).zip(turned.chunks_exact_mut(self.width)) {
            transform(row, &self.to_basis, out);
        }
        let scale = scale_of(turned.chunks_exact(self.width).flat_map(|row| &row[..self.kept]).copied());
        let tiles = positions.div_ceil(ROWS);
        let mut out = ScreenedText {
            states: vec![SHIFT as u8; tiles * ROWS * self.dimensions],
            products: vec![[0.0; PRODUCTS]; tiles],
            inverse_scale: (1.0 / scale) as f32,
            positions,
        };
        let rows = text.chunks_exact(self.width).zip(turned.chunks_exact(self.width));
        for (position, (row, turned)) in rows.enumerate() {
            let rounded = round(turned, self.kept, scale);
            for (i, q) in rounded.q.iter().enumerate() {
                out.states[place(position, i, self.dimensions)] = (q + SHIFT) as u8;
            }
            let length = norm(row.iter().map(|&x| f64::from(x)));
            let sides = [rounded.rest, rounded.rounded, rounded.tail, length];
            for (most, side) in out.products[position / ROWS].iter_mut().zip(sides) {
                *most = most.max(round_up(side / scale));
            }
        }
        out
    }
}

/// Where a dimension of a position lies among the states.
fn place(position: usize, i: usize, dimensions: usize) -> usize {
    let (tile, row) = (position / ROWS, position % ROWS);
    tile * ROWS * dimensions + (i / STEP * ROWS + row) * STEP + i % STEP
}

/// A float32 that is not below x, by a margin that covers the rounding of products with it.
fn round_up(x: f64) -> f32 {
    (x * (1.0 + 1e-6)) as f32
}

fn distance_from_identity(to_basis: &[f64], back: &[f64], width: usize) -> f64 {
    let entry = |i: usize, j: usize| -> f64 {
        let dot: f64 = (0..width).map(|k| to_basis[i * width + k] * back[j * width + k]).sum();
        dot - if i == j { 1.0 } else { 0.0 }
    };
    norm((0..width).flat_map(|i| (0..width).map(move |j| (i, j))).map(|(i, j)| entry(i, j)))
}

impl ScreenPanel {
    fn pack(panels: &Panels, i: usize, back: &[f64], kept: usize, slack: f64) -> Self {
        let (weights, bias) = panels.panel(i);
        let mut packed = ScreenPanel {
            weights: vec![0; kept.next_multiple_of(STEP) * PANEL],
            // Terms that fill up the last panel never pass.
            shift: [RANGE; PANEL],
            bias: [0.0; PANEL],
            products: [[0.0; PANEL]; PRODUCTS],
        };
        let mut turned = vec![0.0; panels.width()];
        for j in (0..PANEL).filter(|&j| bias[j].is_finite()) {
            let row: Vec<f32> = weights.iter().skip(j).step_by(PANEL).copied().collect();
            transform(&row, back, &mut turned);
            let scale = scale_of(turned[..kept].iter().copied());
            let rounded = round(&turned, kept, scale);
            for (i, &q) in rounded.q.iter().enumerate() {
                packed.weights[(i / 4 * PANEL + j) * 4 + i % 4] = q as i8;
            }
            packed.shift[j] = (SHIFT * rounded.q.iter().sum::<i32>()) as f32;
            packed.bias[j] = (f64::from(bias[j]) / scale) as f32;
            let length = norm(row.iter().map(|&x| f64::from(x)));
            let sides = [rounded.kept, rounded.rest, rounded.tail, length * slack];
            for (products, side) in packed.products.iter_mut().zip(sides) {
                products[j] = round_up(side / scale);
            }
        }
        packed
    }

    /// What the integer dot product of each term must exceed in one tile for the pair to be looked at.
    #[expect(clippy::manual_clamp, reason = "`clamp` would keep a NaN")]
    #[inline(always)]
    fn thresholds(&self, text: &ScreenedText, tile: usize) -> [f32; PANEL] {
        let sides = &text.products[tile];
        std::array::from_fn(|j| {
            let bound = (0..PRODUCTS).fold(0.0, |sum, r| sum + sides[r] * self.products[r][j]);
            let bias = self.bias[j] * text.inverse_scale;
            let rounding = (self.shift[j].abs() + bias.abs() + bound) * ROUNDING + MARGIN;
            // Infinities of extreme scales can make this NaN, which `max` turns into a threshold that all exceed.
            (self.shift[j] - bias - bound - rounding).floor().max(-RANGE).min(RANGE)
        })
    }
}

/// Finds the positions of a text that can activate a term of a panel; ascending.
pub(super) type Screener = fn(&ScreenedText, &ScreenPanel, &mut Vec<u32>);

/// The screener for this processor; none where the float32 kernel alone is as fast.
pub(super) fn screener() -> Option<Screener> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the feature that the function is compiled for was just detected.
        return Some(|text, panel, out| unsafe { avx2::screen(text, panel, out) });
    }
    None
}

/// The same in plain integers: the twin that the fast ones are tested against.
#[cfg_attr(not(test), expect(dead_code, reason = "a twin for tests"))]
pub(super) fn screen_portable(text: &ScreenedText, panel: &ScreenPanel, out: &mut Vec<u32>) {
    let dimensions = panel.weights.len() / PANEL;
    out.clear();
    for position in 0..text.positions {
        let thresholds = panel.thresholds(text, position / ROWS);
        let state = |i: usize| i32::from(text.states[place(position, i, dimensions)]);
        let passes = (0..PANEL).any(|j| {
            let weight = |i: usize| i32::from(panel.weights[(i / 4 * PANEL + j) * 4 + i % 4]);
            (0..dimensions).map(|i| state(i) * weight(i)).sum::<i32>() > thresholds[j] as i32
        });
        if passes {
            out.push(position as u32);
        }
    }
}

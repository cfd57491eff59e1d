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
//! The bound is looked at after every [`STAGE`] dimensions, for a tile of positions and half a panel of terms at a time, and
//! what is proved is not summed further. So likes are put together: positions of a text by falling |d'|, terms by how near
//! a typical state brings them to activity. Any basis and any order give the same result; good ones leave out more.

#[cfg(target_arch = "aarch64")]
mod neon;
mod panel;
#[cfg(test)]
mod tests;
mod text;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::Basis;
use super::encode::in_parallel;
use super::pack::{PANEL, Panels};
use crate::{Error, Result};
pub(super) use panel::ScreenPanel;
pub(super) use text::ScreenedText;

/// Positions in a tile of the integer kernel: 6 accumulators for 8 terms at a time leave 10 registers for the rest.
const ROWS: usize = 6;
/// Dimensions that the integer kernel takes at once.
const STEP: usize = 8;
/// Dimensions between two looks at the bound.
const STAGE: usize = 32;
/// Terms that are summed and proved together: a vector of eight sums.
const LANES: usize = 8;
/// Largest magnitude of a rounded value. Two products of `q + 64 <= 127` and 63, twice: below the 32,767 at which the
/// 16-bit sums of AVX2 would saturate.
const LEVELS: f64 = 63.0;
const SHIFT: i32 = 64;
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
    panels: Vec<ScreenPanel>,
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

fn round(vector: &[f64], kept: usize, scale: f64) -> Rounded {
    let q: Vec<i32> = vector[..kept].iter().map(|x| (x / scale).round().clamp(-LEVELS, LEVELS) as i32).collect();
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

/// A scale with which no kept value is above [`LEVELS`]; never zero.
fn scale_of(values: impl Iterator<Item = f64>) -> f64 {
    let most = values.map(f64::abs).fold(0.0, f64::max);
    if most > 0.0 { most / LEVELS } else { 1.0 }
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

impl Screen {
    /// Turns the decoder into the basis.
    ///
    /// # Errors
    /// [`Error::Invalid`] where sizes do not fit, or T S' is not the identity to 1e-6.
    pub(super) fn new(panels: &Panels, basis: Basis<'_>, threads: usize) -> Result<Self> {
        let Basis { to_basis, back, kept, .. } = basis;
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
        // magnifies by the norms of its matrices; the float32 dot products of the tile kernel.
        let norms = norm(to_basis.iter().copied()) * norm(back.iter().copied());
        let turning = 4.0 * (width + 8) as f64 * f64::EPSILON * norms;
        let slack = error + turning + (width + 8) as f64 * f64::from(f32::EPSILON);
        let typical: Vec<f32> = (0..width).map(|i| basis.typical.get(i).map_or(0.0, |&x| x as f32)).collect();
        let packed = in_parallel(panels.len(), threads, |i| ScreenPanel::pack(panels, i, back, kept, &typical));
        Ok(Screen { to_basis: to_basis.to_vec(), width, kept, slack, typical, panels: packed })
    }

    pub(super) fn panel(&self, i: usize) -> &ScreenPanel {
        &self.panels[i]
    }

    /// Turns a text `[positions, width]` into the basis.
    pub(super) fn text(&self, text: &[f32]) -> ScreenedText {
        ScreenedText::new(text, self)
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

/// One text against one panel of terms.
#[derive(Clone, Copy)]
pub(super) struct Pairing<'a> {
    text: &'a ScreenedText,
    panel: &'a ScreenPanel,
    /// `m . w + b`, upwards by the slack, / (s_d s_w).
    base: [f32; PANEL],
    /// Tiles that must be looked at: the others have so small a |d'| that |d'| |w'| proves them.
    tiles: usize,
}

impl<'a> Pairing<'a> {
    /// `dots` are the float32 dot products of the text's m with the panel's terms.
    #[inline(always)]
    pub(super) fn new(text: &'a ScreenedText, panel: &'a ScreenPanel, dots: &[f32; PANEL]) -> Self {
        let base = panel.base(text, dots);
        // A NaN, of infinities of extreme scales, is no proof.
        let proved = |longest: f32| (0..PANEL).all(|j| base[j] + longest * panel.length(j) < 0.0);
        let tiles = text.lengths().partition_point(|&longest| !proved(longest));
        Pairing { text, panel, base, tiles }
    }

    /// What the integer dot product of each of eight terms must exceed at the end of a stage for a pair to stay. Where that
    /// is not a number, of infinities of extreme scales, all pairs stay.
    #[inline(always)]
    fn integer_thresholds(&self, tile: usize, stage: usize, half: usize) -> [i32; LANES] {
        let sides = self.text.sides(tile, stage);
        let (shift, products) = self.panel.stage(stage, half);
        std::array::from_fn(|j| {
            let apart = shift[j] - self.base[half * LANES + j];
            let threshold = (0..PRODUCTS).fold(apart, |left, r| left - sides[r] * products[r][j]);
            if threshold.is_nan() { i32::MIN } else { threshold.min(RANGE) as i32 }
        })
    }

    /// Appends the positions of a tile whose bit is set.
    #[inline(always)]
    fn take(&self, tile: usize, passed: u32, out: &mut Vec<u32>) {
        out.extend(self.text.positions(tile).iter().enumerate().filter(|(r, _)| passed >> r & 1 != 0).map(|(_, &p)| p));
    }
}

/// Finds the positions of a text that can activate a term of a panel; ascending.
pub(super) type Screener = fn(Pairing<'_>, &mut Vec<u32>);

/// The screener for this processor; none where the float32 kernel alone is as fast.
pub(super) fn screener() -> Option<Screener> {
    #[cfg(target_arch = "x86_64")]
    return x86::screener();
    #[cfg(target_arch = "aarch64")]
    return Some(neon::screen);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    None
}

/// The same in plain integers: the twin that the fast ones are tested against.
#[cfg_attr(not(test), expect(dead_code, reason = "a twin for tests"))]
pub(super) fn screen_portable(pairing: Pairing<'_>, out: &mut Vec<u32>) {
    out.clear();
    for tile in 0..pairing.tiles {
        let half =
            |half: usize| (0..ROWS).filter(|&r| passes(&pairing, tile, r, half)).fold(0, |bits, r| bits | 1 << r);
        pairing.take(tile, half(0) | half(1), out);
    }
    out.sort_unstable();
}

/// Whether the tile is left at every stage, and the position at the last.
fn passes(pairing: &Pairing<'_>, tile: usize, row: usize, half: usize) -> bool {
    let exceeds = |row: usize, stage: usize| {
        let thresholds = pairing.integer_thresholds(tile, stage, half);
        (0..LANES).any(|j| {
            let dimensions = 0..(stage + 1) * STAGE;
            let sum: i32 =
                dimensions.map(|i| pairing.text.state(tile, row, i) * pairing.panel.weight(i, half * LANES + j)).sum();
            sum > thresholds[j]
        })
    };
    let last = pairing.panel.stages() - 1;
    (0..last).all(|stage| (0..ROWS).any(|row| exceeds(row, stage))) && exceeds(row, last)
}

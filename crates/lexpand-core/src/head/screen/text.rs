//! The text's side of the bound.

use super::{PRODUCTS, ROWS, SHIFT, STAGE, STEP, Screen, norm, provable, round, round_up, scale_of, stages, transform};

/// Positions from which a text's own mean is worth its products with all terms.
const OWN_MEAN: usize = 36;

/// A text in the screening basis.
#[derive(Debug)]
pub(in crate::head) struct ScreenedText {
    /// m, the mean of its states; none where the typical state stands for it.
    mean: Option<Vec<f32>>,
    /// `q_d + SHIFT`, `[tiles, dimensions / STEP, ROWS, STEP]`; positions in the order of `order`.
    states: Vec<u8>,
    /// Positions by falling |d'|.
    order: Vec<u32>,
    /// For each tile and stage, the largest of its positions' side of each product, / s_d.
    sides: Vec<[f32; PRODUCTS]>,
    /// For each tile, the largest |d'| / s_d; falling.
    lengths: Vec<f32>,
    inverse_scale: f32,
    slack: f32,
    stages: usize,
}

impl ScreenedText {
    /// `text` is `[positions, width]`.
    pub(super) fn new(text: &[f32], screen: &Screen) -> Self {
        let Screen { width, kept, .. } = *screen;
        let positions = text.len() / width;
        let mean = (positions >= OWN_MEAN).then(|| mean_of(text, width));
        let middle = mean.as_ref().unwrap_or(&screen.typical);
        let left: Vec<f64> = text
            .chunks_exact(width)
            .flat_map(|row| row.iter().zip(middle).map(|(&h, &m)| f64::from(h) - f64::from(m)))
            .collect();
        let turned = turn(&left, &screen.to_basis, width);
        let scale = scale_of(turned.chunks_exact(width).flat_map(|row| &row[..kept]).copied());
        let lengths: Vec<f64> = turned.chunks_exact(width).map(|row| norm(row.iter().copied())).collect();
        let mut order: Vec<u32> = (0..positions as u32).collect();
        order.sort_by(|&a, &b| lengths[b as usize].total_cmp(&lengths[a as usize]));

        let (tiles, stages) = (positions.div_ceil(ROWS), stages(kept));
        let mut out = ScreenedText {
            states: vec![SHIFT as u8; tiles * ROWS * stages * STAGE],
            sides: vec![[0.0; PRODUCTS]; tiles * stages],
            lengths: order.iter().step_by(ROWS).map(|&p| round_up(lengths[p as usize] / scale)).collect(),
            inverse_scale: (1.0 / scale) as f32,
            // Of h, of m, and of d = h - m, which is not above |h| + |m|.
            slack: (screen.slack * 4.0) as f32 * provable(longest(text, width) + longest(middle, width)),
            mean,
            order,
            stages,
        };
        for rank in 0..positions {
            let row = &turned[out.order[rank] as usize * width..][..width];
            out.put(rank, row, kept, scale);
        }
        out
    }

    fn put(&mut self, rank: usize, turned: &[f64], kept: usize, scale: f64) {
        let rounded = round(turned, kept, scale);
        for (i, q) in rounded.q.iter().enumerate() {
            let at = self.place(rank / ROWS, rank % ROWS, i);
            self.states[at] = (q + SHIFT) as u8;
        }
        let first = rank / ROWS * self.stages;
        for (most, norms) in self.sides[first..].iter_mut().zip(&rounded.stages) {
            // In the order of `ScreenPanel`'s products.
            for (most, side) in most.iter_mut().zip([norms.rest, norms.rounded, norms.tail]) {
                *most = most.max(round_up(side / scale));
            }
        }
    }

    /// Where a dimension of a position lies among the states.
    fn place(&self, tile: usize, row: usize, i: usize) -> usize {
        tile * ROWS * self.stages * STAGE + (i / STEP * ROWS + row) * STEP + i % STEP
    }

    /// m, where the text has its own.
    pub(in crate::head) fn mean(&self) -> Option<&[f32]> {
        self.mean.as_deref()
    }

    /// `q_d + SHIFT` of a dimension of a position.
    pub(super) fn state(&self, tile: usize, row: usize, i: usize) -> i32 {
        i32::from(self.states[self.place(tile, row, i)])
    }

    /// The states of a tile, `[dimensions / STEP, ROWS, STEP]`.
    #[inline(always)]
    pub(super) fn tile(&self, tile: usize) -> &[u8] {
        let size = ROWS * self.stages * STAGE;
        &self.states[tile * size..(tile + 1) * size]
    }

    #[inline(always)]
    pub(super) fn sides(&self, tile: usize, stage: usize) -> &[f32; PRODUCTS] {
        &self.sides[tile * self.stages + stage]
    }

    /// The positions of a tile; fewer than [`ROWS`] in the last.
    #[inline(always)]
    pub(super) fn positions(&self, tile: usize) -> &[u32] {
        &self.order[tile * ROWS..self.order.len().min((tile + 1) * ROWS)]
    }

    pub(super) fn lengths(&self) -> &[f32] {
        &self.lengths
    }

    pub(super) fn inverse_scale(&self) -> f32 {
        self.inverse_scale
    }

    /// What float arithmetic may be off, / |w|.
    pub(super) fn slack(&self) -> f32 {
        self.slack
    }
}

/// The mean of rows; any vector would do for the bound.
fn mean_of(text: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; width];
    for row in text.chunks_exact(width) {
        for (sum, &x) in sums.iter_mut().zip(row) {
            *sum += f64::from(x);
        }
    }
    let rows = (text.len() / width).max(1) as f64;
    sums.iter().map(|sum| (sum / rows) as f32).collect()
}

/// The largest norm of a row.
fn longest(text: &[f32], width: usize) -> f64 {
    text.chunks_exact(width).map(|row| norm(row.iter().map(|&x| f64::from(x)))).fold(0.0, f64::max)
}

fn turn(rows: &[f64], to_basis: &[f64], width: usize) -> Vec<f64> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the feature that the function is compiled for was just detected.
        return unsafe { turn_avx2(rows, to_basis, width) };
    }
    turn_portable(rows, to_basis, width)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn turn_avx2(rows: &[f64], to_basis: &[f64], width: usize) -> Vec<f64> {
    turn_portable(rows, to_basis, width)
}

#[inline(always)]
fn turn_portable(rows: &[f64], to_basis: &[f64], width: usize) -> Vec<f64> {
    let mut turned = vec![0.0; rows.len()];
    for (row, out) in rows.chunks_exact(width).zip(turned.chunks_exact_mut(width)) {
        transform(row, to_basis, out);
    }
    turned
}

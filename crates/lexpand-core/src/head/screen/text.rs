//! The text's side of the bound.

use super::rounding::{
    Layout, PRODUCTS, ROWS, SHIFT, STAGE, STATE_LEVELS, Space, divisor, least_scale, norm,
    provable, round, round_up, stages,
};

/// From this many positions, a text's own mean is worth its products with all terms. And from this
/// many positions in the batch, it is worth reading the float32 weights for them, which short texts
/// seldom need otherwise.
const OWN_MEAN: usize = 36;
const OWN_MEANS: usize = 256;

/// A text in the screening basis.
#[derive(Debug)]
pub(in crate::head) struct ScreenedText {
    /// m, the mean of its states; None if the typical state replaces it.
    mean: Option<Vec<f32>>,
    /// q_d, `[tiles, dimensions / n, ROWS]` groups of n dimensions that lie together; pairs are
    /// stored twice. Positions are in the order of `order`.
    states: Vec<[i8; 4]>,
    /// For each tile and stage, `-SHIFT * sum of q_d` over the stage's dimensions, which removes
    /// the shift of the weights.
    shifts: Vec<[i32; ROWS]>,
    /// Positions by descending |d'|.
    order: Vec<u32>,
    /// For each tile and stage, the largest factor of its positions in each product, divided by
    /// s_d.
    sides: Vec<[f32; PRODUCTS]>,
    /// For each tile, the largest |d'| / s_d; descending.
    lengths: Vec<f32>,
    inverse_scale: f32,
    slack: f32,
    stages: usize,
    layout: Layout,
}

impl ScreenedText {
    /// `text` is `[positions, width]`; `batch` is the number of positions in its batch.
    pub(super) fn new(text: &[f32], space: &Space, batch: usize) -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the features that the function is compiled for were just detected.
            return unsafe { Self::new_avx2(text, space, batch) };
        }
        Self::new_portable::<{ cfg!(target_arch = "aarch64") }>(text, space, batch)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn new_avx2(text: &[f32], space: &Space, batch: usize) -> Self {
        Self::new_portable::<true>(text, space, batch)
    }

    #[inline(always)]
    fn new_portable<const FUSED: bool>(text: &[f32], space: &Space, batch: usize) -> Self {
        let (width, kept, layout) = (space.width, space.kept, space.layout);
        let positions = text.len() / width;
        let mean = (positions >= OWN_MEAN && batch >= OWN_MEANS).then(|| mean_of(text, width));
        let middle = mean.as_ref().unwrap_or(&space.typical);
        let turned = turn::<FUSED>(text, middle, &space.to_basis);
        let scales = turned.chunks_exact(width).map(|row| least_scale(&row[..kept], STATE_LEVELS));
        let scale = divisor(scales.fold(0.0, f64::max));
        let lengths: Vec<f64> =
            turned.chunks_exact(width).map(|row| norm(row.iter().copied())).collect();
        let mut order: Vec<u32> = (0..positions as u32).collect();
        order.sort_by(|&a, &b| lengths[b as usize].total_cmp(&lengths[a as usize]));

        let (tiles, stages) = (positions.div_ceil(ROWS), stages(kept));
        let mut out = ScreenedText {
            states: vec![[0; 4]; tiles * ROWS * stages * STAGE / layout.dimensions()],
            shifts: vec![[0; ROWS]; tiles * stages],
            sides: vec![[0.0; PRODUCTS]; tiles * stages],
            lengths: order
                .iter()
                .step_by(ROWS)
                .map(|&p| round_up(lengths[p as usize] / scale))
                .collect(),
            inverse_scale: (1.0 / scale) as f32,
            // Covers h, m and d = h - m, whose norm is at most |h| + |m|.
            slack: (space.slack * 4.0) as f32
                * provable(longest(text, width) + longest(middle, width)),
            mean,
            order,
            stages,
            layout,
        };
        for rank in 0..positions {
            let row = &turned[out.order[rank] as usize * width..][..width];
            out.put(rank, row, kept, scale);
        }
        out
    }

    #[inline(always)]
    fn put(&mut self, rank: usize, turned: &[f64], kept: usize, scale: f64) {
        let rounded = round(turned, kept, scale, STATE_LEVELS);
        let (tile, row) = (rank / ROWS, rank % ROWS);
        for (i, &q) in rounded.q.iter().enumerate() {
            let (at, lane) = self.place(tile, row, i);
            let (n, q) = (self.layout.dimensions(), q as i8);
            (lane..4).step_by(n).for_each(|lane| self.states[at][lane] = q);
        }
        for (stage, q) in rounded.q.chunks(STAGE).enumerate() {
            self.shifts[tile * self.stages + stage][row] = -SHIFT * q.iter().sum::<i32>();
        }
        let first = rank / ROWS * self.stages;
        for (most, norms) in self.sides[first..].iter_mut().zip(&rounded.stages) {
            // In the order of `Group::products`.
            for (most, side) in most.iter_mut().zip([norms.rest, norms.rounded, norms.tail]) {
                *most = most.max(round_up(side / scale));
            }
        }
    }

    /// The index of a position's dimension among the states: the group, and the lane in it.
    fn place(&self, tile: usize, row: usize, i: usize) -> (usize, usize) {
        let n = self.layout.dimensions();
        ((tile * self.stages * STAGE / n + i / n) * ROWS + row, i % n)
    }

    /// m, if the text has its own.
    pub(in crate::head) fn mean(&self) -> Option<&[f32]> {
        self.mean.as_deref()
    }

    /// q_d of a position's dimension.
    pub(super) fn state(&self, tile: usize, row: usize, i: usize) -> i32 {
        let (at, lane) = self.place(tile, row, i);
        i32::from(self.states[at][lane])
    }

    /// The states of a tile: all rows of each group of dimensions.
    #[inline(always)]
    pub(super) fn tile(&self, tile: usize) -> &[[[i8; 4]; ROWS]] {
        let size = ROWS * self.stages * STAGE / self.layout.dimensions();
        self.states[tile * size..(tile + 1) * size].as_chunks().0
    }

    /// The shift that is added to the sums of each row at a stage.
    #[inline(always)]
    pub(super) fn shifts(&self, tile: usize, stage: usize) -> &[i32; ROWS] {
        &self.shifts[tile * self.stages + stage]
    }

    #[inline(always)]
    pub(super) fn sides(&self, tile: usize, stage: usize) -> &[f32; PRODUCTS] {
        &self.sides[tile * self.stages + stage]
    }

    /// The positions of a tile; fewer than [`ROWS`] in the last one.
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

    /// The error of float arithmetic, divided by |w|.
    pub(super) fn slack(&self) -> f32 {
        self.slack
    }
}

/// The mean of the rows. The bound holds for any vector.
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

/// Rows and columns that are summed at once: eight registers of AVX2.
const TURN_ROWS: usize = 4;
const TURN_COLUMNS: usize = 8;

/// `(row - middle) x to_basis` of each row of a text, in float64.
#[inline(always)]
fn turn<const FUSED: bool>(text: &[f32], middle: &[f32], to_basis: &[f64]) -> Vec<f64> {
    let width = middle.len();
    let tiles = subtracted(text, middle);
    let mut turned = vec![0.0; text.len()];
    for first in (0..width).step_by(TURN_COLUMNS) {
        let n = TURN_COLUMNS.min(width - first);
        let column = |row: &[f64]| -> [f64; TURN_COLUMNS] {
            std::array::from_fn(|j| if j < n { row[first + j] } else { 0.0 })
        };
        let columns: Vec<[f64; TURN_COLUMNS]> = to_basis.chunks_exact(width).map(column).collect();
        for (tile, turned) in tiles.chunks_exact(width).zip(turned.chunks_mut(TURN_ROWS * width)) {
            let sums = tile_sums::<FUSED>(tile, &columns);
            for (turned, sums) in turned.chunks_exact_mut(width).zip(sums) {
                turned[first..first + n].copy_from_slice(&sums[..n]);
            }
        }
    }
    turned
}

/// `row - middle` of each row, `[tiles, width]` of [`TURN_ROWS`] rows; zeros past the last row.
#[inline(always)]
fn subtracted(text: &[f32], middle: &[f32]) -> Vec<[f64; TURN_ROWS]> {
    let width = middle.len();
    let mut tiles = vec![[0.0; TURN_ROWS]; (text.len() / width).div_ceil(TURN_ROWS) * width];
    for (p, row) in text.chunks_exact(width).enumerate() {
        let tile = &mut tiles[p / TURN_ROWS * width..];
        for (left, (&h, &m)) in tile.iter_mut().zip(row.iter().zip(middle)) {
            left[p % TURN_ROWS] = f64::from(h) - f64::from(m);
        }
    }
    tiles
}

#[inline(always)]
fn tile_sums<const FUSED: bool>(
    tile: &[[f64; TURN_ROWS]],
    columns: &[[f64; TURN_COLUMNS]],
) -> [[f64; TURN_COLUMNS]; TURN_ROWS] {
    let mut sums = [[0.0_f64; TURN_COLUMNS]; TURN_ROWS];
    for (rows, column) in tile.iter().zip(columns) {
        for (sums, &x) in sums.iter_mut().zip(rows) {
            for (sum, &m) in sums.iter_mut().zip(column) {
                *sum = if FUSED { x.mul_add(m, *sum) } else { *sum + x * m };
            }
        }
    }
    sums
}

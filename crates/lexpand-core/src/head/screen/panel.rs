//! The decoder's side of the bound: one panel of terms.

use super::super::pack::{PANEL, Panels};
use super::super::tile;
use super::{
    LANES, MARGIN, PRODUCTS, ROUNDING, SHIFT, STAGE, ScreenedText, norm, provable, round, round_up, scale_of, stages,
    transform,
};

/// Past every bound.
const NEVER: f32 = -1e20;

/// One panel's terms: integers in the kernel's order and the numbers of their thresholds.
#[derive(Debug)]
pub(in crate::head) struct ScreenPanel {
    /// `[stages * STAGE / 4, PANEL, 4]`; those past the kept dimensions are zero.
    pub(super) weights: Vec<i8>,
    stages: Vec<[StageHalf; PANEL / LANES]>,
    bias: [f32; PANEL],
    /// 1 / s_w.
    inverse_scale: [f32; PANEL],
    /// |w|, and |w'| / s_w.
    norm: [f32; PANEL],
    length: [f32; PANEL],
    /// The dot products with the typical state.
    typical_dots: [f32; PANEL],
}

/// Of eight terms at the end of a stage.
#[derive(Debug, Clone, Copy)]
struct StageHalf {
    /// `SHIFT * sum of q_w`, what the shift of q_d adds to the dot product, less the margin.
    shift: [f32; LANES],
    /// The term's side of each product, / s_w.
    products: [[f32; LANES]; PRODUCTS],
}

impl ScreenPanel {
    pub(super) fn pack(panels: &Panels, i: usize, back: &[f64], kept: usize, typical: &[f32]) -> Self {
        let (weights, bias) = panels.panel(i);
        let nothing = StageHalf { shift: [0.0; LANES], products: [[0.0; LANES]; PRODUCTS] };
        let mut packed = ScreenPanel {
            weights: vec![0; stages(kept) * STAGE * PANEL],
            stages: vec![[nothing; PANEL / LANES]; stages(kept)],
            // Terms that fill up the last panel never pass; minus infinity would make their bound a NaN.
            bias: bias.map(|b| b.max(NEVER)),
            inverse_scale: [1.0; PANEL],
            norm: [0.0; PANEL],
            length: [0.0; PANEL],
            typical_dots: tile::dots()(&[typical; tile::ROWS], weights)[0],
        };
        let mut turned = vec![0.0; panels.width()];
        for j in (0..PANEL).filter(|&j| bias[j].is_finite()) {
            let row: Vec<f64> = weights.iter().skip(j).step_by(PANEL).map(|&x| f64::from(x)).collect();
            transform(&row, back, &mut turned);
            let scale = scale_of(turned[..kept].iter().copied());
            packed.inverse_scale[j] = (1.0 / scale) as f32;
            packed.norm[j] = provable(norm(row.iter().copied()));
            packed.length[j] = round_up(norm(turned.iter().copied()) / scale);
            packed.put(j, &turned, kept, scale);
        }
        packed
    }

    fn put(&mut self, j: usize, turned: &[f64], kept: usize, scale: f64) {
        let rounded = round(turned, kept, scale);
        for (i, &q) in rounded.q.iter().enumerate() {
            self.weights[(i / 4 * PANEL + j) * 4 + i % 4] = q as i8;
        }
        let mut sum = 0;
        for (stage, (norms, q)) in rounded.stages.iter().zip(rounded.q.chunks(STAGE)).enumerate() {
            sum += q.iter().sum::<i32>();
            let half = &mut self.stages[stage][j / LANES];
            let shift = f64::from(SHIFT * sum);
            half.shift[j % LANES] = (shift - shift.abs() * ROUNDING - MARGIN) as f32;
            // In the order of `ScreenedText`'s sides.
            for (products, side) in half.products.iter_mut().zip([norms.kept, norms.rest, norms.tail]) {
                products[j % LANES] = round_up(side / scale);
            }
        }
    }

    pub(super) fn stages(&self) -> usize {
        self.stages.len()
    }

    #[inline(always)]
    pub(super) fn stage(&self, stage: usize, half: usize) -> (&[f32; LANES], &[[f32; LANES]; PRODUCTS]) {
        let half = &self.stages[stage][half];
        (&half.shift, &half.products)
    }

    /// |w'| / s_w, upwards.
    #[inline(always)]
    pub(super) fn length(&self, j: usize) -> f32 {
        self.length[j]
    }

    /// The float32 dot products with the typical state.
    pub(in crate::head) fn typical_dots(&self) -> &[f32; PANEL] {
        &self.typical_dots
    }

    /// A dimension of a term's integers.
    pub(super) fn weight(&self, i: usize, j: usize) -> i32 {
        i32::from(self.weights[(i / 4 * PANEL + j) * 4 + i % 4])
    }

    /// `m . w + b`, upwards by what float arithmetic may be off, / (s_d s_w).
    #[inline(always)]
    pub(super) fn base(&self, text: &ScreenedText, dots: &[f32; PANEL]) -> [f32; PANEL] {
        let (slack, inverse_scale) = (text.slack(), text.inverse_scale());
        std::array::from_fn(|j| {
            let base = (dots[j] + self.bias[j] + slack * self.norm[j]) * inverse_scale * self.inverse_scale[j];
            base + base.abs() * ROUNDING as f32
        })
    }
}

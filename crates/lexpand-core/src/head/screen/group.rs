//! The decoder's side of the bound: one group of terms.

use super::rounding::{
    Layout, MARGIN, PANELS, PRODUCTS, ROUNDING, SHIFT, STAGE, TERMS, WEIGHT_LEVELS, divisor,
    least_scale, norm, provable, round, round_up, stages, transform,
};
use super::text::ScreenedText;
use crate::head::pack::{PANEL, Panels};
use crate::head::tile;

/// Below every bound that can pass.
const NEVER: f32 = -1e20;

/// The float32 dot products of a state with a group's terms.
pub(in crate::head) type GroupDots = [[f32; PANEL]; PANELS];

/// Each term's factor of each product at the end of a stage, divided by s_w.
pub(super) type StageProducts = [[f32; TERMS]; PRODUCTS];

/// One group's terms: integers in the kernel's order, and the numbers for their thresholds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group<'a> {
    pub(super) numbers: &'a GroupNumbers,
    /// `q_w + SHIFT`, `[dimensions / n, TERMS, n]` for n dimensions that lie together; zeros past
    /// the kept dimensions.
    pub(super) weights: &'a [u8],
    /// One entry per stage.
    pub(super) products: &'a [StageProducts],
    pub(super) layout: Layout,
}

/// The numbers of a group that a threshold needs once per text.
#[derive(Debug)]
pub(super) struct GroupNumbers {
    bias: [f32; TERMS],
    /// 1 / s_w.
    inverse_scale: [f32; TERMS],
    /// |w|, and |w'| / s_w, which is a divisor and never zero.
    norm: [f32; TERMS],
    pub(super) length: [f32; TERMS],
    /// The dot products with the typical state.
    pub(super) typical_dots: GroupDots,
}

/// The inputs from which groups are built.
pub(super) struct Packing<'a> {
    pub(super) panels: &'a Panels,
    pub(super) back: &'a [f64],
    pub(super) kept: usize,
    pub(super) typical: &'a [f32],
    pub(super) layout: Layout,
}

/// One group with its own memory.
pub(super) struct PackedGroup {
    pub(super) numbers: GroupNumbers,
    pub(super) weights: Vec<u8>,
    pub(super) products: Vec<StageProducts>,
}

impl Packing<'_> {
    /// Builds group i. Places past the last panel hold terms that never pass.
    pub(super) fn group(&self, i: usize) -> PackedGroup {
        let stages = stages(self.kept);
        let mut packed = PackedGroup {
            numbers: GroupNumbers {
                bias: [NEVER; TERMS],
                inverse_scale: [1.0; TERMS],
                norm: [0.0; TERMS],
                length: [f32::MIN_POSITIVE; TERMS],
                typical_dots: [[0.0; PANEL]; PANELS],
            },
            weights: vec![SHIFT as u8; stages * STAGE * TERMS],
            products: vec![[[0.0; TERMS]; PRODUCTS]; stages],
        };
        for panel in 0..PANELS.min(self.panels.len() - i * PANELS) {
            let (weights, bias) = self.panels.panel(i * PANELS + panel);
            packed.numbers.typical_dots[panel] =
                tile::dots()(&[self.typical; tile::ROWS], weights)[0];
            // Padding terms never pass; their bias of minus infinity would make a bound NaN.
            for j in (0..PANEL).filter(|&j| bias[j].is_finite()) {
                let row: Vec<f64> =
                    weights.iter().skip(j).step_by(PANEL).map(|&x| f64::from(x)).collect();
                self.put(&mut packed, panel * PANEL + j, &row, bias[j]);
            }
        }
        packed
    }

    fn put(&self, packed: &mut PackedGroup, j: usize, row: &[f64], bias: f32) {
        let mut turned = vec![0.0; row.len()];
        transform(row, self.back, &mut turned);
        let scale = divisor(least_scale(&turned[..self.kept], WEIGHT_LEVELS));
        let numbers = &mut packed.numbers;
        numbers.bias[j] = bias.max(NEVER);
        numbers.inverse_scale[j] = (1.0 / scale) as f32;
        numbers.norm[j] = provable(norm(row.iter().copied()));
        numbers.length[j] = round_up(norm(turned.iter().copied()) / scale).max(f32::MIN_POSITIVE);
        let rounded = round(&turned, self.kept, scale, WEIGHT_LEVELS);
        for (i, &q) in rounded.q.iter().enumerate() {
            packed.weights[place(self.layout, i, j)] = (q + SHIFT) as u8;
        }
        for (products, norms) in packed.products.iter_mut().zip(&rounded.stages) {
            // In the order of `ScreenedText::sides`.
            for (products, side) in products.iter_mut().zip([norms.kept, norms.rest, norms.tail]) {
                products[j] = round_up(side / scale);
            }
        }
    }
}

/// The index of a term's dimension among a group's integers.
fn place(layout: Layout, i: usize, j: usize) -> usize {
    let n = layout.dimensions();
    (i / n * TERMS + j) * n + i % n
}

impl Group<'_> {
    /// q_w of a term's dimension.
    pub(super) fn weight(&self, i: usize, j: usize) -> i32 {
        i32::from(self.weights[place(self.layout, i, j)]) - SHIFT
    }

    /// `m . w + b`, increased by the float error and the margin, divided by s_d s_w.
    #[inline(always)]
    pub(super) fn base(&self, text: &ScreenedText, dots: &GroupDots) -> [f32; TERMS] {
        let (slack, inverse_scale, numbers) = (text.slack(), text.inverse_scale(), self.numbers);
        let dots: &[f32] = dots.as_flattened();
        std::array::from_fn(|j| {
            let base = (dots[j] + numbers.bias[j] + slack * numbers.norm[j])
                * inverse_scale
                * numbers.inverse_scale[j];
            base + base.abs() * ROUNDING as f32 + MARGIN as f32
        })
    }
}

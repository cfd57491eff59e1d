//! Transforms the decoder into the screening basis.

use super::group::{Group, GroupDots, GroupNumbers, Packing, StageProducts};
use super::pairing::{Passed, Screener};
use super::rounding::{MOST_KEPT, PANELS, STAGE, Space, TERMS, norm, stages};
use super::select::screener;
use super::text::ScreenedText;
use crate::head::pack::Panels;
use crate::head::types::Basis;
use crate::parallel::in_parallel;
use crate::{Error, Result};

/// The decoder in the screening basis.
#[derive(Debug)]
pub(in crate::head) struct Screen {
    space: Space,
    screener: Screener,
    groups: Vec<GroupNumbers>,
    /// `q_w + SHIFT` of all stages, one group after the other, in the layout's order.
    weights: Vec<u8>,
    /// The numbers of each group at the end of each stage.
    products: Vec<StageProducts>,
}

impl Screen {
    /// Transforms the decoder.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the sizes do not fit, or T S' is not the identity to 1e-6.
    pub(super) fn new(
        panels: &Panels,
        basis: Basis<'_>,
        screener: Screener,
        threads: usize,
    ) -> Result<Self> {
        let Basis { to_basis, back, kept, .. } = basis;
        let width = panels.width();
        if kept == 0
            || kept > width.min(MOST_KEPT)
            || to_basis.len() != width * width
            || back.len() != width * width
        {
            return Err(Error::invalid(format!(
                "screening: {kept} dimensions of {width} are kept, \
                 with matrices of {} and {} values",
                to_basis.len(),
                back.len()
            )));
        }
        let error = distance_from_identity(to_basis, back, width);
        if error.is_nan() || error > 1e-6 {
            return Err(Error::invalid(format!(
                "screening: T S' must be the identity, but is off by {error:e}"
            )));
        }
        // The error relative to |h| |w|: that of the inverse; of both changes of basis in float64,
        // which an ill-conditioned basis magnifies by the norms of its matrices; and of the float32
        // dot products of the tile kernel.
        let norms = norm(to_basis.iter().copied()) * norm(back.iter().copied());
        let turning = 4.0 * (width + 8) as f64 * f64::EPSILON * norms;
        let slack = error + turning + (width + 8) as f64 * f64::from(f32::EPSILON);
        let typical: Vec<f32> =
            (0..width).map(|i| basis.typical.get(i).map_or(0.0, |&x| x as f32)).collect();
        let packing = Packing { panels, back, kept, typical: &typical, layout: screener.layout };
        let packed = in_parallel(panels.len().div_ceil(PANELS), threads, |i| packing.group(i));
        let weights = packed.iter().flat_map(|group| &group.weights).copied().collect();
        let products = packed.iter().flat_map(|group| &group.products).copied().collect();
        let groups = packed.into_iter().map(|group| group.numbers).collect();
        let space = Space {
            to_basis: to_basis.to_vec(),
            width,
            kept,
            slack,
            typical,
            layout: screener.layout,
        };
        Ok(Screen { space, screener, groups, weights, products })
    }

    /// The screen for this processor; None if the float32 kernel alone is as fast.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the sizes do not fit, or `back` does not invert `to_basis`.
    pub(in crate::head) fn of(
        panels: &Panels,
        basis: Basis<'_>,
        threads: usize,
    ) -> Result<Option<Self>> {
        let screener = screener();
        // Built on every processor, so that an invalid basis is refused everywhere.
        let screen = Self::new(panels, basis, screener.unwrap_or(Screener::PORTABLE), threads)?;
        Ok(screener.map(|_| screen))
    }

    /// A group of [`PANELS`] panels.
    #[inline(always)]
    fn group(&self, i: usize) -> Group<'_> {
        let stages = stages(self.space.kept);
        let size = stages * STAGE * TERMS;
        Group {
            numbers: &self.groups[i],
            weights: &self.weights[i * size..(i + 1) * size],
            products: &self.products[i * stages..(i + 1) * stages],
            layout: self.space.layout,
        }
    }

    /// Finds the positions of a text that can activate a term, for each panel of group i. `own` has
    /// the dot products of the text's own mean with the terms, if it has one.
    #[inline]
    pub(in crate::head) fn pass(
        &self,
        text: &ScreenedText,
        i: usize,
        own: Option<&GroupDots>,
        out: &mut Passed,
    ) {
        let group = self.group(i);
        (self.screener.screen)(text, group, own.unwrap_or(&group.numbers.typical_dots), out);
    }

    /// Transforms a text `[positions, width]` into the basis. `batch` is the number of positions of
    /// all texts in its batch.
    pub(in crate::head) fn text(&self, text: &[f32], batch: usize) -> ScreenedText {
        ScreenedText::new(text, &self.space, batch)
    }
}

fn distance_from_identity(to_basis: &[f64], back: &[f64], width: usize) -> f64 {
    let entry = |i: usize, j: usize| -> f64 {
        let dot: f64 = (0..width).map(|k| to_basis[i * width + k] * back[j * width + k]).sum();
        dot - if i == j { 1.0 } else { 0.0 }
    };
    norm((0..width).flat_map(|i| (0..width).map(move |j| (i, j))).map(|(i, j)| entry(i, j)))
}

/// Orders the terms by how near the typical state brings them to activity, in norms of their rows;
/// nearest first.
///
/// # Errors
/// [`Error::Invalid`] if the typical state has another width.
pub(in crate::head) fn order(panels: &Panels, basis: Basis<'_>) -> Result<Vec<u32>> {
    let typical = basis.typical;
    if !typical.is_empty() && typical.len() != panels.width() {
        return Err(Error::invalid(format!(
            "screening: the typical state has {} values, the head has width {}",
            typical.len(),
            panels.width()
        )));
    }
    let nearness = |place: usize| -> f64 {
        let row = || panels.row(place).map(f64::from);
        let logit =
            row().zip(typical).map(|(w, h)| w * h).sum::<f64>() + f64::from(panels.bias(place));
        logit / norm(row()).max(f64::MIN_POSITIVE)
    };
    let nearness: Vec<f64> = (0..panels.terms().len()).map(nearness).collect();
    let mut places: Vec<u32> = (0..nearness.len() as u32).collect();
    places.sort_by(|&a, &b| nearness[b as usize].total_cmp(&nearness[a as usize]));
    Ok(places)
}

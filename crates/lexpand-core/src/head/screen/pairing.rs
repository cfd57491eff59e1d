//! One text against one group of terms: thresholds, what passes them, and the reference
//! implementation.

use std::cmp::Ordering;

use super::group::{Group, GroupDots};
use super::rounding::{Layout, PANELS, RANGE, ROWS, STAGE, TERMS, round_down};
use super::text::ScreenedText;
use crate::head::pack::PANEL;

/// The positions that can activate a term, ascending, for each panel of a group.
pub(in crate::head) type Passed = [Vec<u32>; PANELS];

/// Finds what passes, given the dot products of the text's m with the terms.
pub(super) type Screen = fn(&ScreenedText, Group<'_>, &GroupDots, &mut Passed);

/// A kernel, and the layout of its integers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screener {
    pub(super) screen: Screen,
    pub(super) layout: Layout,
}

impl Screener {
    pub(super) const PORTABLE: Self = Screener { screen: screen_portable, layout: Layout::Pairs };
}

#[derive(Clone, Copy)]
pub(super) struct Pairing<'a> {
    pub(super) text: &'a ScreenedText,
    pub(super) group: Group<'a>,
    /// `m . w + b`, increased by the slack and the margin, divided by s_d s_w.
    pub(super) base: [f32; TERMS],
    /// The number of tiles to test. The others have so small a |d'| that |d'| |w'| proves them
    /// inactive.
    pub(super) tiles: usize,
}

impl<'a> Pairing<'a> {
    #[inline(always)]
    pub(super) fn new(text: &'a ScreenedText, group: Group<'a>, dots: &GroupDots) -> Self {
        let base = group.base(text, dots);
        // |d'| |w'| + base < 0 if |d'| is below the smallest -base / |w'|. Computing all of them
        // takes a few vectors.
        let ratios: [f32; TERMS] = std::array::from_fn(|j| base[j] / group.numbers.length[j]);
        let most = ratios
            .iter()
            .fold(f32::NEG_INFINITY, |most, &ratio| if ratio > most { ratio } else { most });
        // A NaN, from infinities of extreme scales, proves nothing.
        let limit = if ratios.iter().fold(false, |any, ratio| any | ratio.is_nan()) {
            0.0
        } else {
            round_down(-most)
        };
        let tiles = text
            .lengths()
            .partition_point(|longest| longest.partial_cmp(&limit) != Some(Ordering::Less));
        Pairing { text, group, base, tiles }
    }

    /// The threshold that the integer dot product of each term must exceed at the end of a stage for
    /// a pair to stay. If it is NaN, from infinities of extreme scales, all pairs stay.
    #[inline(always)]
    pub(super) fn integer_thresholds(&self, tile: usize, stage: usize) -> [i32; TERMS] {
        let sides = self.text.sides(tile, stage);
        std::array::from_fn(|j| {
            let products = self.group.products[stage].iter().zip(sides);
            let threshold =
                products.fold(-self.base[j], |left, (product, side)| left - side * product[j]);
            if threshold.is_nan() { i32::MIN } else { threshold.min(RANGE) as i32 }
        })
    }

    /// Appends, for each panel, the positions of a tile whose bit is set.
    #[inline(always)]
    pub(super) fn take(&self, tile: usize, passed: [u32; PANELS], out: &mut Passed) {
        for (passed, out) in passed.into_iter().zip(out) {
            let positions = self.text.positions(tile).iter().enumerate();
            out.extend(
                positions.filter(|(r, _)| passed >> r & 1 != 0).map(|(_, &position)| position),
            );
        }
    }
}

/// Tests the tiles of a text that are near enough to a group's terms; `passing` tests one.
#[inline(always)]
pub(super) fn screen_tiles(
    pairing: &Pairing<'_>,
    out: &mut Passed,
    passing: impl Fn(&Pairing<'_>, usize) -> [u32; PANELS],
) {
    out.iter_mut().for_each(Vec::clear);
    for tile in 0..pairing.tiles {
        let passed = passing(pairing, tile);
        if passed != [0; PANELS] {
            pairing.take(tile, passed, out);
        }
    }
    out.iter_mut().for_each(|out| out.sort_unstable());
}

/// The reference implementation, which the fast ones are tested against.
pub(super) fn screen_portable(
    text: &ScreenedText,
    group: Group<'_>,
    dots: &GroupDots,
    out: &mut Passed,
) {
    screen_tiles(&Pairing::new(text, group, dots), out, passing);
}

/// One bit per position and panel: whether the tile stays at every stage, and the position at the
/// last.
fn passing(pairing: &Pairing<'_>, tile: usize) -> [u32; PANELS] {
    let mut passed = [0; PANELS];
    for stage in 0..pairing.group.products.len() {
        let thresholds = pairing.integer_thresholds(tile, stage);
        let exceeds = |row: usize, j: usize| {
            let products = (0..(stage + 1) * STAGE)
                .map(|i| pairing.text.state(tile, row, i) * pairing.group.weight(i, j));
            products.sum::<i32>() > thresholds[j]
        };
        passed = std::array::from_fn(|panel| {
            let terms = panel * PANEL..(panel + 1) * PANEL;
            (0..ROWS)
                .filter(|&row| terms.clone().any(|j| exceeds(row, j)))
                .fold(0, |bits, row| bits | 1 << row)
        });
        if passed == [0; PANELS] {
            break;
        }
    }
    passed
}

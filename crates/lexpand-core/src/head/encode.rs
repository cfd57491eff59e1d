//! Runs a batch through the kernels: threads share blocks of the vocabulary, and the results are
//! joined in order.

use std::ops::Range;

use super::decoder::Head;
use super::pack::PANEL;
use super::screen::{GroupDots, PANELS, Passed, ScreenedText};
use super::tile::{self, PanelResult, PanelTask};
use super::types::{Activations, HiddenBatch, Pooling};
use crate::parallel::in_parallel;
use crate::{Error, Result};

/// Panels that a thread takes at once. 512 terms of width 128 take 256 KiB, which stay in its L2
/// cache from text to text. A multiple of the panels that are screened together.
const BLOCK: usize = 16 * PANELS;

/// Shorter texts are not worth transforming into the screening basis.
const SCREEN_POSITIONS: usize = 4;

/// One text's (term, weight, position) within one block.
type BlockTerms = Vec<(u32, f32, u32)>;

/// A text as the kernels take it.
struct Prepared<'a> {
    states: &'a [f32],
    /// 0, 1, 2, ...
    positions: Vec<u32>,
    screened: Option<ScreenedText>,
}

impl Head {
    /// Encodes a batch on `threads` threads (at least one). The result does not depend on their
    /// number.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the batch has another width than the head.
    pub fn encode(&self, batch: HiddenBatch<'_>, threads: usize) -> Result<Activations> {
        if batch.width != self.width() {
            return Err(Error::invalid(format!(
                "hidden states have width {}, the head has {}",
                batch.width,
                self.width()
            )));
        }
        Ok(encode(self, batch, threads.max(1)))
    }
}

fn encode(head: &Head, batch: HiddenBatch<'_>, threads: usize) -> Activations {
    let positions = (0..batch.len()).map(|i| batch.text(i).len() / head.width()).sum();
    let texts = in_parallel(batch.len(), threads, |i| prepare(head, batch.text(i), positions));
    let blocks = in_parallel(head.panels.len().div_ceil(BLOCK), threads, |block| {
        let panels = block * BLOCK..head.panels.len().min((block + 1) * BLOCK);
        let means = mean_dots(head, &texts, panels.clone());
        texts
            .iter()
            .zip(&means)
            .map(|(text, means)| encode_text(head, text, panels.clone(), means))
            .collect()
    });
    assemble(batch.len(), blocks)
}

/// For each text, the dot products of its mean with the terms of each group; empty for a text
/// without its own mean.
fn mean_dots(head: &Head, texts: &[Prepared<'_>], panels: Range<usize>) -> Vec<Vec<GroupDots>> {
    let dots = tile::dots();
    let mut found = vec![Vec::new(); texts.len()];
    let screened: Vec<_> = texts
        .iter()
        .enumerate()
        .filter_map(|(i, t)| Some((i, t.screened.as_ref()?.mean()?)))
        .collect();
    for some in screened.chunks(tile::ROWS) {
        // The last row fills the tile up; its repeated results are not used.
        let rows = std::array::from_fn(|r| some[r.min(some.len() - 1)].1);
        for (place, panel) in panels.clone().enumerate() {
            let dots = dots(&rows, head.panels.panel(panel).0);
            for (&(i, _), dots) in some.iter().zip(dots) {
                if place % PANELS == 0 {
                    found[i].push(GroupDots::default());
                }
                found[i][place / PANELS][place % PANELS] = dots;
            }
        }
    }
    found
}

fn prepare<'a>(head: &Head, states: &'a [f32], batch: usize) -> Prepared<'a> {
    let positions: Vec<u32> = (0..(states.len() / head.width()) as u32).collect();
    let screened = match &head.screen {
        Some(screen) if positions.len() >= SCREEN_POSITIONS => Some(screen.text(states, batch)),
        _ => None,
    };
    Prepared { states, positions, screened }
}

fn encode_text(
    head: &Head,
    text: &Prepared<'_>,
    panels: Range<usize>,
    means: &[GroupDots],
) -> BlockTerms {
    let mut terms = Vec::new();
    let (Some(screen), Some(screened)) = (&head.screen, &text.screened) else {
        panels.for_each(|panel| refine(head, text, panel, &text.positions, &mut terms));
        return terms;
    };
    let mut passed = Passed::default();
    for (place, first) in panels.clone().step_by(PANELS).enumerate() {
        screen.pass(screened, first / PANELS, means.get(place), &mut passed);
        for (panel, positions) in (first..panels.end).zip(&passed) {
            refine(head, text, panel, positions, &mut terms);
        }
    }
    terms
}

/// Adds the terms of a panel that some positions of a text activate.
fn refine(head: &Head, text: &Prepared<'_>, i: usize, positions: &[u32], out: &mut BlockTerms) {
    if positions.is_empty() {
        return;
    }
    let (panel, bias) = head.panels.panel(i);
    let result = tile::kernel()(PanelTask {
        text: text.states,
        positions,
        panel,
        bias,
        width: head.width(),
        pooling: head.pooling,
        activation: head.activation,
    });
    collect(head, &result, bias, i * PANEL, out);
}

/// Keeps the terms of a panel whose weight is above zero.
fn collect(
    head: &Head,
    result: &PanelResult,
    bias: &[f32; PANEL],
    first: usize,
    out: &mut BlockTerms,
) {
    for (j, &bias) in bias.iter().enumerate() {
        let logit = result.best[j] + bias;
        if logit > 0.0 {
            let weight = match head.pooling {
                Pooling::Max => head.activation.apply(logit),
                Pooling::Sum => result.sum[j],
            };
            out.push((head.panels.terms()[first + j], weight, result.position[j]));
        }
    }
}

/// Joins the blocks `[block][text]` to CSR, terms ascending.
fn assemble(texts: usize, blocks: Vec<Vec<BlockTerms>>) -> Activations {
    let mut out = Activations { indptr: vec![0], ..Activations::default() };
    for text in 0..texts {
        let mut found: BlockTerms = blocks.iter().flat_map(|block| &block[text]).copied().collect();
        found.sort_unstable_by_key(|&(term, ..)| term);
        for (term, weight, position) in found {
            out.terms.push(term);
            out.weights.push(weight);
            out.positions.push(position);
        }
        out.indptr.push(out.terms.len() as i64);
    }
    out
}

//! A batch through the kernel: work in blocks of the vocabulary, shared out to threads, put together in order.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::pack::PANEL;
use super::tile::{self, PanelResult, PanelTask};
use super::{Activations, Head, HiddenBatch, Pooling};

/// Panels that a thread takes at once: 512 terms of width 128 are 256 KiB, which stay in its L2 cache from text to text.
const BLOCK: usize = 32;

/// One text's terms within one block, ascending.
type BlockTerms = Vec<(u32, f32, u32)>;

pub(super) fn encode(head: &Head, batch: HiddenBatch<'_>, threads: usize) -> Activations {
    let blocks = head.panels.len().div_ceil(BLOCK);
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<Vec<BlockTerms>>>> = Mutex::new(vec![None; blocks]);
    let work = || {
        loop {
            let block = next.fetch_add(1, Ordering::Relaxed);
            if block >= blocks {
                return;
            }
            let terms = encode_block(head, batch, block);
            done.lock().expect("no thread panics while it holds the lock")[block] = Some(terms);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(blocks) {
            scope.spawn(work);
        }
        work();
    });
    let done = done.into_inner().expect("no thread panics while it holds the lock");
    assemble(batch.len(), done.into_iter().map(|block| block.expect("every block was taken")).collect())
}

/// The terms of every text of the batch in one block of panels.
fn encode_block(head: &Head, batch: HiddenBatch<'_>, block: usize) -> Vec<BlockTerms> {
    let panels = block * BLOCK..head.panels.len().min((block + 1) * BLOCK);
    (0..batch.len()).map(|i| encode_text(head, batch.text(i), panels.clone())).collect()
}

fn encode_text(head: &Head, text: &[f32], panels: Range<usize>) -> BlockTerms {
    let mut terms = Vec::new();
    if text.is_empty() {
        return terms;
    }
    let kernel = tile::kernel();
    for i in panels {
        let (panel, bias) = head.panels.panel(i);
        let result = kernel(PanelTask {
            text,
            panel,
            bias,
            width: head.panels.width(),
            pooling: head.pooling,
            activation: head.activation,
        });
        collect(head, &result, bias, i * PANEL, &mut terms);
    }
    terms
}

/// Keeps the terms of a panel whose weight is above zero.
fn collect(head: &Head, result: &PanelResult, bias: &[f32; PANEL], first: usize, out: &mut BlockTerms) {
    for (j, &bias) in bias.iter().enumerate() {
        let logit = result.best[j] + bias;
        if logit > 0.0 {
            let weight = match head.pooling {
                Pooling::Max => head.activation.apply(logit),
                Pooling::Sum => result.sum[j],
            };
            out.push(((first + j) as u32, weight, result.position[j]));
        }
    }
}

/// Joins the blocks of each text: `[block][text]` to CSR.
fn assemble(texts: usize, blocks: Vec<Vec<BlockTerms>>) -> Activations {
    let mut out = Activations { indptr: vec![0], ..Activations::default() };
    for text in 0..texts {
        for &(term, weight, position) in blocks.iter().flat_map(|block| &block[text]) {
            out.terms.push(term);
            out.weights.push(weight);
            out.positions.push(position);
        }
        out.indptr.push(out.terms.len() as i64);
    }
    out
}

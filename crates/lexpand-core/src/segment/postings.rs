//! Inverts the forward index into posting lists, a range of terms at a time, within a memory
//! budget.

use std::ops::Range;
use std::thread;

use bytemuck::cast_slice;

use super::census::{Census, bound};
use super::forward::ForwardParts;
use super::layout::kind;
use super::sink::Sink;
use super::sizes::{GROUP, SPLIT_POSTINGS, SUB_BLOCK, SUB_BLOCKS, row_width};
use super::types::Budget;
use crate::Result;
use crate::limits::BLOCK;

/// The memory per posting while postings are sorted and laid out.
const BYTES_A_POSTING: usize = 8;

/// The posting lists of a range of terms, as they are written.
#[derive(Debug, Default)]
struct Laid {
    offsets: Vec<u16>,
    bounds: Vec<u8>,
    splits: Vec<u16>,
}

/// Writes the sections that a census alone determines.
pub(super) fn write_directory(census: &Census, field: u32, sink: &mut Sink) -> Result<()> {
    let (mut starts, mut places) = (Vec::new(), Vec::new());
    let (mut at, mut splits) = (0_u64, 0_u32);
    for counts_of_term in census.counts.chunks(census.blocks.max(1)) {
        starts.push(at);
        for &count in counts_of_term {
            at += u64::from(count);
            starts.push(at);
            let has_splits = count >= SPLIT_POSTINGS;
            places.push(if has_splits { splits } else { u32::MAX });
            splits += u32::from(has_splits);
        }
    }
    let dense_cuts: Vec<u8> =
        census.dense.iter().map(|&place| census.cuts[place as usize]).collect();
    sink.push(kind::POSTING_TERMS, field, cast_slice(&census.terms))?;
    sink.push(kind::POSTING_STEPS, field, cast_slice(&census.steps))?;
    sink.push(kind::POSTING_STARTS, field, cast_slice(&starts))?;
    sink.push(kind::SPLIT_PLACES, field, cast_slice(&places))?;
    sink.push(kind::LEVEL_SHARES, field, &census.shares)?;
    sink.push(kind::DENSE_TERMS, field, cast_slice(&census.dense))?;
    sink.push(kind::DENSE_CUTS, field, &dense_cuts)
}

/// Writes offsets, bounds and splits, in as many passes over the weights as the memory budget
/// requires.
pub(super) fn write_postings(
    forward: &ForwardParts<'_>,
    census: &Census,
    field: u32,
    budget: Budget,
    sink: &mut Sink,
) -> Result<()> {
    let threads = budget.threads.max(1);
    let shares = ranges(census, (budget.memory / BYTES_A_POSTING / threads).max(1));
    for pass in shares.chunks(threads) {
        let laid: Vec<Laid> = thread::scope(|scope| {
            let work: Vec<_> = pass
                .iter()
                .map(|range| scope.spawn(|| lay_out(forward, census, range.clone())))
                .collect();
            work.into_iter()
                .map(|thread| thread.join().expect("a thread that lays out postings"))
                .collect()
        });
        for part in laid {
            sink.push(kind::POSTING_OFFSETS, field, cast_slice(&part.offsets))?;
            sink.push(kind::POSTING_BOUNDS, field, &part.bounds)?;
            sink.push(kind::SPLITS, field, cast_slice(&part.splits))?;
        }
    }
    Ok(())
}

/// Ranges of places with at most `most` postings each; a term with more has a range of its own.
fn ranges(census: &Census, most: usize) -> Vec<Range<usize>> {
    let (mut ranges, mut first, mut held) = (Vec::new(), 0, 0);
    for (place, counts_of_term) in census.counts.chunks(census.blocks.max(1)).enumerate() {
        let count = counts_of_term.iter().map(|&count| count as usize).sum::<usize>();
        if held + count > most && place > first {
            ranges.push(first..place);
            (first, held) = (place, 0);
        }
        held += count;
    }
    ranges.push(first..census.terms.len());
    ranges
}

/// A posting as a number that sorts as the file does: by sub-block, descending bound, offset.
fn key(offset: usize, bound: u8) -> u32 {
    ((offset / SUB_BLOCK) as u32) << 24 | u32::from(255 - bound) << 16 | offset as u32
}

fn lay_out(forward: &ForwardParts<'_>, census: &Census, range: Range<usize>) -> Laid {
    let counts = &census.counts[range.start * census.blocks..range.end * census.blocks];
    let mut next: Vec<usize> = Vec::with_capacity(counts.len());
    let total = counts.iter().fold(0, |at, &count| {
        next.push(at);
        at + count as usize
    });
    let mut keys = vec![0_u32; total];
    forward.each(|passage, term, weight| {
        let place = census.places[term] as usize;
        if !range.contains(&place) || census.cuts[place] == 0 {
            return;
        }
        let bound = bound(weight, census.steps[place]);
        if bound >= census.cuts[place] {
            let next = &mut next[(place - range.start) * census.blocks + passage / BLOCK];
            keys[*next] = key(passage % BLOCK, bound);
            *next += 1;
        }
    });
    let mut laid = Laid {
        offsets: Vec::with_capacity(total),
        bounds: Vec::with_capacity(total),
        splits: Vec::new(),
    };
    let mut rest = &mut keys[..];
    for &count in counts {
        let block = rest.split_off_mut(..count as usize).expect("counted above");
        block.sort_unstable();
        laid.push(block);
    }
    laid
}

impl Laid {
    fn push(&mut self, block: &[u32]) {
        self.offsets.extend(block.iter().map(|&key| key as u16));
        self.bounds.extend(block.iter().map(|&key| 255 - (key >> 16) as u8));
        if block.len() >= SPLIT_POSTINGS as usize {
            let before =
                |sub: usize| block.partition_point(|&key| ((key >> 24) as usize) < sub) as u16;
            self.splits.extend((1..SUB_BLOCKS).map(before));
        }
    }
}

/// Writes the dense impact rows and their block maxima, as many at a time as fit in the memory.
pub(super) fn write_rows(
    forward: &ForwardParts<'_>,
    census: &Census,
    field: u32,
    memory: usize,
    sink: &mut Sink,
) -> Result<()> {
    let width = row_width(census.passages);
    for group in census.dense.chunks((memory / width.max(1)).max(1)) {
        let mut row_of = vec![usize::MAX; census.terms.len()];
        group.iter().enumerate().for_each(|(row, &place)| row_of[place as usize] = row);
        let mut rows = vec![0_u8; group.len() * width];
        forward.each(|passage, term, weight| {
            let place = census.places[term] as usize;
            if row_of[place] != usize::MAX {
                rows[row_of[place] * width + passage] = bound(weight, census.steps[place]);
            }
        });
        sink.push(kind::DENSE_ROWS, field, &rows)?;
        sink.push(kind::DENSE_MAXIMA, field, &maxima(&rows).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// The largest bound of each group of a dense impact row; rows consist of whole groups.
pub(crate) fn maxima(rows: &[u8]) -> impl Iterator<Item = u8> {
    let (groups, _) = rows.as_chunks::<GROUP>();
    groups.iter().map(|group| group.iter().copied().max().unwrap_or(0))
}

//! Writes a segment file, so that it is either whole and named or does not exist.

use std::path::Path;

use bytemuck::cast_slice;

use super::census::Census;
use super::field::Terms;
use super::forward::{ForwardPart, ForwardParts};
use super::layout::{NO_FIELD, kind};
use super::postings;
use super::quantize::Forward;
use super::sink::Sink;
use super::sizes::{GROUP, SPLIT_POSTINGS, SUB_BLOCK, SUB_BLOCKS, is_narrow, row_width};
use super::types::{Budget, Extra, FieldVectors, Passages, Written};
use crate::{Error, Result};

/// One closed field, ready to be written.
pub(super) struct StoredField<'a> {
    pub(super) field: u32,
    pub(super) vocabulary_size: u32,
    pub(super) forward: ForwardParts<'a>,
}

/// Writes a segment to `path`: first to a `.tmp` next to it, which is synced and renamed; then the
/// folder is synced.
///
/// # Errors
/// [`Error::Invalid`] if the arrays break a limit or `path` exists; [`Error::Io`] if the disk
/// refuses. The latter may leave a file that no catalogue names.
pub fn write(
    path: &Path,
    passages: Passages<'_>,
    fields: &[FieldVectors<'_>],
    extras: &[Extra<'_>],
    budget: Budget,
) -> Result<Written> {
    let n = check_passages(passages)?;
    let built = fields.iter().map(|f| Forward::build(f, n as usize)).collect::<Result<Vec<_>>>()?;
    let narrow: Vec<Vec<u16>> =
        fields.iter().zip(&built).map(|(f, b)| narrow(f.vocabulary_size, &b.terms)).collect();
    let stored = fields
        .iter()
        .zip(built.iter().zip(&narrow))
        .map(|(vectors, (built, narrow))| StoredField {
            field: vectors.field,
            vocabulary_size: vectors.vocabulary_size,
            forward: ForwardParts(vec![ForwardPart {
                scales: &built.scales,
                starts: &built.starts,
                terms: if is_narrow(vectors.vocabulary_size) {
                    Terms::Narrow(narrow)
                } else {
                    Terms::Wide(&built.terms)
                },
                impacts: &built.impacts,
                keep: None,
            }]),
        })
        .collect();
    write_stored(path, passages, stored, extras, budget)
}

fn narrow(vocabulary_size: u32, terms: &[u32]) -> Vec<u16> {
    if is_narrow(vocabulary_size) {
        terms.iter().map(|&term| term as u16).collect()
    } else {
        Vec::new()
    }
}

/// Writes fields whose weights are already quantized.
pub(super) fn write_stored(
    path: &Path,
    passages: Passages<'_>,
    fields: Vec<StoredField<'_>>,
    extras: &[Extra<'_>],
    budget: Budget,
) -> Result<Written> {
    check_places(&fields, extras)?;
    let n = check_passages(passages)?;
    let censuses: Vec<Census> =
        fields.iter().map(|f| Census::take(&f.forward, f.vocabulary_size as usize)).collect();
    let mut parts: Vec<_> =
        fields.iter().zip(&censuses).flat_map(|(f, census)| f.parts(census)).collect();
    parts.extend(extras.iter().map(|extra| (extra.kind, extra.field, extra.bytes.len() as u64)));
    let n64 = u64::from(n);
    parts.extend([
        (kind::PASSAGE_ROWS, NO_FIELD, 4 * n64),
        (kind::PASSAGE_CHUNKS, NO_FIELD, 4 * n64),
        (kind::PASSAGE_SPANS, NO_FIELD, 8 * n64),
    ]);
    let mut sink = Sink::create(path, n, parts)?;
    for (field, census) in fields.iter().zip(&censuses) {
        field.write(census, budget, &mut sink)?;
    }
    extras.iter().try_for_each(|extra| sink.push(extra.kind, extra.field, extra.bytes))?;
    sink.push(kind::PASSAGE_ROWS, NO_FIELD, cast_slice(passages.rows))?;
    sink.push(kind::PASSAGE_CHUNKS, NO_FIELD, cast_slice(passages.chunks))?;
    sink.push(kind::PASSAGE_SPANS, NO_FIELD, cast_slice(passages.spans))?;
    sink.finish()
}

impl StoredField<'_> {
    /// The kind, field and length of every section.
    fn parts(&self, census: &Census) -> Vec<(u32, u32, u64)> {
        let (n, terms) = (census.passages as u64, census.terms.len() as u64);
        let nnz: u64 = self.forward.nnz();
        let stored: u64 = census.counts.iter().map(|&count| u64::from(count)).sum();
        let split = census.counts.iter().filter(|&&count| count >= SPLIT_POSTINGS).count() as u64;
        let dense = census.dense.len() as u64;
        let blocks = census.blocks as u64;
        let width = if is_narrow(self.vocabulary_size) { 2 } else { 4 };
        let lengths = [
            (kind::FIELD, 32),
            (kind::SCALES, 4 * n),
            (kind::FORWARD_STARTS, 8 * (n + 1)),
            (kind::FORWARD_TERMS, width * nnz),
            (kind::FORWARD_IMPACTS, 2 * nnz),
            (kind::POSTING_TERMS, 4 * terms),
            (kind::POSTING_STARTS, 8 * terms * (blocks + 1)),
            (kind::POSTING_OFFSETS, 2 * stored),
            (kind::POSTING_BOUNDS, stored),
            (kind::POSTING_STEPS, 4 * terms),
            (kind::SPLIT_PLACES, 4 * terms * blocks),
            (kind::SPLITS, 2 * split * (SUB_BLOCKS as u64 - 1)),
            (kind::LEVEL_SHARES, census.shares.len() as u64),
            (kind::DENSE_TERMS, 4 * dense),
            (kind::DENSE_CUTS, dense),
            (kind::DENSE_ROWS, dense * row_width(census.passages) as u64),
        ];
        let maxima = dense * (row_width(census.passages) / GROUP) as u64;
        // Without dense terms the section would be empty, so it is left out.
        let maxima = (dense > 0).then_some((kind::DENSE_MAXIMA, maxima));
        lengths.into_iter().chain(maxima).map(|(kind, length)| (kind, self.field, length)).collect()
    }

    fn write(&self, census: &Census, budget: Budget, sink: &mut Sink) -> Result<()> {
        let (scales, starts) = self.forward.scales_and_starts();
        let (nnz, stored) =
            (self.forward.nnz(), census.counts.iter().map(|&count| u64::from(count)).sum::<u64>());
        let halves = |number: u64| [number as u32, (number >> 32) as u32];
        let ([a, b], [c, d]) = (halves(nnz), halves(stored));
        sink.push(
            kind::FIELD,
            self.field,
            cast_slice(&[0, self.vocabulary_size, a, b, 16, SUB_BLOCK.ilog2(), c, d]),
        )?;
        sink.push(kind::SCALES, self.field, cast_slice(&scales))?;
        sink.push(kind::FORWARD_STARTS, self.field, cast_slice(&starts))?;
        self.forward.copy(|terms, impacts| {
            sink.push(kind::FORWARD_TERMS, self.field, terms)?;
            sink.push(kind::FORWARD_IMPACTS, self.field, impacts)
        })?;
        postings::write_directory(census, self.field, sink)?;
        postings::write_postings(&self.forward, census, self.field, budget, sink)?;
        postings::write_rows(&self.forward, census, self.field, budget.memory, sink)
    }
}

fn check_places(fields: &[StoredField<'_>], extras: &[Extra<'_>]) -> Result<()> {
    if !fields.is_sorted_by(|a, b| a.field < b.field) || fields.iter().any(|f| f.field == NO_FIELD)
    {
        return Err(Error::invalid("field numbers must be strictly increasing"));
    }
    if let Some(extra) = extras.iter().find(|extra| extra.kind < kind::FIRST_EXTRA) {
        return Err(Error::invalid(format!(
            "an extra section must have kind 48 or more, got {}",
            extra.kind
        )));
    }
    let mut places: Vec<_> = extras.iter().map(|extra| (extra.field, extra.kind)).collect();
    places.sort_unstable();
    match places.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::invalid(format!(
            "section {} of field {} occurs twice",
            pair[0].1, pair[0].0
        ))),
        None => Ok(()),
    }
}

fn check_passages(passages: Passages<'_>) -> Result<u32> {
    let n = passages.rows.len();
    if passages.chunks.len() != n || passages.spans.len() != 2 * n {
        return Err(Error::invalid(format!(
            "passages: {n} rows, {} chunks, {} span ends do not fit together",
            passages.chunks.len(),
            passages.spans.len()
        )));
    }
    u32::try_from(n).map_err(|_| {
        Error::invalid(format!("a segment must have at most 2^32 - 1 passages, got {n}"))
    })
}

//! The invariants of a segment file, checked before the file is used.

use xxhash_rust::xxh3::xxh3_64;

use super::field::{Field, Postings};
use super::layout::{ENTRY, HEADER, NO_FIELD, align, kind};
use super::read::Segment;
use super::sizes::{
    GROUP, LEVELS, MAX_IMPACT, SPLIT_POSTINGS, SUB_BLOCK, SUB_BLOCKS, blocks, is_narrow, row_width,
};
use crate::Result;
use crate::limits::{BLOCK, MAX_TERMS, MAX_VOCABULARY};
use crate::words::WordField;

/// The numbers in a field's header.
struct Header {
    vocabulary_size: u64,
    nnz: u64,
    /// The postings in the file: dense terms have fewer postings than weights.
    stored: u64,
}

impl Segment {
    /// Checks every byte with `verify`, otherwise only what keeps later reads in range.
    pub(super) fn check(&self, verify: bool) -> Result<()> {
        if verify {
            self.check_bytes()?;
        }
        self.check_passages()?;
        self.fields().into_iter().try_for_each(|field| self.check_field(field, verify))?;
        self.word_fields().into_iter().try_for_each(|field| self.check_words(field, verify))
    }

    fn check_bytes(&self) -> Result<()> {
        let mut end = HEADER + ENTRY * self.layout.sections.len();
        for section in &self.layout.sections {
            if xxh3_64(self.bytes_of(section)) != section.checksum {
                return Err(self.corrupt(format!(
                    "section {} of field {} fails its checksum: the file is damaged",
                    section.kind, section.field
                )));
            }
            if self.map[end..align(end as u64) as usize].iter().any(|&byte| byte != 0) {
                return Err(
                    self.corrupt(format!("bytes after {end} are not zero: the file is damaged"))
                );
            }
            end = (section.offset + section.length) as usize;
        }
        Ok(())
    }

    /// Checks that a section exists and has this many bytes.
    fn check_length(&self, kind: u32, field: u32, expected: u64) -> Result<()> {
        let found = self.find(kind, field).map(|s| s.length);
        if found == Some(expected) {
            return Ok(());
        }
        let found = found.map_or("missing".into(), |n| format!("{n} bytes"));
        Err(self
            .corrupt(format!("section {kind} of field {field} is {found}, not {expected} bytes")))
    }

    fn check_passages(&self) -> Result<()> {
        let n = u64::from(self.layout.passages);
        self.check_length(kind::PASSAGE_ROWS, NO_FIELD, 4 * n)?;
        self.check_length(kind::PASSAGE_CHUNKS, NO_FIELD, 4 * n)?;
        self.check_length(kind::PASSAGE_SPANS, NO_FIELD, 8 * n)
    }

    fn check_field(&self, field: u32, verify: bool) -> Result<()> {
        let header = self.header(field)?;
        self.check_forward_lengths(field, &header)?;
        self.check_posting_lengths(field, header.stored)?;
        let view = self.field(field).expect("its header was just read");
        let named = |what: String| self.corrupt(format!("field {field}: {what}"));
        check_forward(view, verify).map_err(named)?;
        check_postings(view, view.postings, verify).map_err(named)
    }

    fn check_words(&self, field: u32, verify: bool) -> Result<()> {
        let opened = WordField::open(|kind| self.extra(kind, field), self.layout.passages, verify);
        opened.map(drop).map_err(|what| self.corrupt(format!("words of field {field}: {what}")))
    }

    fn header(&self, field: u32) -> Result<Header> {
        self.check_length(kind::FIELD, field, 32)?;
        let numbers =
            self.array(kind::FIELD, field).first_chunk().expect("its length was just checked");
        let &[what, size, low, high, block, sub_block, stored_low, stored_high] = numbers;
        let joined = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let vocabulary = 1..=MAX_VOCABULARY as u32;
        if what != 0
            || block != BLOCK.ilog2()
            || sub_block != SUB_BLOCK.ilog2()
            || !vocabulary.contains(&size)
        {
            return Err(self.corrupt(format!(
                "field {field}: kind {what}, {size} terms, blocks of 2^{block}"
            )));
        }
        let (nnz, stored) = (joined(low, high), joined(stored_low, stored_high));
        if nnz > self.layout.length || stored > nnz {
            return Err(
                self.corrupt(format!("field {field}: {nnz} weights do not fit in the file"))
            );
        }
        Ok(Header { vocabulary_size: u64::from(size), nnz, stored })
    }

    fn check_forward_lengths(&self, field: u32, header: &Header) -> Result<()> {
        let (n, nnz) = (u64::from(self.layout.passages), header.nnz);
        let width = if is_narrow(header.vocabulary_size as u32) { 2 } else { 4 };
        let expected = [
            (kind::SCALES, 4 * n),
            (kind::FORWARD_STARTS, 8 * (n + 1)),
            (kind::FORWARD_TERMS, width * nnz),
            (kind::FORWARD_IMPACTS, 2 * nnz),
        ];
        expected.into_iter().try_for_each(|(kind, length)| self.check_length(kind, field, length))
    }

    fn check_posting_lengths(&self, field: u32, stored: u64) -> Result<()> {
        let n = self.layout.passages as usize;
        let count = |kind, size: u64| self.find(kind, field).map_or(0, |s| s.length / size);
        let terms = count(kind::POSTING_TERMS, 4);
        let splits = count(kind::SPLITS, 2 * (SUB_BLOCKS as u64 - 1));
        let dense = count(kind::DENSE_TERMS, 4);
        let expected = [
            (kind::POSTING_TERMS, 4 * terms),
            (kind::POSTING_STARTS, 8 * terms * (blocks(n) as u64 + 1)),
            (kind::POSTING_OFFSETS, 2 * stored),
            (kind::POSTING_BOUNDS, stored),
            (kind::POSTING_STEPS, 4 * terms),
            (kind::SPLIT_PLACES, 4 * terms * blocks(n) as u64),
            (kind::SPLITS, 2 * (SUB_BLOCKS as u64 - 1) * splits),
            (kind::LEVEL_SHARES, LEVELS.len() as u64 * terms),
            (kind::DENSE_TERMS, 4 * dense),
            (kind::DENSE_CUTS, dense),
            (kind::DENSE_ROWS, dense * row_width(n) as u64),
        ];
        expected
            .into_iter()
            .try_for_each(|(kind, length)| self.check_length(kind, field, length))?;
        // Files without block maxima are valid: search then reads whole rows.
        match self.find(kind::DENSE_MAXIMA, field) {
            Some(_) => {
                self.check_length(kind::DENSE_MAXIMA, field, dense * (row_width(n) / GROUP) as u64)
            }
            None => Ok(()),
        }
    }
}

type Check = std::result::Result<(), String>;

fn require(holds: bool, what: &str) -> Check {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn ascend(numbers: &[u32], below: usize) -> bool {
    numbers.is_sorted_by(|a, b| a < b) && numbers.last().is_none_or(|&last| (last as usize) < below)
}

fn check_forward(field: Field<'_>, verify: bool) -> Check {
    let starts = field.forward_starts;
    let whole =
        starts.first() == Some(&0) && starts.last() == Some(&(field.forward_terms.len() as u64));
    require(
        whole && starts.is_sorted(),
        "forward starts do not ascend from 0 to the number of weights",
    )?;
    require(
        field.scales.iter().all(|s| s.is_finite() && *s >= 0.0),
        "a scale is not finite and >= 0",
    )?;
    if verify { check_passages_of(field) } else { Ok(()) }
}

/// Checks the values that scores are made of.
fn check_passages_of(field: Field<'_>) -> Check {
    // The scales that the writer derives from the smallest and the largest float32.
    let most = f64::from(f32::MAX) / MAX_IMPACT;
    let range = f32::MIN_POSITIVE..=(most as f32).next_up();
    let fits = |(&scale, ends): (&f32, &[u64])| {
        if ends[0] == ends[1] { scale == 0.0 } else { range.contains(&scale) }
    };
    let fit = field.scales.iter().zip(field.forward_starts.windows(2)).all(fits);
    require(fit, "a scale does not fit the weights of its passage")?;
    for ordinal in 0..field.scales.len() as u32 {
        let range = field.passage(ordinal);
        require(range.len() <= MAX_TERMS, "a passage has too many terms")?;
        let terms = range.clone().map(|i| field.forward_terms.at(i));
        require(terms.is_sorted_by(|a, b| a < b), "the terms of a passage do not ascend")?;
        if let Some(last) = range.last() {
            require(
                field.forward_terms.at(last) < field.vocabulary_size,
                "a term is outside the vocabulary",
            )?;
        }
    }
    require(!field.forward_impacts.contains(&0), "an impact is zero")
}

/// Checks what keeps every later index in range; with `verify` also what makes results right.
fn check_postings(field: Field<'_>, postings: Postings<'_>, verify: bool) -> Check {
    let (terms, per_term) = (postings.terms.len(), postings.blocks + 1);
    require(
        ascend(postings.terms, field.vocabulary_size as usize),
        "posting terms do not ascend in the vocabulary",
    )?;
    require(
        ascend(postings.dense.terms, terms),
        "dense terms do not ascend among the posting terms",
    )?;
    require(field.forward_terms.is_empty() || terms > 0, "weights without postings")?;
    require(
        postings.steps.iter().all(|s| s.is_finite() && *s > 0.0),
        "a step is not finite and > 0",
    )?;
    let starts = postings.starts;
    let end = postings.offsets.len() as u64;
    let whole = starts.first().is_none_or(|&s| s == 0) && starts.last().is_none_or(|&e| e == end);
    require(
        whole && starts.is_sorted(),
        "posting starts do not ascend from 0 to the number of postings",
    )?;
    let joined = starts
        .chunks(per_term)
        .zip(starts.chunks(per_term).skip(1))
        .all(|(a, b)| a.last() == b.first());
    require(joined, "posting starts of adjacent terms differ")?;
    let splits = (postings.splits.len() / (SUB_BLOCKS - 1)) as u32;
    require(
        postings.split_places.iter().all(|&p| p < splits || p == u32::MAX),
        "a split place is out of range",
    )?;
    if verify { check_blocks(field, postings) } else { Ok(()) }
}

fn check_blocks(field: Field<'_>, postings: Postings<'_>) -> Check {
    require(!postings.bounds.contains(&0), "a bound is zero")?;
    let falls = |shares: &[u8]| shares.is_sorted_by(|a, b| a >= b);
    require(
        postings.level_shares.chunks(LEVELS.len()).all(falls),
        "the level shares of a term ascend",
    )?;
    for i in 0..postings.terms.len() {
        for block in 0..postings.blocks {
            let passages = (field.scales.len() - block * BLOCK).min(BLOCK);
            check_block(postings, i, block, passages)?;
        }
    }
    check_split_places(postings)?;
    check_dense(field, postings)
}

/// Checks that blocks with splits refer to them in order, each to its own.
fn check_split_places(postings: Postings<'_>) -> Check {
    let given = postings.split_places.iter().filter(|&&place| place != u32::MAX);
    let expected = 0..(postings.splits.len() / (SUB_BLOCKS - 1)) as u32;
    require(given.copied().eq(expected), "splits are not in the order of their blocks")
}

fn check_dense(field: Field<'_>, postings: Postings<'_>) -> Check {
    let (dense, passages) = (postings.dense, field.scales.len());
    for (&place, &cut) in dense.terms.iter().zip(dense.cuts) {
        require(cut == 0 || LEVELS.contains(&cut), "a cut is neither 0 nor a level")?;
        let kept = &postings.bounds[postings.list(place as usize)];
        let right = if cut == 0 { kept.is_empty() } else { kept.iter().all(|&bound| bound >= cut) };
        require(right, "a posting of a dense term is below its cut")?;
    }
    let padded = |row: &[u8]| row[passages..].iter().all(|&bound| bound == 0);
    require(
        passages == 0 || dense.rows.chunks(dense.width).all(padded),
        "a dense impact row is not zero after the last passage",
    )
}

fn check_block(postings: Postings<'_>, i: usize, block: usize, passages: usize) -> Check {
    let range = postings.block(i, block);
    let (offsets, bounds) = (&postings.offsets[range.clone()], &postings.bounds[range]);
    let keys =
        || offsets.iter().zip(bounds).map(|(&o, &b)| (usize::from(o) / SUB_BLOCK, 255 - b, o));
    require(keys().is_sorted_by(|a, b| a < b), "the postings of a block are out of order")?;
    require(
        offsets.iter().all(|&o| usize::from(o) < passages),
        "a posting's offset is outside its block",
    )?;
    let splits = postings.splits_of(i, block);
    require(
        splits.is_some() == (offsets.len() >= SPLIT_POSTINGS as usize),
        "only blocks of 64 postings and more have splits",
    )?;
    let before = |sub: usize| offsets.partition_point(|&o| usize::from(o) / SUB_BLOCK < sub);
    let right =
        |splits: &[u16]| splits.iter().enumerate().all(|(s, &n)| usize::from(n) == before(s + 1));
    require(splits.is_none_or(right), "a split is not where its sub-block begins")
}

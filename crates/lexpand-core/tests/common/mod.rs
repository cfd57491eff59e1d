//! Random collections, and search evaluated as docs/format.md defines it.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod forge;
pub mod words;

use std::path::Path;

use lexpand_core::search::{Hit, SearchOptions, Searched};
use lexpand_core::segment::{self, Budget, Extra, FieldVectors, Passages, Segment};
use lexpand_core::words::{Batch, Sections};
use proptest::prelude::*;

/// Sparse vectors, one list of (term, weight) per row.
pub type Rows = Vec<Vec<(u32, f32)>>;

/// Little memory, so that postings are laid out in several passes.
pub const BUDGET: Budget = Budget { memory: 4096, threads: 2 };

/// Exact search for the best k.
pub fn exact(k: usize, threads: usize) -> SearchOptions {
    SearchOptions { k, effort: 1.0, threads }
}

/// Segments with every passage allowed.
pub fn all<'a>(segments: &[&'a Segment]) -> Vec<Searched<'a>> {
    segments.iter().map(|&segment| Searched { segment, allowed: None }).collect()
}

/// The CSR arrays of rows.
pub fn csr(rows: &Rows) -> (Vec<i64>, Vec<u32>, Vec<f32>) {
    let mut indptr = vec![0];
    let (mut terms, mut weights) = (Vec::new(), Vec::new());
    for row in rows {
        for &(term, weight) in row {
            terms.push(term);
            weights.push(weight);
        }
        indptr.push(terms.len() as i64);
    }
    (indptr, terms, weights)
}

/// Rows with distinct ascending terms below `vocabulary`. Weights have few distinct values, so that
/// ties are common.
pub fn rows(
    count: impl Into<prop::collection::SizeRange>,
    vocabulary: u32,
) -> impl Strategy<Value = Rows> {
    let weight = prop_oneof![
        4 => (1_u32..8).prop_map(|i| i as f32 / 4.0),
        2 => 1e-6_f32..4.0,
        1 => Just(0.0_f32),
    ];
    let row = prop::collection::btree_map(0..vocabulary, weight, 0..12);
    prop::collection::vec(row.prop_map(|row| row.into_iter().collect()), count)
}

/// Writes one segment of `rows`, whose documents' rows begin at `first_row`.
pub fn write(path: &Path, rows: &Rows, vocabulary_size: u32, first_row: u32) -> segment::Written {
    let n = rows.len() as u32;
    let numbers: Vec<u32> = (first_row..first_row + n).collect();
    let (chunks, spans) = (vec![0; rows.len()], vec![0; 2 * rows.len()]);
    let (indptr, terms, weights) = csr(rows);
    let passages = Passages { rows: &numbers, chunks: &chunks, spans: &spans };
    let field = FieldVectors {
        field: 0,
        vocabulary_size,
        indptr: &indptr,
        terms: &terms,
        weights: &weights,
    };
    segment::write(path, passages, &[field], &[], BUDGET).unwrap()
}

/// (score, row) of every passage that scores above zero, best first.
pub fn exhaustive(segments: &[&Segment], query: &[(u32, f32)]) -> Vec<(f64, u32)> {
    let mut hits = Vec::new();
    for segment in segments {
        let field = segment.field(0).unwrap();
        for ordinal in 0..segment.passages() {
            let mut sum = 0.0;
            for i in field.passage(ordinal) {
                if let Some((_, weight)) =
                    query.iter().find(|(term, _)| *term == field.forward_terms.at(i))
                {
                    sum += f64::from(*weight) * f64::from(field.forward_impacts[i]);
                }
            }
            hits.push((
                sum * f64::from(field.scales[ordinal as usize]),
                segment.rows()[ordinal as usize],
            ));
        }
    }
    hits.retain(|hit| hit.0 > 0.0);
    hits.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    hits
}

/// The score and row of each hit, for comparison.
pub fn plain(hits: &[Hit]) -> Vec<(f64, u32)> {
    hits.iter().map(|hit| (hit.score, hit.row)).collect()
}

/// Passages of [`every_section`]: two sub-blocks, the second one short and not a multiple of 64.
pub const PASSAGES: u32 = 8_300;

/// Terms of its field 0.
pub const TERMS: u32 = 40;

/// Term 3 is in every passage but one, with one weight. Term 5 has many weights. Both are dense: 3
/// without and 5 with postings. Term 9 is in 260 passages (with splits), term 20 in 5.
pub fn every_section_rows() -> Rows {
    let row = |i: u32| {
        let mixed = i.wrapping_mul(2_654_435_761) >> 8;
        let mut row = vec![(3, 1.5), (5, 0.1 + ((mixed % 1000) as f32 / 500.0).powi(3))];
        if i.is_multiple_of(32) {
            row.push((9, 0.5 + (mixed % 7) as f32 / 4.0));
        }
        if i % 2000 == 100 {
            row.push((20, 1.0 + i as f32 / 5000.0));
        }
        row
    };
    (0..PASSAGES).map(|i| if i == 7 { vec![] } else { row(i) }).collect()
}

/// The words of so many passages.
pub fn word_sections(passages: u32) -> Sections {
    let words = ["all", "few", "Maß"];
    let (mut indptr, mut terms, mut counts) = (vec![0], Vec::new(), Vec::new());
    for i in 0..passages {
        terms.push(0);
        counts.push(1 + i % 300);
        if i.is_multiple_of(9) {
            terms.extend([1, 2]);
            counts.extend([1, 2]);
        }
        indptr.push(terms.len() as i64);
    }
    Batch { words: &words, indptr: &indptr, terms: &terms, counts: &counts }.build().unwrap()
}

/// A file that has every section of the format, none of them empty.
pub fn every_section() -> Vec<u8> {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("a.seg");
    let rows = every_section_rows();
    let numbers: Vec<u32> = (0..PASSAGES).collect();
    let (chunks, spans) = (vec![0; rows.len()], vec![0; 2 * rows.len()]);
    let (indptr, terms, weights) = csr(&rows);
    let passages = Passages { rows: &numbers, chunks: &chunks, spans: &spans };
    let field = FieldVectors {
        field: 0,
        vocabulary_size: TERMS,
        indptr: &indptr,
        terms: &terms,
        weights: &weights,
    };
    let words = word_sections(PASSAGES);
    let extras: Vec<Extra> =
        words.parts().iter().map(|&(kind, bytes)| Extra { kind, field: 1, bytes }).collect();
    segment::write(&path, passages, &[field], &extras, BUDGET).unwrap();
    std::fs::read(&path).unwrap()
}

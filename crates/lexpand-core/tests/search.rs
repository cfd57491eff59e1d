//! Search against its definition: every unit scored, to the bit.

mod common;

use common::{Rows, csr, exhaustive, plain, rows, write};
use lexpand_core::search::{Queries, search};
use lexpand_core::segment::Segment;
use proptest::prelude::*;
use tempfile::TempDir;

const VOCABULARY: u32 = 40;

fn build(folder: &TempDir, parts: &[Rows], vocabulary: u32) -> Vec<Segment> {
    let mut first = 0;
    let mut segments = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let path = folder.path().join(format!("{i}.seg"));
        write(&path, part, vocabulary, first);
        segments.push(Segment::open(&path, true).unwrap());
        first += part.len() as u32;
    }
    segments
}

proptest! {
    #[test]
    fn equals_the_definition_to_the_bit(
        parts in prop::collection::vec(rows(0..60, VOCABULARY), 1..4),
        queries in rows(0..5, VOCABULARY),
        k in 0_usize..80,
        threads in 1_usize..4,
    ) {
        let folder = TempDir::new().unwrap();
        let segments = build(&folder, &parts, VOCABULARY);
        let segments: Vec<&Segment> = segments.iter().collect();
        let (indptr, terms, weights) = csr(&queries);
        let queries_csr = Queries::new(&indptr, &terms, &weights, VOCABULARY).unwrap();
        let found = search(&segments, 0, queries_csr, k, threads).unwrap();
        prop_assert_eq!(found.len(), queries.len());
        for (query, hits) in queries.iter().zip(&found) {
            let mut expected = exhaustive(&segments, query);
            expected.truncate(k);
            prop_assert_eq!(plain(hits), expected);
        }
    }
}

/// Rows that a plain generator gives; enough of them for two blocks.
fn many(n: u32, vocabulary: u32) -> Rows {
    let mut x = 1_u32;
    let mut next = move || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        x >> 8
    };
    (0..n)
        .map(|_| {
            let mut row: Vec<(u32, f32)> =
                (0..6).map(|_| (next() % vocabulary, (next() % 1000) as f32 / 250.0)).collect();
            row.sort_by_key(|pair| pair.0);
            row.dedup_by_key(|pair| pair.0);
            row
        })
        .collect()
}

#[test]
fn several_blocks_and_a_wide_vocabulary() {
    let folder = TempDir::new().unwrap();
    let vocabulary = 200_000;
    let mut part = many(70_000, vocabulary);
    // Terms that many units share, so that the scan crosses the block border with work to do.
    for (i, row) in part.iter_mut().enumerate() {
        row.retain(|pair| pair.0 > 2);
        row.insert(0, ((i % 3) as u32, 0.5 + (i % 7) as f32 / 8.0));
    }
    let segments = build(&folder, &[part], vocabulary);
    let query = vec![(0, 1.0), (1, 0.25), (2, 0.75), (150_000, 2.0)];
    let (indptr, terms, weights) = csr(&vec![query.clone()]);
    for k in [1, 10, 1000, 100_000] {
        let queries = Queries::new(&indptr, &terms, &weights, vocabulary).unwrap();
        let found = search(&[&segments[0]], 0, queries, k, 1).unwrap();
        let mut expected = exhaustive(&[&segments[0]], &query);
        expected.truncate(k);
        assert_eq!(plain(&found[0]), expected, "k = {k}");
    }
}

#[test]
fn a_query_of_thousands_of_terms() {
    let folder = TempDir::new().unwrap();
    let vocabulary = 60_000;
    let segments = build(&folder, &[many(500, vocabulary)], vocabulary);
    for length in [2_000, 8_192, 8_193, 60_000] {
        let query: Vec<(u32, f32)> = (0..length).map(|term| (term, 0.01 + (term % 13) as f32)).collect();
        let (indptr, terms, weights) = csr(&vec![query.clone()]);
        let queries = Queries::new(&indptr, &terms, &weights, vocabulary).unwrap();
        let found = search(&[&segments[0]], 0, queries, 20, 1).unwrap();
        let mut expected = exhaustive(&[&segments[0]], &query);
        expected.truncate(20);
        assert_eq!(plain(&found[0]), expected, "{length} terms");
    }
}

#[test]
fn extreme_weights_keep_their_order() {
    let folder = TempDir::new().unwrap();
    let part: Rows = vec![vec![(0, 1e-38)], vec![(0, f32::MAX)], vec![(0, 1.0), (1, 1e-30)], vec![]];
    let segments = build(&folder, &[part], VOCABULARY);
    for weight in [1e-45, 1.0, f32::MAX] {
        let query = vec![(0, weight), (1, weight)];
        let (indptr, terms, weights) = csr(&vec![query.clone()]);
        let queries = Queries::new(&indptr, &terms, &weights, VOCABULARY).unwrap();
        let found = search(&[&segments[0]], 0, queries, 10, 1).unwrap();
        assert_eq!(plain(&found[0]), exhaustive(&[&segments[0]], &query));
        assert_eq!(found[0].iter().map(|hit| hit.row).collect::<Vec<_>>(), [1, 2, 0]);
    }
}

#[test]
fn no_segments_no_hits() {
    let queries = Queries::new(&[0, 1], &[3], &[1.0], VOCABULARY).unwrap();
    assert_eq!(search(&[], 0, queries, 10, 2).unwrap(), vec![vec![]]);
}

#[test]
fn bad_queries_are_refused_with_their_number() {
    let refused = |indptr: &[i64], terms: &[u32], weights: &[f32]| {
        Queries::new(indptr, terms, weights, VOCABULARY).map(|_| ()).unwrap_err().to_string()
    };
    assert!(refused(&[0, 1, 2], &[1, 40], &[1.0; 2]).contains("query 1: term 40 is outside the vocabulary of 40"));
    assert!(refused(&[0, 2], &[2, 2], &[1.0; 2]).contains("query 0: term 2 follows 2"));
    assert!(refused(&[0, 1], &[2], &[f32::NAN]).contains("the weight of term 2 is NaN"));
    assert!(refused(&[0, 1], &[2], &[-1.0]).contains("the weight of term 2 is -1"));
    assert!(refused(&[0, 1], &[2], &[f32::INFINITY]).contains("is inf"));
    assert!(refused(&[0, 2], &[2], &[1.0]).contains("do not fit together"));
    let folder = TempDir::new().unwrap();
    let segments = build(&folder, &[vec![vec![(0, 1.0)]]], VOCABULARY);
    let queries = Queries::new(&[0], &[], &[], VOCABULARY).unwrap();
    assert!(search(&[&segments[0]], 7, queries, 1, 1).unwrap_err().to_string().contains("field 7"));
}

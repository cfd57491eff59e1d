//! Search against its definition, which scores every passage, to the bit.

mod common;

use std::collections::HashMap;

use common::{BUDGET, Rows, all, csr, exact, exhaustive, plain, rows, write};
use lexpand_core::search::{Queries, SearchOptions, Searched, search};
use lexpand_core::segment::{MergeSource, Segment, merge};
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
        let found = search(&all(&segments), 0, queries_csr, exact(k, threads)).unwrap();
        prop_assert_eq!(found.len(), queries.len());
        for (query, hits) in queries.iter().zip(&found) {
            let mut expected = exhaustive(&segments, query);
            expected.truncate(k);
            prop_assert_eq!(plain(hits), expected);
        }
    }
}

/// Pseudo-random rows, enough for two blocks.
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
    // Many passages share these terms, so the scan has work on both sides of the block border.
    for (i, row) in part.iter_mut().enumerate() {
        row.retain(|pair| pair.0 > 2);
        row.insert(0, ((i % 3) as u32, 0.5 + (i % 7) as f32 / 8.0));
    }
    let segments = build(&folder, &[part], vocabulary);
    let query = vec![(0, 1.0), (1, 0.25), (2, 0.75), (150_000, 2.0)];
    let (indptr, terms, weights) = csr(&vec![query.clone()]);
    for k in [1, 10, 1000, 100_000] {
        let queries = Queries::new(&indptr, &terms, &weights, vocabulary).unwrap();
        let found = search(&all(&[&segments[0]]), 0, queries, exact(k, 1)).unwrap();
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
        let query: Vec<(u32, f32)> =
            (0..length).map(|term| (term, 0.01 + (term % 13) as f32)).collect();
        let (indptr, terms, weights) = csr(&vec![query.clone()]);
        let queries = Queries::new(&indptr, &terms, &weights, vocabulary).unwrap();
        let found = search(&all(&[&segments[0]]), 0, queries, exact(20, 1)).unwrap();
        let mut expected = exhaustive(&[&segments[0]], &query);
        expected.truncate(20);
        assert_eq!(plain(&found[0]), expected, "{length} terms");
    }
}

#[test]
fn extreme_weights_keep_their_order() {
    let folder = TempDir::new().unwrap();
    let part: Rows =
        vec![vec![(0, 1e-38)], vec![(0, f32::MAX)], vec![(0, 1.0), (1, 1e-30)], vec![]];
    let segments = build(&folder, &[part], VOCABULARY);
    for weight in [1e-45, 1.0, f32::MAX] {
        let query = vec![(0, weight), (1, weight)];
        let (indptr, terms, weights) = csr(&vec![query.clone()]);
        let queries = Queries::new(&indptr, &terms, &weights, VOCABULARY).unwrap();
        let found = search(&all(&[&segments[0]]), 0, queries, exact(10, 1)).unwrap();
        assert_eq!(plain(&found[0]), exhaustive(&[&segments[0]], &query));
        assert_eq!(found[0].iter().map(|hit| hit.row).collect::<Vec<_>>(), [1, 2, 0]);
    }
}

#[test]
fn no_segments_give_no_hits() {
    let queries = Queries::new(&[0, 1], &[3], &[1.0], VOCABULARY).unwrap();
    assert_eq!(search(&[], 0, queries, exact(10, 2)).unwrap(), vec![vec![]]);
}

#[test]
fn bad_queries_are_refused_with_their_number() {
    let refused = |indptr: &[i64], terms: &[u32], weights: &[f32]| {
        Queries::new(indptr, terms, weights, VOCABULARY).map(|_| ()).unwrap_err().to_string()
    };
    assert!(
        refused(&[0, 1, 2], &[1, 40], &[1.0; 2])
            .contains("query 1: term 40 is outside the vocabulary of 40")
    );
    assert!(
        refused(&[0, 2], &[2, 2], &[1.0; 2])
            .contains("query 0: term ids must be strictly increasing, got 2 after 2")
    );
    assert!(
        refused(&[0, 1], &[2], &[f32::NAN])
            .contains("the weight of term 2 must be finite and >= 0, got NaN")
    );
    assert!(refused(&[0, 1], &[2], &[-1.0]).contains("got -1"));
    assert!(refused(&[0, 1], &[2], &[f32::INFINITY]).contains("got inf"));
    assert!(refused(&[0, 2], &[2], &[1.0]).contains("do not fit together"));
    let folder = TempDir::new().unwrap();
    let segments = build(&folder, &[vec![vec![(0, 1.0)]]], VOCABULARY);
    let queries = Queries::new(&[0], &[], &[], VOCABULARY).unwrap();
    assert!(
        search(&all(&[&segments[0]]), 7, queries, exact(1, 1))
            .unwrap_err()
            .to_string()
            .contains("field 7")
    );
}

/// Thousands of passages over few terms: most terms are dense, in every block, and the last
/// sub-block is short.
fn crowded(n: u32, seed: u32) -> Rows {
    let mut rows = many(n, 30);
    for (i, row) in rows.iter_mut().enumerate() {
        let mixed = (i as u32 ^ seed).wrapping_mul(2_654_435_761);
        row.retain(|pair| pair.0 > 3);
        row.insert(0, (mixed % 3, 0.01 + (mixed >> 8) as f32 % 97.0 / 30.0));
        if mixed.is_multiple_of(11) {
            row.clear();
        }
    }
    rows
}

/// Passages whose scores descend or ascend with their ordinals, over several sub-blocks, so that
/// the threshold estimate is wrong.
fn in_order(n: u32, falling: bool) -> Rows {
    let weight = |i: u32| 0.1 + if falling { n - i } else { i } as f32 / n as f32;
    (0..n).map(|i| vec![(0, weight(i)), (1 + i % 3, weight(i) / 2.0), (4 + i % 40, 1.0)]).collect()
}

#[test]
fn passages_in_order_of_their_scores() {
    let folder = TempDir::new().unwrap();
    for falling in [true, false] {
        let path = folder.path().join(falling.to_string());
        write(&path, &in_order(70_000, falling), 44, 0);
        let segment = Segment::open(&path, true).unwrap();
        for query in [
            vec![(0, 1.0)],
            vec![(1, 1.0), (7, 0.4)],
            vec![(0, 0.3), (2, 1.0), (3, 0.5), (20, 2.0)],
        ] {
            let (indptr, terms, weights) = csr(&vec![query.clone()]);
            let queries = Queries::new(&indptr, &terms, &weights, 44).unwrap();
            let all_hits = exhaustive(&[&segment], &query);
            for k in [1, 10, 1_000, 30_000] {
                let found = search(&all(&[&segment]), 0, queries, exact(k, 1)).unwrap();
                assert_eq!(plain(&found[0]), all_hits[..k.min(all_hits.len())]);
                let half = SearchOptions { effort: 0.5, ..exact(k, 1) };
                let found = search(&all(&[&segment]), 0, queries, half).unwrap();
                assert!(found[0].len() >= k.min(all_hits.len() / 2), "{falling} {k}");
            }
        }
    }
}

/// Fewer passages are read than would be kept. All of them count, although each score is far above
/// the sum of what was read.
#[test]
fn a_search_that_reads_little_returns_what_it_read() {
    let folder = TempDir::new().unwrap();
    let weight = |i: u32, term: u32| {
        0.1 + ((i * 100 + term).wrapping_mul(2_654_435_761) >> 22) as f32 / 500.0
    };
    // Each term is in 4 % of the passages, so none is dense.
    let terms = |i: u32| (0..4).map(move |j| i % 25 + 25 * j);
    let rows: Rows =
        (0..4_000).map(|i| terms(i).map(|term| (term, weight(i, term))).collect()).collect();
    let segments = build(&folder, &[rows], 100);
    let query: Vec<u32> = (0..100).collect();
    let queries = Queries::new(&[0, 100], &query, &[1.0; 100], 100).unwrap();
    let options = SearchOptions { effort: 0.03, ..exact(50, 1) };
    assert_eq!(search(&all(&[&segments[0]]), 0, queries, options).unwrap()[0].len(), 50);
}

/// A pseudo-random number in [0, 1).
fn part(i: u32, j: u32) -> f32 {
    let mixed =
        (i.wrapping_mul(2_654_435_761) ^ j.wrapping_mul(2_246_822_519)).wrapping_mul(3_266_489_917);
    ((mixed ^ mixed >> 15).wrapping_mul(668_265_263) >> 8) as f32 / (1 << 24) as f32
}

/// Dense terms, of which only the postings of highest impact are stored, contribute most of each
/// score.
#[test]
fn recall_rises_with_effort_and_the_smallest_effort_finds_hits() {
    let folder = TempDir::new().unwrap();
    let has = |i, term: u32| part(i, term) < 0.4 / (1 + term / 4) as f32;
    let passage = |i| {
        (0..40)
            .filter(move |&term| has(i, term))
            .map(move |term| (term, 0.01 + part(i, 100 + term).powi(2)))
    };
    let segments = build(&folder, &[(0..20_000).map(|i| passage(i).collect()).collect()], 40);
    let queries: Rows = (0..30)
        .map(|i| {
            (0..40)
                .filter(|&t| part(i, 200 + t) < 0.4)
                .map(|t| (t, 0.1 + part(i, 300 + t)))
                .collect()
        })
        .collect();
    let (indptr, terms, weights) = csr(&queries);
    let queries = Queries::new(&indptr, &terms, &weights, 40).unwrap();
    let rows_at = |effort| -> Vec<Vec<u32>> {
        let found =
            search(&all(&[&segments[0]]), 0, queries, SearchOptions { effort, ..exact(10, 1) })
                .unwrap();
        found.iter().map(|hits| hits.iter().map(|hit| hit.row).collect()).collect()
    };
    let exact = rows_at(1.0);
    let recalls = [0.05, 0.2, 0.5, 0.8, 0.99].map(|effort| {
        let found = rows_at(effort);
        let right = |(found, exact): (&Vec<u32>, &Vec<u32>)| {
            exact.iter().filter(|row| found.contains(row)).count()
        };
        found.iter().zip(&exact).map(right).sum::<usize>()
    });
    assert!(recalls.is_sorted() && recalls[1] > 220 && recalls[4] == 300, "{recalls:?} of 300");
    assert!(rows_at(1e-9).iter().all(|rows| !rows.is_empty()));
}

/// A thread reuses its query weights for the next search: here of a larger vocabulary, then of a
/// smaller one.
#[test]
fn a_thread_searches_vocabularies_of_several_sizes() {
    for size in [10, 1_000, 10] {
        let folder = TempDir::new().unwrap();
        let row = vec![(0, 1.0), (size - 1, 2.0)];
        let segment = &build(&folder, &[vec![row.clone()]], size)[0];
        let (indptr, terms, weights) = csr(&vec![row.clone()]);
        let queries = Queries::new(&indptr, &terms, &weights, size).unwrap();
        let found = search(&all(&[segment]), 0, queries, exact(1, 1)).unwrap();
        assert_eq!(plain(&found[0]), exhaustive(&[segment], &row), "{size}");
    }
}

fn as_set(bits: &[bool]) -> Vec<u64> {
    let word = |bits: &[bool]| {
        bits.iter().enumerate().fold(0, |word, (i, &bit)| word | u64::from(bit) << i)
    };
    bits.chunks(64).map(word).collect()
}

/// A pseudo-random number.
fn mixed(i: u32) -> u32 {
    i.wrapping_mul(2_246_822_519).rotate_left(9)
}

/// For each segment, the set of passages whose row has the property.
fn sets_of(segments: &[&Segment], has: impl Fn(u32) -> bool) -> Vec<Vec<u64>> {
    let bits = |segment: &&Segment| segment.rows().iter().map(|&row| has(row)).collect::<Vec<_>>();
    segments.iter().map(|segment| as_set(&bits(segment))).collect()
}

/// The definition over the passages that a set allows.
fn exhaustive_among(
    segments: &[&Segment],
    sets: &[Vec<u64>],
    query: &[(u32, f32)],
    k: usize,
) -> Vec<(f64, u32)> {
    let allowed = |row: u32| {
        segments.iter().zip(sets).any(|(segment, set)| {
            segment
                .rows()
                .iter()
                .position(|&other| other == row)
                .is_some_and(|i| set[i / 64] >> (i % 64) & 1 == 1)
        })
    };
    let mut hits = exhaustive(segments, query);
    hits.retain(|hit| allowed(hit.1));
    hits.truncate(k);
    hits
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn dense_terms_and_sets_of_allowed_passages(
        sizes in prop::collection::vec(1_u32..3_000, 1..3),
        large in 8_000_u32..20_000,
        queries in rows(1..4, 34),
        k in 1_usize..40,
        one_in in prop_oneof![Just(1_u32), Just(2), Just(50), Just(1_000)],
        seed: u32,
    ) {
        let folder = TempDir::new().unwrap();
        let parts: Vec<Rows> = sizes.iter().chain([&large]).map(|&n| crowded(n, seed)).collect();
        let segments = build(&folder, &parts, 34);
        prop_assert!(!segments.last().unwrap().field(0).unwrap().postings.dense.terms.is_empty());
        let segments: Vec<&Segment> = segments.iter().collect();
        let bit = |i: u32| mixed(i ^ seed).is_multiple_of(one_in);
        let sets = sets_of(&segments, bit);
        let searched = |(&segment, set)| Searched { segment, allowed: Some(set) };
        let sets_of_words = sets.iter().map(Vec::as_slice);
        let searched: Vec<Searched> = segments.iter().zip(sets_of_words).map(searched).collect();
        let (indptr, terms, weights) = csr(&queries);
        let csr_queries = Queries::new(&indptr, &terms, &weights, 34).unwrap();
        let found = search(&searched, 0, csr_queries, exact(k, 1)).unwrap();
        for (query, hits) in queries.iter().zip(&found) {
            prop_assert_eq!(plain(hits), exhaustive_among(&segments, &sets, query, k));
        }
    }

    #[test]
    fn less_effort_gives_real_hits_with_their_real_scores(
        n in 1_000_u32..12_000,
        queries in rows(1..4, 34),
        k in 1_usize..40,
        effort in 0.001_f64..1.0,
        seed: u32,
    ) {
        let folder = TempDir::new().unwrap();
        let segments = build(&folder, &[crowded(n, seed)], 34);
        let (indptr, terms, weights) = csr(&queries);
        let options = SearchOptions { k, effort, threads: 2 };
        let queries_csr = Queries::new(&indptr, &terms, &weights, 34).unwrap();
        let found = search(&all(&[&segments[0]]), 0, queries_csr, options).unwrap();
        for (query, hits) in queries.iter().zip(&found) {
            let hits = plain(hits);
            let all_hits = exhaustive(&[&segments[0]], query).into_iter();
            let scores: HashMap<u32, f64> = all_hits.map(|(score, row)| (row, score)).collect();
            prop_assert!(hits.is_sorted_by(|a, b| (-a.0, a.1) < (-b.0, b.1)) && hits.len() <= k);
            prop_assert!(hits.iter().all(|(score, row)| scores[row] == *score));
        }
    }

    #[test]
    fn merging_changes_no_score_and_drops_what_is_not_kept(
        sizes in prop::collection::vec(0_u32..2_500, 1..4),
        queries in rows(1..4, 34),
        k in 1_usize..60,
        seed: u32,
    ) {
        let folder = TempDir::new().unwrap();
        let parts: Vec<Rows> = sizes.iter().map(|&n| crowded(n, seed)).collect();
        let segments = build(&folder, &parts, 34);
        let segments: Vec<&Segment> = segments.iter().collect();
        let sets = sets_of(&segments, |i| !mixed(i ^ seed).is_multiple_of(4));
        let source = |(&segment, set)| MergeSource { segment, keep: Some(set) };
        let sets_of_words = sets.iter().map(Vec::as_slice);
        let sources: Vec<MergeSource> = segments.iter().zip(sets_of_words).map(source).collect();
        let path = folder.path().join("merged.seg");
        merge(&path, &sources, &[], BUDGET).unwrap();
        let merged = Segment::open(&path, true).unwrap();
        let (indptr, terms, weights) = csr(&queries);
        let queries_csr = Queries::new(&indptr, &terms, &weights, 34).unwrap();
        let found = search(&all(&[&merged]), 0, queries_csr, exact(k, 1)).unwrap();
        for (query, hits) in queries.iter().zip(&found) {
            prop_assert_eq!(plain(hits), exhaustive_among(&segments, &sets, query, k));
        }
    }
}

#[test]
fn an_effort_outside_its_range_and_a_short_set_are_refused() {
    let folder = TempDir::new().unwrap();
    let segments = build(&folder, &[many(100, VOCABULARY)], VOCABULARY);
    let queries = Queries::new(&[0, 1], &[3], &[1.0], VOCABULARY).unwrap();
    for effort in [0.0, -1.0, 1.5, f64::NAN] {
        let error =
            search(&all(&[&segments[0]]), 0, queries, SearchOptions { k: 1, effort, threads: 1 })
                .unwrap_err();
        assert!(error.to_string().contains("effort"), "{error}");
    }
    let searched = [Searched { segment: &segments[0], allowed: Some(&[u64::MAX]) }];
    assert!(
        search(&searched, 0, queries, exact(1, 1)).unwrap_err().to_string().contains("shorter")
    );
}

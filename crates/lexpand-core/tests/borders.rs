//! Segments whose size is at a limit of the format. A merged segment equals, byte for byte, one
//! that is written at once, and search equals its definition.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{BUDGET, Rows, all, csr, exact, exhaustive, plain};
use lexpand_core::search::{Queries, search};
use lexpand_core::segment::{self, Budget, FieldVectors, MergeSource, Passages, Segment, merge};
use tempfile::TempDir;

const NARROW: u32 = 50;
const WIDE: u32 = 200_000;

/// Term 0 is in every passage, 1 in one of four and 2 in one of sixteen, in blocks of eight; others
/// are rare. Some passages are empty.
fn passages(n: u32) -> Rows {
    let mixed = |i: u32| i.wrapping_mul(2_654_435_761) >> 7;
    let weight = |i: u32, term: u32| 0.25 + (mixed(i ^ term << 20) % 61) as f32 / 13.0;
    let row = |i: u32| {
        let terms = [
            Some(0),
            (i / 8 % 4 == 1).then_some(1),
            i.is_multiple_of(16).then_some(2),
            Some(3 + mixed(i) % 40),
        ];
        terms.into_iter().flatten().map(|term| (term, weight(i, term))).collect()
    };
    (0..n).map(|i| if i % 1000 == 999 { vec![] } else { row(i) }).collect()
}

/// The same with terms that need four bytes.
fn widened(rows: &Rows) -> Rows {
    rows.iter()
        .map(|row| row.iter().map(|&(term, weight)| (term * 4_500, weight)).collect())
        .collect()
}

/// Writes two fields, numbered 0 and 3: one of narrow terms, one of wide terms.
fn write(path: PathBuf, rows: &Rows, first: u32, budget: Budget) -> Segment {
    let numbers: Vec<u32> = (first..first + rows.len() as u32).collect();
    let (chunks, spans) = (vec![0; rows.len()], vec![0; 2 * rows.len()]);
    let passages = Passages { rows: &numbers, chunks: &chunks, spans: &spans };
    let ((indptr, terms, weights), (_, wide, _)) = (csr(rows), csr(&widened(rows)));
    let field = |field, vocabulary_size, terms| FieldVectors {
        field,
        vocabulary_size,
        indptr: &indptr,
        terms,
        weights: &weights,
    };
    segment::write(
        &path,
        passages,
        &[field(0, NARROW, &terms), field(3, WIDE, &wide)],
        &[],
        budget,
    )
    .unwrap();
    Segment::open(&path, true).unwrap()
}

fn merged(path: &Path, sources: &[(&Segment, Option<&[u64]>)], budget: Budget) -> Segment {
    let sources: Vec<_> =
        sources.iter().map(|&(segment, keep)| MergeSource { segment, keep }).collect();
    merge(path, &sources, &[], budget).unwrap();
    Segment::open(path, true).unwrap()
}

fn check_search(segment: &Segment) {
    for query in
        [vec![(0, 1.0), (1, 0.5), (2, 0.25), (17, 2.0)], vec![(2, 1.0)], vec![(1, 1.0), (9, 1.0)]]
    {
        let expected = exhaustive(&[segment], &query);
        for (field, vocabulary, query) in
            [(0, NARROW, query.clone()), (3, WIDE, widened(&vec![query])[0].clone())]
        {
            let (indptr, terms, weights) = csr(&vec![query]);
            let queries = Queries::new(&indptr, &terms, &weights, vocabulary).unwrap();
            for k in [100_000, 10, 1] {
                let found = search(&all(&[segment]), field, queries, exact(k, 1)).unwrap();
                assert_eq!(
                    plain(&found[0]),
                    expected[..k.min(expected.len())],
                    "field {field}, {k} best"
                );
            }
        }
    }
}

/// Writes `n` passages at once, and merges them from parts with dropped passages in between.
fn check_size(n: u32) {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let rows = passages(n);
    let whole = write(path("whole"), &rows, 0, BUDGET);
    whole.check_deep().unwrap();
    check_search(&whole);
    let cut = n as usize * 2 / 5;
    let left = write(path("left"), &rows[..cut].to_vec(), 0, BUDGET);
    let (none, dropped) = (
        write(path("none"), &vec![], 0, BUDGET),
        write(path("dropped"), &passages(70), 900_000, BUDGET),
    );
    // The second half follows passages that are dropped.
    let padded: Rows = passages(67).into_iter().chain(rows[cut..].iter().cloned()).collect();
    let right = write(path("right"), &padded, cut as u32 - 67_u32.min(cut as u32), BUDGET);
    let mut keep = vec![u64::MAX; padded.len().div_ceil(64)];
    (keep[0], keep[1]) = (0, keep.get(1).unwrap() << 3);
    let sources =
        [(&left, None), (&none, None), (&dropped, Some(&[0, 0][..])), (&right, Some(&keep[..]))];
    let parts = merged(&path("merged"), &sources, Budget { memory: 1 << 30, threads: 1 });
    if cut >= 67 {
        assert!(
            fs::read(path("merged")).unwrap() == fs::read(path("whole")).unwrap(),
            "{n} passages"
        );
    }
    parts.check_deep().unwrap();
    assert_eq!((parts.passages(), parts.bytes()), (whole.passages(), whole.bytes()));
}

#[test]
fn small_sizes() {
    [0, 1, 63, 64, 65, 1023, 1024, 1025].into_iter().for_each(check_size);
}

#[test]
fn sub_blocks() {
    [16_383, 16_384, 16_385].into_iter().for_each(check_size);
}

#[test]
fn one_block() {
    check_size(65_536);
}

#[test]
fn one_passage_more_than_a_block() {
    check_size(65_537);
}

#[test]
fn the_smallest_segment_with_dense_terms() {
    let folder = TempDir::new().unwrap();
    let dense = |n: u32| {
        let segment = write(folder.path().join(n.to_string()), &passages(n), 0, BUDGET);
        segment.field(3).unwrap().postings.dense.terms.to_vec()
    };
    assert_eq!((dense(1023), dense(1024)), (vec![], vec![0, 1, 2]));
}

#[test]
fn no_passage_is_kept() {
    let folder = TempDir::new().unwrap();
    let sources =
        [1, 1100].map(|n| write(folder.path().join(n.to_string()), &passages(n), 0, BUDGET));
    let sets = [vec![0; 1], vec![0; 18]];
    let path = folder.path().join("merged");
    let segment =
        merged(&path, &[(&sources[0], Some(&sets[0])), (&sources[1], Some(&sets[1]))], BUDGET);
    assert_eq!((segment.passages(), segment.fields()), (0, vec![0, 3]));
    segment.check_deep().unwrap();
    check_search(&segment);
    let none = write(folder.path().join("none"), &vec![], 0, BUDGET);
    assert_eq!(fs::read(path).unwrap(), fs::read(folder.path().join("none")).unwrap());
    let again = merged(&folder.path().join("again"), &[(&none, None), (&segment, None)], BUDGET);
    assert_eq!(again.checksum(), none.checksum());
}

/// Every bound of a term reaches every level, so its dense impact row has no postings next to it.
#[test]
fn all_weights_are_equal() {
    let folder = TempDir::new().unwrap();
    let rows: Rows = (0..9000)
        .map(|i| if i % 30 == 0 { vec![(0, 1.0), (7, 1.0)] } else { vec![(0, 1.0)] })
        .collect();
    let segment = write(folder.path().join("a"), &rows, 0, BUDGET);
    let postings = segment.field(0).unwrap().postings;
    assert_eq!(
        (postings.terms, postings.dense.terms, postings.dense.cuts),
        (&[0, 7][..], &[0][..], &[0][..])
    );
    assert_eq!(
        (postings.shares(0), postings.stored(0), postings.stored(1)),
        (&[255; 8][..], 0, 300)
    );
    segment.check_deep().unwrap();
    check_search(&segment);
    for effort in [0.001, 0.5, 0.999] {
        let queries = Queries::new(&[0, 2], &[0, 7], &[1.0; 2], NARROW).unwrap();
        let options = lexpand_core::search::SearchOptions { effort, ..exact(5, 1) };
        let found = search(&all(&[&segment]), 0, queries, options).unwrap();
        assert!(found[0].iter().all(|hit| hit.score > 0.0));
    }
}

/// No bit of the file depends on the memory or the threads that built it.
#[test]
fn memory_and_threads_change_no_byte() {
    let folder = TempDir::new().unwrap();
    let rows = passages(70_000);
    let source =
        write(folder.path().join("source"), &rows, 0, Budget { memory: 1 << 30, threads: 1 });
    for (i, (memory, threads)) in
        [(1, 1), (10_000, 3), (1 << 20, 2), (usize::MAX, 1)].into_iter().enumerate()
    {
        let path = folder.path().join(i.to_string());
        let again = merged(&path, &[(&source, None)], Budget { memory, threads });
        assert_eq!(again.checksum(), source.checksum(), "{memory} bytes, {threads} threads");
    }
}

//! Segment files: reading gives what was written, damage is detected, and invalid input is refused.

mod common;

use std::fs;
use std::path::PathBuf;

use common::{Rows, rows, write};
use lexpand_core::Error;
use lexpand_core::search::{Queries, search};
use lexpand_core::segment::{self, FieldVectors, Passages, Segment};
use proptest::prelude::*;
use tempfile::TempDir;

const VOCABULARY: u32 = 40;

fn sample(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("a.seg");
    let rows: Rows = vec![vec![(1, 0.5), (7, 2.0)], vec![], vec![(7, 1.0), (39, 0.25)]];
    write(&path, &rows, VOCABULARY, 10);
    path
}

proptest! {
    #[test]
    fn reads_what_was_written(rows in rows(0..50, VOCABULARY)) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.seg");
        let written = write(&path, &rows, VOCABULARY, 3);
        let segment = Segment::open(&path, true).unwrap();
        prop_assert_eq!((segment.bytes(), segment.checksum()), (written.bytes, written.checksum));
        prop_assert_eq!(segment.bytes(), fs::metadata(&path).unwrap().len());
        prop_assert_eq!(segment.rows().to_vec(), (3..3 + rows.len() as u32).collect::<Vec<_>>());
        let field = segment.field(0).unwrap();
        for (passage, row) in rows.iter().enumerate() {
            let scale = f64::from(field.scales[passage]);
            let stored: Vec<(u32, f64)> = field
                .passage(passage as u32)
                .map(|i| (field.forward_terms.at(i), f64::from(field.forward_impacts[i]) * scale))
                .collect();
            let kept: Vec<&(u32, f32)> = row.iter().filter(|pair| pair.1 > 0.0).collect();
            prop_assert_eq!(stored.len(), kept.len());
            for (&(term, weight), &&(expected_term, expected)) in stored.iter().zip(&kept) {
                prop_assert_eq!(term, expected_term);
                prop_assert!((weight - f64::from(expected)).abs() <= scale);
            }
        }
        // Postings are the inverse of the forward index, with bounds that are not below the
        // weights.
        let mut seen = 0;
        let postings = field.postings;
        for (i, (&term, &step)) in postings.terms.iter().zip(postings.steps).enumerate() {
            for p in postings.block(i, 0) {
                let passage = postings.offsets[p] as u32;
                let mut weights = field.passage(passage);
                let at = weights.find(|&j| field.forward_terms.at(j) == term).unwrap();
                let scale = f64::from(field.scales[passage as usize]);
                let weight = f64::from(field.forward_impacts[at]) * scale;
                let bound = f64::from(postings.bounds[p]);
                let step = f64::from(step);
                prop_assert!(bound * step >= weight && (bound - 1.0) * step < weight);
                seen += 1;
            }
        }
        prop_assert_eq!(seen, field.forward_terms.len());
        segment.check_deep().unwrap();
    }

    #[test]
    fn any_changed_byte_is_detected(place in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let folder = TempDir::new().unwrap();
        let path = sample(&folder);
        let mut bytes = fs::read(&path).unwrap();
        let at = place.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        fs::write(&path, bytes).unwrap();
        prop_assert!(Segment::open(&path, true).is_err(), "byte {at}");
        // Unverified it may open. Then it may answer wrongly, but never crashes.
        if let Ok(segment) = Segment::open(&path, false) {
            let queries = Queries::new(&[0, 2], &[1, 7], &[1.0; 2], VOCABULARY).unwrap();
            let _ = search(&common::all(&[&segment]), 0, queries, common::exact(5, 1));
        }
    }

    #[test]
    fn any_truncation_is_detected(place in any::<prop::sample::Index>()) {
        let folder = TempDir::new().unwrap();
        let path = sample(&folder);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..place.index(bytes.len())]).unwrap();
        prop_assert!(Segment::open(&path, false).is_err());
    }
}

#[test]
fn bad_vectors_are_refused_and_leave_no_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.seg");
    let refused = |indptr: &[i64], terms: &[u32], weights: &[f32], vocabulary_size| {
        let passages = Passages { rows: &[0], chunks: &[0], spans: &[0, 0] };
        let field = FieldVectors { field: 0, vocabulary_size, indptr, terms, weights };
        let error =
            segment::write(&path, passages, &[field], &[], common::BUDGET).unwrap_err().to_string();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        error
    };
    assert!(
        refused(&[0, 1], &[9], &[1.0], 9)
            .contains("passage 0: term 9 is outside the vocabulary of 9")
    );
    assert!(refused(&[0, 2], &[3, 3], &[1.0; 2], 9).contains("got 3 after 3"));
    assert!(refused(&[0, 2], &[4, 3], &[1.0; 2], 9).contains("got 3 after 4"));
    assert!(
        refused(&[0, 1], &[3], &[f32::NAN], 9)
            .contains("weight of term 3 must be finite and >= 0, got NaN")
    );
    assert!(refused(&[0, 1], &[3], &[-0.5], 9).contains("got -0.5"));
    assert!(refused(&[0, 1], &[3], &[f32::INFINITY], 9).contains("got inf"));
    assert!(refused(&[0], &[], &[], 9).contains("do not fit together"));
    assert!(refused(&[1, 0], &[], &[], 9).contains("do not fit together"));
    assert!(refused(&[0, 0], &[], &[], 0).contains("1 to 262144 terms, got 0"));
    assert!(refused(&[0, 0], &[], &[], (1 << 18) + 1).contains("got 262145"));
    let long: Vec<u32> = (0..(1 << 16) + 1).collect();
    let weights = vec![1.0; long.len()];
    assert!(
        refused(&[0, long.len() as i64], &long, &weights, 1 << 18)
            .contains("at most 65536 terms, got 65537")
    );
}

#[test]
fn a_segment_is_never_overwritten() {
    let folder = TempDir::new().unwrap();
    let path = sample(&folder);
    let before = fs::read(&path).unwrap();
    let passages = Passages { rows: &[], chunks: &[], spans: &[] };
    assert!(
        segment::write(&path, passages, &[], &[], common::BUDGET)
            .unwrap_err()
            .to_string()
            .contains("never overwritten")
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_missing_folder_is_an_io_error_with_the_path() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gone").join("a.seg");
    let passages = Passages { rows: &[], chunks: &[], spans: &[] };
    let error = segment::write(&path, passages, &[], &[], common::BUDGET).unwrap_err();
    assert!(matches!(&error, Error::Io { action: "create", .. }), "{error}");
    assert!(Segment::open(&path, true).unwrap_err().to_string().starts_with("cannot open"));
}

//! Segment files: what is written is read; what is damaged is refused with its reason.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Rows, rows, write};
use lexpand_core::Error;
use lexpand_core::segment::{self, FieldVectors, Segment, Units};
use proptest::prelude::*;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

const VOCABULARY: u32 = 40;

fn sample(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("a.seg");
    let rows: Rows = vec![vec![(1, 0.5), (7, 2.0)], vec![], vec![(7, 1.0), (39, 0.25)]];
    write(&path, &rows, VOCABULARY, 10);
    path
}

fn refused(path: &Path) -> String {
    Segment::open(path, true).map(|_| ()).unwrap_err().to_string()
}

/// Changes bytes and makes the checksums right again, so that only the invariant itself is left to object.
fn forge(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    let count = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    for i in 0..count {
        let at = 64 + 32 * i;
        let offset = u64::from_le_bytes(bytes[at + 8..at + 16].try_into().unwrap()) as usize;
        let length = u64::from_le_bytes(bytes[at + 16..at + 24].try_into().unwrap()) as usize;
        if let Some(section) = offset.checked_add(length).and_then(|end| bytes.get(offset..end)) {
            let checksum = xxh3_64(section).to_le_bytes();
            bytes[at + 24..at + 32].copy_from_slice(&checksum);
        }
    }
    let table = xxh3_64(&bytes[64..64 + 32 * count]).to_le_bytes();
    bytes[32..40].copy_from_slice(&table);
    let header = xxh3_64(&bytes[..56]).to_le_bytes();
    bytes[56..64].copy_from_slice(&header);
    fs::write(path, bytes).unwrap();
}

/// Where a section of field 0 (or of the units) begins, in the file and in the table.
fn section(path: &Path, kind: u32) -> (usize, usize) {
    let bytes = fs::read(path).unwrap();
    let entry = (0..).map(|i| 64 + 32 * i).find(|&at| bytes[at..at + 4] == kind.to_le_bytes()).unwrap();
    (u64::from_le_bytes(bytes[entry + 8..entry + 16].try_into().unwrap()) as usize, entry)
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
        for (unit, row) in rows.iter().enumerate() {
            let stored: Vec<(u32, f64)> = field
                .unit(unit as u32)
                .map(|i| (field.forward_terms.at(i), f64::from(field.forward_impacts[i]) * f64::from(field.scales[unit])))
                .collect();
            let kept: Vec<&(u32, f32)> = row.iter().filter(|pair| pair.1 > 0.0).collect();
            prop_assert_eq!(stored.len(), kept.len());
            for (&(term, weight), &&(expected_term, expected)) in stored.iter().zip(&kept) {
                prop_assert_eq!(term, expected_term);
                prop_assert!((weight - f64::from(expected)).abs() <= f64::from(field.scales[unit]));
            }
        }
        // Postings are the forward index turned over, with bounds that are not below the weights.
        let mut seen = 0;
        let postings = field.postings.unwrap();
        for (i, (&term, &step)) in postings.terms.iter().zip(postings.steps).enumerate() {
            for p in postings.run(i, 0) {
                let unit = postings.offsets[p] as u32;
                let at = field.unit(unit).find(|&j| field.forward_terms.at(j) == term).unwrap();
                let weight = f64::from(field.forward_impacts[at]) * f64::from(field.scales[unit as usize]);
                let bound = f64::from(postings.bounds[p]);
                prop_assert!(bound * f64::from(step) >= weight && (bound - 1.0) * f64::from(step) < weight);
                seen += 1;
            }
        }
        prop_assert_eq!(seen, field.forward_terms.len());
    }

    #[test]
    fn any_changed_byte_is_noticed(place in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let folder = TempDir::new().unwrap();
        let path = sample(&folder);
        let mut bytes = fs::read(&path).unwrap();
        let at = place.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        fs::write(&path, bytes).unwrap();
        prop_assert!(Segment::open(&path, true).is_err(), "byte {at}");
        // Unverified it may open; then it may answer wrongly, but never crash.
        if let Ok(segment) = Segment::open(&path, false) {
            let queries = lexpand_core::search::Queries::new(&[0, 2], &[1, 7], &[1.0; 2], VOCABULARY).unwrap();
            let _ = lexpand_core::search::search(&common::all(&[&segment]), 0, queries, common::exact(5, 1));
        }
    }

    #[test]
    fn any_cut_is_noticed(place in any::<prop::sample::Index>()) {
        let folder = TempDir::new().unwrap();
        let path = sample(&folder);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..place.index(bytes.len())]).unwrap();
        prop_assert!(Segment::open(&path, false).is_err());
    }
}

#[test]
fn header_malformations() {
    let folder = TempDir::new().unwrap();
    let path = sample(&folder);
    let good = fs::read(&path).unwrap();
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        fs::write(&path, &good).unwrap();
        let mut bytes = good.clone();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        refused(&path)
    };
    assert!(changed(&|b| b[0] = b'X').contains("not a segment file"));
    assert!(changed(&|b| b.truncate(20)).contains("not a segment file"));
    assert!(changed(&|b| b.clear()).contains("not a segment file"));
    assert!(changed(&|b| b[24] ^= 1).contains("header's checksum"));
    assert!(changed(&|b| b[70] ^= 1).contains("table's checksum"));
    assert!(changed(&|b| b.push(0)).contains("cut off or added to"));
    let last = good.len() - 1;
    assert!(changed(&|b| b[last] ^= 1).contains("fails its checksum"));
    let error = {
        fs::write(&path, &good).unwrap();
        forge(&path, |b| b[8..12].copy_from_slice(&2_u32.to_le_bytes()));
        Segment::open(&path, true).unwrap_err()
    };
    assert!(matches!(error, Error::NewerFormat { found: 2, supported: 1, .. }), "{error}");
    for (place, value, reason) in [(12, 0xFFFF_FFFF_u32, "sections does not fit"), (28, 1, "units are too many")] {
        let mut bytes = good.clone();
        bytes[place..place + 4].copy_from_slice(&value.to_le_bytes());
        let header = xxh3_64(&bytes[..56]).to_le_bytes();
        bytes[56..64].copy_from_slice(&header);
        fs::write(&path, bytes).unwrap();
        assert!(refused(&path).contains(reason), "{}", refused(&path));
    }
}

#[test]
fn forged_values_are_refused_by_their_invariant() {
    let put = |kind: u32, skip: usize, bytes: Vec<u8>, reason: &str| {
        let folder = TempDir::new().unwrap();
        let path = sample(&folder);
        let (start, _) = section(&path, kind);
        forge(&path, |file| file[start + skip..start + skip + bytes.len()].copy_from_slice(&bytes));
        assert!(refused(&path).contains(reason), "kind {kind}: {}", refused(&path));
    };
    let u16s = |x: u16| x.to_le_bytes().to_vec();
    let u64s = |x: u64| x.to_le_bytes().to_vec();
    put(16, 0, 1_u32.to_le_bytes().to_vec(), "kind 1");
    put(16, 4, 0_u32.to_le_bytes().to_vec(), "0 terms");
    put(16, 8, 5_u32.to_le_bytes().to_vec(), "not 10 bytes");
    put(16, 12, 9_u32.to_le_bytes().to_vec(), "do not fit in the file");
    put(16, 16, 12_u32.to_le_bytes().to_vec(), "blocks of 2^12");
    put(17, 0, f32::NAN.to_le_bytes().to_vec(), "a scale is not finite");
    put(18, 0, u64s(1), "forward starts");
    put(18, 8, u64s(5), "forward starts");
    put(18, 24, u64s(9), "forward starts");
    put(19, 0, u16s(7), "do not ascend");
    put(19, 6, u16s(40), "outside the vocabulary");
    put(20, 0, u16s(0), "an impact is zero");
    put(21, 8, 40_u32.to_le_bytes().to_vec(), "posting terms do not ascend below");
    put(21, 4, 1_u32.to_le_bytes().to_vec(), "posting terms do not ascend");
    put(22, 0, u64s(1), "posting starts");
    put(22, 16, u64s(0), "posting starts");
    put(23, 0, u16s(3), "outside its block");
    put(24, 0, vec![0], "a bound is zero");
    put(25, 0, 0_f32.to_le_bytes().to_vec(), "a step is not above zero");
}

#[test]
fn forged_places_are_refused() {
    let put = |kind: u32, skip: usize, value: u64, reason: &str| {
        let folder = TempDir::new().unwrap();
        let path = sample(&folder);
        let (_, entry) = section(&path, kind);
        forge(&path, |file| file[entry + skip..entry + skip + 8].copy_from_slice(&value.to_le_bytes()));
        assert!(refused(&path).contains(reason), "kind {kind}: {}", refused(&path));
    };
    put(17, 8, u64::MAX, "begins at");
    put(17, 16, u64::MAX, "ends past the file");
    put(17, 16, 1, "are not zero");
    put(3, 16, 8, "the last section ends at");
    put(18, 0, 17, "not in order");
    // An unknown kind is skipped, so the section that it hides is missing.
    put(25, 0, 99, "section 25 of field 0 is missing");
}

#[test]
fn bad_vectors_are_refused_and_leave_no_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.seg");
    let refused = |indptr: &[i64], terms: &[u32], weights: &[f32], vocabulary_size| {
        let units = Units { rows: &[0], chunks: &[0], spans: &[0, 0] };
        let field = FieldVectors { field: 0, vocabulary_size, indptr, terms, weights };
        let error = segment::write(&path, units, &[field], &[], common::MEANS).unwrap_err().to_string();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        error
    };
    assert!(refused(&[0, 1], &[9], &[1.0], 9).contains("unit 0: term 9 is outside the vocabulary of 9"));
    assert!(refused(&[0, 2], &[3, 3], &[1.0; 2], 9).contains("term 3 follows 3"));
    assert!(refused(&[0, 2], &[4, 3], &[1.0; 2], 9).contains("term 3 follows 4"));
    assert!(refused(&[0, 1], &[3], &[f32::NAN], 9).contains("weight of term 3 is NaN"));
    assert!(refused(&[0, 1], &[3], &[-0.5], 9).contains("weight of term 3 is -0.5"));
    assert!(refused(&[0, 1], &[3], &[f32::INFINITY], 9).contains("is inf"));
    assert!(refused(&[0], &[], &[], 9).contains("do not fit together"));
    assert!(refused(&[1, 0], &[], &[], 9).contains("do not fit together"));
    assert!(refused(&[0, 0], &[], &[], 0).contains("a vocabulary of 0"));
    assert!(refused(&[0, 0], &[], &[], (1 << 18) + 1).contains("1 to 262144"));
    let long: Vec<u32> = (0..(1 << 16) + 1).collect();
    let weights = vec![1.0; long.len()];
    assert!(refused(&[0, long.len() as i64], &long, &weights, 1 << 18).contains("65537 terms; at most 65536"));
}

#[test]
fn a_segment_is_never_written_again() {
    let folder = TempDir::new().unwrap();
    let path = sample(&folder);
    let before = fs::read(&path).unwrap();
    let units = Units { rows: &[], chunks: &[], spans: &[] };
    assert!(
        segment::write(&path, units, &[], &[], common::MEANS).unwrap_err().to_string().contains("never written again")
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_missing_folder_is_an_io_error_with_the_path() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gone").join("a.seg");
    let units = Units { rows: &[], chunks: &[], spans: &[] };
    let error = segment::write(&path, units, &[], &[], common::MEANS).unwrap_err();
    assert!(matches!(&error, Error::Io { action: "create", .. }), "{error}");
    assert!(Segment::open(&path, true).unwrap_err().to_string().starts_with("cannot open"));
}

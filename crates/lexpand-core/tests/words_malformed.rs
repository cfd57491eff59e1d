//! Damaged lexical fields, and batches and queries that break a limit.

mod common;

use std::collections::BTreeMap;

use common::words::{Passage, build, open};
use lexpand_core::words::{
    Batch, Bm25, Query, Sections, Source, Statistics, WordField, kind, search,
};
use proptest::prelude::*;

/// Sections as aligned bytes that can be changed, as in a mapped file.
#[derive(Clone)]
struct Bytes(BTreeMap<u32, (Vec<u64>, usize)>);

impl Bytes {
    fn of(sections: &Sections) -> Self {
        let mut bytes = Bytes(BTreeMap::new());
        sections.parts().into_iter().for_each(|(kind, part)| bytes.put(kind, part));
        bytes
    }

    fn put(&mut self, kind: u32, part: &[u8]) {
        let mut words = vec![0_u64; part.len().div_ceil(8) + 1];
        bytemuck::cast_slice_mut(&mut words)[..part.len()].copy_from_slice(part);
        self.0.insert(kind, (words, part.len()));
    }

    fn get(&self, kind: u32) -> Option<&[u8]> {
        self.0.get(&kind).map(|(words, length)| &bytemuck::cast_slice(words)[..*length])
    }

    fn open(&self, passages: u32, verify: bool) -> Result<WordField<'_>, String> {
        WordField::open(|kind| self.get(kind), passages, verify)
    }

    fn changed(&self, kind: u32, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut part = self.get(kind).unwrap().to_vec();
        change(&mut part);
        let mut bytes = self.clone();
        bytes.put(kind, &part);
        bytes
    }
}

fn sample() -> Vec<Passage> {
    let passage = |words: &[(&str, u32)]| {
        words.iter().map(|&(word, count)| (word.to_owned(), count)).collect()
    };
    vec![
        passage(&[("a", 1), ("zug", 300)]),
        passage(&[]),
        passage(&[("a", 2), ("ß", 1), ("東京", 70_000)]),
    ]
}

proptest! {
    #[test]
    fn changed_bytes_are_refused_or_harmless(
        which in 48_u32..59,
        place: prop::sample::Index,
        bit in 0_u32..8,
    ) {
        let good = Bytes::of(&build(&sample()));
        let bytes = good.changed(which, |part| {
            let at = place.index(part.len());
            part[at] ^= 1_u8 << bit;
        });
        for verify in [true, false] {
            let Ok(field) = bytes.open(3, verify) else { continue };
            let words = [("a", 1.0), ("zug", 1.0), ("東京", 1.0)];
            let document_frequencies = vec![1, 1, 1];
            let statistics = Statistics { passages: 3, total_length: 9, document_frequencies };
            let bm25 = Bm25::new(1.2, 0.75, false).unwrap();
            let query = Query::new(&words, bm25, &statistics).unwrap();
            let source = Source { field, rows: &[0, 1, 2], allowed: None };
            let hits = search(&[source], &query, 5).unwrap();
            hits.iter().for_each(|hit| drop(query.contributions(field, hit.ordinal)));
            (0..3).for_each(|ordinal| drop(field.passage(ordinal)));
            (0..field.terms()).for_each(|term| drop(field.word(term).to_owned()));
        }
    }

    #[test]
    fn cut_sections_are_refused(which in 48_u32..59, place: prop::sample::Index) {
        let good = Bytes::of(&build(&sample()));
        let cut = good.changed(which, |part| part.truncate(place.index(part.len())));
        prop_assert!(cut.open(3, false).is_err());
    }
}

#[test]
fn every_invariant_is_named() {
    let good = Bytes::of(&build(&sample()));
    assert_eq!(good.open(3, true).unwrap().terms(), 4);
    assert!(good.open(4, true).unwrap_err().contains("3 passages of 4"));
    let refused = |kind: u32, at: usize, value: &[u8], reason: &str| {
        let bytes = good.changed(kind, |part| part[at..at + value.len()].copy_from_slice(value));
        let found = bytes.open(3, true).map(|_| ()).expect_err(reason);
        assert!(found.contains(reason), "kind {kind}: {found}");
    };
    refused(kind::HEADER, 0, &[0], "field kind 0");
    refused(kind::HEADER, 40, &[15], "blocks of 2^15");
    refused(kind::HEADER, 16, &[9], "section 49 has 5 items, not 10");
    refused(kind::HEADER, 16, &[255; 8], "section 49 has 5 items");
    refused(kind::HEADER, 24, &[9], "section 54 has 5 items, not 9");
    refused(kind::HEADER, 32, &[9], "total length");
    refused(kind::WORD_STARTS, 4, &[0], "word starts");
    refused(kind::WORD_BYTES, 0, b"~", "the words do not ascend");
    refused(kind::WORD_BYTES, 0, &[0xFF], "not UTF-8");
    refused(kind::BLOCK_STARTS, 4, &[2], "block starts");
    refused(kind::BLOCKS, 0, &[1], "or exceed the passages");
    refused(kind::POSTING_STARTS, 0, &[1], "posting starts");
    refused(kind::OFFSETS, 0, &[2], "out of order");
    refused(kind::OFFSETS, 2, &[3], "outside its block");
    refused(kind::FREQUENCIES, 0, &[0], "places with frequency 0");
    refused(kind::FREQUENCIES, 0, &[7], "sum of its frequencies");
    refused(kind::HIGH_PLACES, 0, &[0], "places with frequency 0");
    refused(kind::HIGH_FREQUENCIES, 0, &[255, 0], "not above 255");
    refused(kind::LENGTHS, 0, &[7], "sum of its frequencies");
    let mut missing = good.clone();
    missing.0.remove(&kind::LENGTHS);
    assert_eq!(missing.open(3, false).unwrap_err(), "section 58 is missing");
}

#[test]
fn bad_batches_are_refused() {
    let refused = |words: &[&str], indptr: &[i64], terms: &[u32], counts: &[u32], reason: &str| {
        let found = Batch { words, indptr, terms, counts }.build().unwrap_err().to_string();
        assert!(found.contains(reason), "{found}");
    };
    let long = "x".repeat(256);
    refused(&[""], &[0], &[], &[], "word 0 must have 1 to 255 bytes of UTF-8, got 0");
    refused(&["a", &long], &[0], &[], &[], "got 256");
    refused(&["b", "a", "b"], &[0], &[], &[], "the word \"b\" occurs twice");
    refused(&["a"], &[0, 1], &[1], &[1], "term 1 is outside the dictionary of 1 words");
    refused(&["a"], &[0, 0, 2], &[0, 0], &[1, 1], "passage 1: the word \"a\" occurs twice");
    refused(&["a"], &[0, 1], &[0], &[0], "passage 0: counts must be at least 1, got 0");
    refused(&["a", "b"], &[0, 2], &[0, 1], &[u32::MAX, 1], "words, got 4294967296");
    refused(&["a"], &[], &[], &[], "do not fit together");
    refused(&["a"], &[0, 2, 1], &[0], &[1], "do not fit together");
    refused(&["a"], &[0, 1], &[0], &[], "do not fit together");
}

#[test]
fn bad_queries_are_refused() {
    let bm25 = Bm25::new(1.2, 0.75, false).unwrap();
    let refused = |words: &[(&str, f64)], passages: u64, df: &[u64], reason: &str| {
        let statistics =
            Statistics { passages, total_length: 9, document_frequencies: df.to_vec() };
        let found = Query::new(words, bm25, &statistics).unwrap_err().to_string();
        assert!(found.contains(reason), "{found}");
    };
    refused(&[("a", 1.0), ("a", 1.0)], 3, &[1, 1], "the word \"a\" occurs twice");
    refused(&[("a", -1.0)], 3, &[1], "the weight of \"a\" must be finite and >= 0, got -1");
    refused(&[("a", f64::NAN)], 3, &[1], "got NaN");
    refused(&[("a", 1.0)], 3, &[4], "4 of 3 passages");
    refused(&[("a", 1.0)], 3, &[], "1 words have 0 document frequencies");
    let sections = build(&sample());
    let field = open(&sections, 3);
    let statistics = Statistics { passages: 3, total_length: 9, document_frequencies: vec![] };
    let query = Query::new(&[], bm25, &statistics).unwrap();
    let short =
        search(&[Source { field, rows: &[1], allowed: None }], &query, 1).unwrap_err().to_string();
    assert!(short.contains("source 0: 1 rows for 3 passages"), "{short}");
    assert!(query.contributions(field, 3).is_empty());
}

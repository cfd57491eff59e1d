//! The lexical field: reading gives what was built, search equals its definition to the bit,
//! merging equals building, and damage is refused.

mod common;

use std::collections::BTreeMap;

use common::plain;
use lexpand_core::words::{
    Batch, Bm25, Query, Sections, Source, Statistics, WordField, kind, merge, number_words, search,
    sentence_starts, split_words,
};
use proptest::prelude::*;

/// The words of one passage with their frequencies.
type Passage = BTreeMap<String, u32>;

/// A segment's passages, each with whether it is live and whether a search may return it.
type Part = Vec<(Passage, bool, bool)>;

/// Few words, so that passages share them: of several scripts, one a prefix of another, one of the
/// largest length.
fn word() -> impl Strategy<Value = String> {
    let known = [
        "a",
        "ab",
        "b",
        "zug",
        "Zug",
        "zügig",
        "ß",
        "東",
        "京",
        "слово",
        "e\u{301}",
        "1234.5",
        "\u{10FFFF}",
    ];
    prop_oneof![
        9 => prop::sample::select(known.to_vec()).prop_map(String::from),
        1 => "\\PC{1,20}",
        1 => Just("x".repeat(255)),
    ]
}

fn passage() -> impl Strategy<Value = Passage> {
    let frequency = prop_oneof![
        8 => 1_u32..5,
        1 => 250_u32..260,
        1 => 60_000_u32..70_000,
        1 => Just(3_000_000),
    ];
    prop::collection::btree_map(word(), frequency, 0..7)
}

fn part(passages: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Part> {
    prop::collection::vec(
        (passage(), prop::bool::weighted(0.8), prop::bool::weighted(0.8)),
        passages,
    )
}

fn build<'a>(passages: impl IntoIterator<Item = &'a Passage>) -> Sections {
    let (mut words, mut indptr, mut terms, mut counts) =
        (Vec::<&str>::new(), vec![0], Vec::new(), Vec::new());
    for passage in passages {
        for (word, &count) in passage {
            let place = words.iter().position(|other| other == word).unwrap_or_else(|| {
                words.push(word);
                words.len() - 1
            });
            terms.push(place as u32);
            counts.push(count);
        }
        indptr.push(terms.len() as i64);
    }
    Batch { words: &words, indptr: &indptr, terms: &terms, counts: &counts }.build().unwrap()
}

fn open(sections: &Sections, passages: usize) -> WordField<'_> {
    WordField::open(|kind| sections.get(kind), passages as u32, true).unwrap()
}

fn bits(of: impl Iterator<Item = bool>) -> Vec<u64> {
    let mut words = Vec::new();
    for (i, bit) in of.enumerate() {
        if i % 64 == 0 {
            words.push(0);
        }
        words[i / 64] |= u64::from(bit) << (i % 64);
    }
    words
}

/// Segments of parts. Rows descend if `turned`, since ties must not depend on the place in a
/// segment.
struct Collection {
    parts: Vec<Part>,
    sections: Vec<Sections>,
    rows: Vec<Vec<u32>>,
    live: Vec<Vec<u64>>,
    allowed: Vec<Vec<u64>>,
}

impl Collection {
    fn new(parts: &[Part], turned: bool) -> Self {
        let total: usize = parts.iter().map(Vec::len).sum();
        let mut numbers: Vec<u32> = (0..total as u32).collect();
        if turned {
            numbers.reverse();
        }
        let mut numbers = numbers.into_iter();
        Collection {
            parts: parts.to_vec(),
            sections: parts
                .iter()
                .map(|part| build(part.iter().map(|passage| &passage.0)))
                .collect(),
            rows: parts.iter().map(|part| numbers.by_ref().take(part.len()).collect()).collect(),
            live: parts.iter().map(|part| bits(part.iter().map(|passage| passage.1))).collect(),
            allowed: parts
                .iter()
                .map(|part| bits(part.iter().map(|passage| passage.1 && passage.2)))
                .collect(),
        }
    }

    fn field(&self, i: usize) -> WordField<'_> {
        open(&self.sections[i], self.parts[i].len())
    }

    fn kept(&self) -> Vec<(WordField<'_>, Option<&[u64]>)> {
        (0..self.parts.len()).map(|i| (self.field(i), Some(&*self.live[i]))).collect()
    }

    fn sources(&self) -> Vec<Source<'_>> {
        let source = |i: usize| Source {
            field: self.field(i),
            rows: &self.rows[i],
            allowed: Some(&self.allowed[i]),
        };
        (0..self.parts.len()).map(source).collect()
    }
}

/// The reference implementation: scores as docs/format.md defines them, over the words of a map.
fn reference(
    collection: &Collection,
    query: &BTreeMap<String, f64>,
    (k1, b): (f64, f64),
) -> Vec<(f64, u32)> {
    let live: Vec<&Passage> = collection
        .parts
        .iter()
        .flatten()
        .filter(|passage| passage.1)
        .map(|passage| &passage.0)
        .collect();
    let length = |passage: &Passage| f64::from(passage.values().sum::<u32>());
    let average = live.iter().map(|passage| length(passage)).sum::<f64>() / live.len() as f64;
    let idf = |word: &String| {
        let df = live.iter().filter(|passage| passage.contains_key(word)).count() as f64;
        (1.0 + (live.len() as f64 - df + 0.5) / (df + 0.5)).ln()
    };
    let query: Vec<(&String, f64)> =
        query.iter().map(|(word, weight)| (word, weight * idf(word))).collect();
    let mut hits = Vec::new();
    for (part, rows) in collection.parts.iter().zip(&collection.rows) {
        for ((passage, ..), &row) in
            part.iter().zip(rows).filter(|((_, live, allowed), _)| *live && *allowed)
        {
            let norm = k1 * (1.0 - b + b * (length(passage) / average));
            let share = |&(word, weight): &(&String, f64)| {
                let tf = f64::from(*passage.get(word)?);
                Some(weight * tf / (tf + norm))
            };
            hits.push((query.iter().filter_map(share).fold(0.0, |sum, share| sum + share), row));
        }
    }
    hits.retain(|hit| hit.0 > 0.0);
    hits.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    hits
}

fn statistics(collection: &Collection, words: &[(&str, f64)]) -> Statistics {
    Statistics::count(&collection.kept(), &words.iter().map(|pair| pair.0).collect::<Vec<_>>())
}

fn weighted() -> impl Strategy<Value = BTreeMap<String, f64>> {
    prop::collection::btree_map(word(), prop_oneof![3 => Just(1.0), 1 => 0.0_f64..4.0], 0..6)
}

proptest! {
    #[test]
    fn reads_what_was_built(passages in prop::collection::vec(passage(), 0..30)) {
        let sections = build(&passages);
        let field = open(&sections, passages.len());
        for (ordinal, passage) in passages.iter().enumerate() {
            let read = field.passage(ordinal as u32).into_iter();
            let read = read.map(|(term, count)| (field.word(term).to_owned(), count));
            prop_assert_eq!(&read.collect::<Passage>(), passage);
            prop_assert_eq!(field.lengths()[ordinal], passage.values().sum::<u32>());
        }
        for term in 0..field.terms() {
            prop_assert_eq!(field.term(field.word(term)), Some(term));
            prop_assert!(field.postings(term).count() > 0, "a word without postings");
        }
        prop_assert_eq!(field.term("no such word"), None);
        let postings: usize = (0..field.terms()).map(|term| field.postings(term).count()).sum();
        prop_assert_eq!(postings, passages.iter().map(BTreeMap::len).sum::<usize>());
    }

    #[test]
    fn search_equals_the_definition_to_the_bit(
        parts in prop::collection::vec(part(0..25), 0..4),
        query in weighted(),
        k in 0_usize..40,
        (k1, b) in (0.0_f64..3.0, 0.0_f64..=1.0),
        turned: bool,
    ) {
        let collection = Collection::new(&parts, turned);
        // Reversed: the sum is in the order of the words in any case.
        let reversed = query.iter().rev();
        let words = reversed.map(|(word, &weight)| (word.as_str(), weight));
        let words: Vec<(&str, f64)> = words.collect();
        let statistics = statistics(&collection, &words);
        let scorer = Query::new(&words, Bm25::new(k1, b, false).unwrap(), &statistics).unwrap();
        let found = search(&collection.sources(), &scorer, k).unwrap();
        let mut expected = reference(&collection, &query, (k1, b));
        expected.truncate(k);
        prop_assert_eq!(plain(&found), expected);
        for hit in found {
            let parts = scorer.contributions(collection.field(hit.segment as usize), hit.ordinal);
            prop_assert_eq!(parts.iter().fold(0.0, |sum, part| sum + part.score), hit.score);
        }
    }

    #[test]
    fn merging_equals_building_the_kept_passages(parts in prop::collection::vec(part(0..20), 0..4)) {
        let collection = Collection::new(&parts, false);
        let live = parts.iter().flatten().filter(|passage| passage.1).map(|passage| &passage.0);
        prop_assert_eq!(merge(&collection.kept()).unwrap(), build(live));
    }

    #[test]
    fn searching_merged_fields_equals_searching_the_sources(
        parts in prop::collection::vec(part(1..20), 1..4),
        query in weighted(),
    ) {
        let collection = Collection::new(&parts, true);
        let words = query.iter().map(|(word, &weight)| (word.as_str(), weight));
        let words: Vec<(&str, f64)> = words.collect();
        let statistics = statistics(&collection, &words);
        let merged = merge(&collection.kept()).unwrap();
        let all = parts.iter().flatten().zip(collection.rows.iter().flatten());
        let live = all.filter(|((_, live, _), _)| *live);
        let kept: Vec<(u32, bool)> = live.map(|((_, _, allowed), &row)| (row, *allowed)).collect();
        let rows: Vec<u32> = kept.iter().map(|passage| passage.0).collect();
        let field = open(&merged, rows.len());
        let allowed = bits(kept.iter().map(|passage| passage.1));
        let names: Vec<&str> = words.iter().map(|pair| pair.0).collect();
        prop_assert_eq!(&Statistics::count(&[(field, None)], &names), &statistics);
        let scorer = Query::new(&words, Bm25::new(1.2, 0.75, true).unwrap(), &statistics).unwrap();
        let apart = search(&collection.sources(), &scorer, 15).unwrap();
        let source = Source { field, rows: &rows, allowed: Some(&allowed) };
        let together = search(&[source], &scorer, 15).unwrap();
        prop_assert_eq!(plain(&together), plain(&apart));
    }

    #[test]
    fn numbered_words_equal_split_words(
        texts in prop::collection::vec("(\\PC| |東京|can't){0,30}", 0..5),
    ) {
        let numbered = number_words(texts.iter().map(String::as_str));
        for (text, ends) in texts.iter().zip(numbered.indptr.windows(2)) {
            let numbers = &numbered.numbers[ends[0] as usize..ends[1] as usize];
            let words = numbers.iter().map(|&number| numbered.words[number as usize]);
            let words: Vec<&str> = words.collect();
            prop_assert_eq!(words, split_words(text).collect::<Vec<_>>());
        }
    }
}

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

#[test]
fn several_blocks() {
    let mut passages = vec![Passage::new(); 140_000];
    for (i, passage) in passages.iter_mut().enumerate() {
        passage.insert(["even", "odd"][i % 2].to_owned(), 1 + (i % 5) as u32);
        if i % 65_536 == 65_535 || i == 139_999 {
            passage.insert("rare".to_owned(), 1);
        }
    }
    let part: Part = passages.into_iter().map(|passage| (passage, true, true)).collect();
    let collection = Collection::new(&[part], false);
    let query: BTreeMap<String, f64> =
        [("odd", 1.0), ("rare", 0.5)].map(|(w, q)| (w.to_owned(), q)).into();
    let words: Vec<(&str, f64)> =
        query.iter().map(|(word, &weight)| (word.as_str(), weight)).collect();
    let scorer =
        Query::new(&words, Bm25::new(0.9, 0.4, false).unwrap(), &statistics(&collection, &words))
            .unwrap();
    for k in [1, 10, 100_000] {
        let mut expected = reference(&collection, &query, (0.9, 0.4));
        expected.truncate(k);
        assert_eq!(plain(&search(&collection.sources(), &scorer, k).unwrap()), expected, "k = {k}");
    }
    let field = collection.field(0);
    assert_eq!(
        field.postings(field.term("rare").unwrap()).map(|p| p.0).collect::<Vec<_>>(),
        [65_535, 131_071, 139_999]
    );
    assert_eq!(merge(&collection.kept()).unwrap(), collection.sections[0]);
}

#[test]
fn words_of_several_scripts() {
    let words = |text| split_words(text).collect::<Vec<_>>();
    assert_eq!(words("The dog's AB-1234.5, can’t!"), ["The", "dog's", "AB", "1234.5", "can’t"]);
    assert_eq!(words("東京タワー ひる 3,000円"), ["東", "京", "タワー", "ひ", "る", "3,000", "円"]);
    assert_eq!(words("snake_case www.example.org 👍 …"), ["snake_case", "www.example.org"]);
}

#[test]
fn sentences_begin_at_characters() {
    assert_eq!(sentence_starts(""), [0_u64; 0]);
    assert_eq!(sentence_starts("Größe 3.5 cm. Was nun? Nichts"), [0, 14, 23]);
    assert_eq!(sentence_starts("one\ntwo"), [0, 4]);
    assert_eq!(sentence_starts("東京。大阪"), [0, 3]);
}

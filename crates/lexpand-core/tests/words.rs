//! The lexical field: reading gives what was built, search equals its definition to the bit, and
//! merging equals building.

mod common;

use std::collections::BTreeMap;

use common::plain;
use common::words::{Passage, build, open};
use lexpand_core::words::{
    Bm25, Query, Sections, Source, Statistics, WordField, merge, number_words, search,
    sentence_starts, split_words,
};
use proptest::prelude::*;

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

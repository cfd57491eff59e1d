//! One test per malformation: files with valid checksums whose content breaks one invariant of
//! docs/format.md.

mod common;

use std::sync::LazyLock;

use common::forge::{Forged, NO_FIELD, seal, seal_header, u64_at};
use common::{PASSAGES, TERMS, all, every_section, exact, exhaustive, plain};
use lexpand_core::Error;
use lexpand_core::search::{Queries, SearchOptions, Searched, search};
use lexpand_core::segment::{MergeSource, Segment, merge};
use lexpand_core::words::{Bm25, Query, Source, Statistics};
use proptest::prelude::*;

static GOOD: LazyLock<Vec<u8>> = LazyLock::new(every_section);

fn good() -> Forged {
    Forged::of(&GOOD)
}

fn refused(bytes: &[u8], verify: bool) -> String {
    Segment::from_bytes(bytes, verify).map(drop).expect_err("refused").to_string()
}

/// Refused however it is opened, since later reads rely on the invariant.
fn always(forged: &Forged, reason: &str) {
    let bytes = forged.to_bytes();
    for verify in [true, false] {
        let found = refused(&bytes, verify);
        assert!(found.contains(reason), "{reason}: {found}");
    }
}

/// Refused by `verify`. Without it, the file opens and is searched without harm.
fn verified(forged: &Forged, reason: &str) {
    let bytes = forged.to_bytes();
    let found = refused(&bytes, true);
    assert!(found.contains(reason), "{reason}: {found}");
    let segment = Segment::from_bytes(&bytes, false).unwrap();
    use_all(&segment);
    assert!(segment.verify().unwrap_err().to_string().contains(reason));
    assert!(segment.check_deep().unwrap_err().to_string().contains(reason));
}

/// Passes `verify`: only a broken writer makes such a file, and only the deep check finds it.
fn deep(forged: &Forged, reason: &str) {
    let segment = Segment::from_bytes(&forged.to_bytes(), true).unwrap();
    use_all(&segment);
    let found = segment.check_deep().unwrap_err().to_string();
    assert!(found.contains(reason) && found.contains("broken writer"), "{reason}: {found}");
}

const QUERIES: [&[(u32, f32)]; 4] = [
    &[(3, 1.0), (5, 0.5), (9, 2.0), (20, 1.0)],
    &[(9, 1.0)],
    &[(5, 1.0)],
    &[(3, 0.1), (20, 3.0), (21, 1.0)],
];

/// Reads a segment in every way. The answers may be wrong if it is damaged.
fn use_all(segment: &Segment) {
    let set: Vec<u64> =
        (0..PASSAGES.div_ceil(64) as u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
    let rows = QUERIES.iter().map(|query| query.to_vec()).collect();
    let (indptr, terms, weights) = common::csr(&rows);
    let queries = Queries::new(&indptr, &terms, &weights, TERMS).unwrap();
    for allowed in [None, Some(&*set), Some(&vec![1; set.len()])] {
        for (k, effort) in [(1, 1.0), (2000, 1.0), (10, 0.3)] {
            let searched = [Searched { segment, allowed }];
            drop(search(&searched, 0, queries, SearchOptions { k, effort, threads: 1 }));
        }
    }
    segment.word_fields().into_iter().for_each(|field| use_words(segment, field));
}

fn use_words(segment: &Segment, field: u32) {
    let field = segment.words(field).expect("checked when it was opened");
    let words = [("all", 1.0), ("few", 1.0), ("Maß", 0.5)];
    let statistics = Statistics {
        passages: 9000,
        total_length: 90_000,
        document_frequencies: vec![8000, 900, 900],
    };
    let query = Query::new(&words, Bm25::new(1.2, 0.75, false).unwrap(), &statistics).unwrap();
    let rows: Vec<u32> = (0..segment.passages()).collect();
    let hits =
        lexpand_core::words::search(&[Source { field, rows: &rows, allowed: None }], &query, 5)
            .unwrap();
    hits.iter().for_each(|hit| drop(query.contributions(field, hit.ordinal)));
}

#[test]
fn the_sample_has_every_section_and_is_sound() {
    let segment = Segment::from_bytes(&GOOD, true).unwrap();
    segment.check_deep().unwrap();
    assert!(segment.parts().iter().all(|part| part.bytes > 0));
    let kinds: Vec<u32> = segment.parts().iter().map(|part| part.kind).collect();
    assert_eq!(kinds, (16..=32).chain(48..=58).chain(1..=3).collect::<Vec<_>>());
    let dense = segment.field(0).unwrap().postings.dense;
    assert_eq!((dense.terms, dense.cuts), (&[0, 1][..], &[0, 128][..]));
    assert_eq!(good().to_bytes(), *GOOD);
    use_all(&segment);
    assert_eq!((segment.words(1).unwrap().terms(), segment.words(0).is_none()), (3, true));
}

#[test]
fn headers() {
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = GOOD.clone();
        change(&mut bytes);
        refused(&bytes, true)
    };
    assert!(changed(&|b| b[0] = b'X').contains("not a segment file"));
    assert!(changed(&|b| b.truncate(20)).contains("not a segment file"));
    assert!(changed(&|b| b.clear()).contains("not a segment file"));
    assert!(changed(&|b| b[24] ^= 1).contains("header's checksum"));
    assert!(changed(&|b| b[70] ^= 1).contains("table's checksum"));
    assert!(changed(&|b| b.push(0)).contains("cut off or appended to"));
    let last = GOOD.len() - 1;
    assert!(changed(&|b| b[last] ^= 1).contains("fails its checksum"));
    let padding = (64 + 32 * good().sections.len()..).find(|at| at % 64 == 63).unwrap();
    assert!(
        changed(&|b| b[padding] = 1).contains("are not zero"),
        "{}",
        changed(&|b| b[padding] = 1)
    );
    for (place, value, reason) in
        [(12, 0xFFFF_FFFF_u32, "sections does not fit"), (28, 1, "passages are too many")]
    {
        let found = changed(&|b| {
            b[place..place + 4].copy_from_slice(&value.to_le_bytes());
            seal_header(b);
        });
        assert!(found.contains(reason), "{found}");
    }
    for version in [0, 1] {
        let bytes = Forged { version, ..good() }.to_bytes();
        let older = Segment::from_bytes(&bytes, true).unwrap_err();
        assert!(matches!(older, Error::OlderFormat { found, .. } if found == version), "{older}");
        assert!(
            older.to_string().contains("made before the first release: index again"),
            "{older}"
        );
    }
    let newer = Segment::from_bytes(&Forged { version: 3, ..good() }.to_bytes(), true).unwrap_err();
    assert!(matches!(newer, Error::NewerFormat { found: 3, supported: 2, .. }), "{newer}");
}

#[test]
fn places_in_the_table() {
    let put = |kind: u32, skip: usize, value: u64, reason: &str| {
        let mut bytes = GOOD.clone();
        let of_kind = |&at: &usize| bytes[at..at + 4] == kind.to_le_bytes();
        let entry = (0..).map(|i| 64 + 32 * i).find(of_kind).unwrap();
        // Kind and field are the halves of one number.
        let value = if skip == 0 { value | u64_at(&bytes, entry) >> 32 << 32 } else { value };
        bytes[entry + skip..entry + skip + 8].copy_from_slice(&value.to_le_bytes());
        seal(&mut bytes);
        let found = refused(&bytes, true);
        assert!(found.contains(reason), "kind {kind}: {found}");
    };
    put(17, 8, u64::MAX, "begins at");
    put(17, 16, u64::MAX, "ends past the file");
    put(17, 16, 1, "begins at");
    put(3, 16, 8, "the last section ends at");
    put(18, 0, 17, "not in order");
    put(17, 0, 18, "not in order");
    put(18, 0, 16, "not in order");
}

#[test]
fn sections_that_are_missing_or_have_another_length() {
    for (field, kind) in good().sections.into_keys() {
        // Without its header a field does not exist, which a caller sees; block maxima may be
        // missing.
        if ![16, 32, 48].contains(&kind) {
            let mut forged = good();
            forged.sections.remove(&(field, kind));
            always(
                &forged,
                &format!("section {kind} of field {field} is missing").replace("of field 1 ", ""),
            );
        }
        for change in
            [|s: &mut Vec<u8>| s.truncate(s.len() - 1), |s: &mut Vec<u8>| s.extend([0; 9])]
        {
            let mut forged = good();
            change(forged.section(kind, field));
            let found = refused(&forged.to_bytes(), false);
            assert!(
                ["section", "start", "header"].iter().any(|named| found.contains(named)),
                "{kind}: {found}"
            );
        }
    }
    let mut short = good();
    short.section(16, 0).truncate(24);
    always(&short, "section 16 of field 0 is 24 bytes, not 32");
    let mut cut = good();
    cut.section(16, 0).truncate(12);
    always(&cut, "section 16 of field 0 is 12 bytes, not 32");
}

fn u16s(numbers: &[u16]) -> Vec<u8> {
    bytemuck::cast_slice(numbers).to_vec()
}

fn u32s(numbers: &[u32]) -> Vec<u8> {
    bytemuck::cast_slice(numbers).to_vec()
}

fn u64s(numbers: &[u64]) -> Vec<u8> {
    bytemuck::cast_slice(numbers).to_vec()
}

fn f32s(numbers: &[f32]) -> Vec<u8> {
    bytemuck::cast_slice(numbers).to_vec()
}

#[test]
fn headers_of_fields() {
    let put = |place: usize, value: u32, reason: &str| {
        always(&good().put(16, 0, 4 * place, &u32s(&[value])), reason)
    };
    put(0, 1, "kind 1");
    put(1, 0, "0 terms");
    put(1, (1 << 18) + 1, "262145 terms");
    put(1, 70_000, "section 19 of field 0");
    put(2, 17_000, "not 34000 bytes");
    put(3, 9, "do not fit in the file");
    put(4, 12, "blocks of 2^12");
    put(5, 12, "kind 0");
    put(6, 5, "section 23 of field 0");
    put(6, 60_000, "do not fit in the file");
    put(7, 1, "do not fit in the file");
}

#[test]
fn forward_indexes() {
    let n = PASSAGES as usize;
    always(&good().put(17, 0, 0, &f32s(&[f32::NAN])), "a scale is not finite");
    always(&good().put(17, 0, 4, &f32s(&[f32::INFINITY])), "a scale is not finite");
    always(&good().put(17, 0, 4, &f32s(&[-1.0])), "a scale is not finite");
    verified(&good().put(17, 0, 0, &f32s(&[0.0])), "a scale does not fit");
    verified(&good().put(17, 0, 0, &f32s(&[1e-40])), "a scale does not fit");
    verified(&good().put(17, 0, 0, &f32s(&[1e35])), "a scale does not fit");
    verified(&good().put(17, 0, 28, &f32s(&[1.0])), "a scale does not fit");
    always(&good().put(18, 0, 0, &u64s(&[1])), "forward starts");
    always(&good().put(18, 0, 8, &u64s(&[9])), "forward starts");
    always(&good().put(18, 0, 8 * n, &u64s(&[9])), "forward starts");
    verified(&good().put(19, 0, 0, &u16s(&[5])), "do not ascend");
    verified(&good().put(19, 0, 2, &u16s(&[2])), "do not ascend");
    verified(&good().put(19, 0, 4, &u16s(&[TERMS as u16])), "outside the vocabulary");
    verified(&good().put(20, 0, 0, &u16s(&[0])), "an impact is zero");
}

/// Where the blocks of the sample's posting lists begin and end, two per term.
fn starts() -> Vec<u64> {
    good().section(22, 0).chunks_exact(8).map(|bytes| u64_at(bytes, 0)).collect()
}

/// Places 0 and 1 (terms 3 and 5) are dense, 2 (term 9) has splits, 3 (term 20) has five postings.
#[test]
fn postings() {
    let starts = starts();
    let at = |place: usize| starts[2 * place] as usize;
    always(&good().put(21, 0, 12, &u32s(&[TERMS])), "posting terms do not ascend");
    always(&good().put(21, 0, 4, &u32s(&[3])), "posting terms do not ascend");
    always(&good().put(22, 0, 0, &u64s(&[1])), "posting starts");
    always(&good().put(22, 0, 8 * 6, &u64s(&[0])), "posting starts");
    always(&good().put(22, 0, 8 * 7, &u64s(&[1 << 40])), "posting starts");
    always(&good().put(22, 0, 8 * 4, &u64s(&[starts[4] + 1])), "adjacent terms differ");
    always(&good().put(25, 0, 0, &f32s(&[0.0])), "a step is not finite");
    always(&good().put(25, 0, 0, &f32s(&[f32::INFINITY])), "a step is not finite");
    verified(&good().put(24, 0, at(3), &[1]), "out of order");
    verified(
        &good().put(23, 0, 2 * (starts[7] as usize - 1), &u16s(&[PASSAGES as u16])),
        "outside its block",
    );
    verified(&good().put(23, 0, 2 * at(2), &u16s(&[16_384])), "out of order");
    verified(&good().put(24, 0, starts[7] as usize - 1, &[0]), "a bound is zero");
    verified(&good().put(24, 0, at(2), &[1]), "out of order");
    let mut none = good();
    [21, 22, 25, 26, 28].iter().for_each(|&kind| none.section(kind, 0).clear());
    [23, 24, 27, 29, 30, 31, 32].iter().for_each(|&kind| none.section(kind, 0).clear());
    none.section(16, 0)[24..28].fill(0);
    always(&none, "weights without postings");
}

#[test]
fn splits_and_shares() {
    always(&good().put(26, 0, 0, &u32s(&[2])), "a split place is out of range");
    always(&good().put(26, 0, 4, &u32s(&[u32::MAX - 1])), "a split place is out of range");
    verified(&good().put(26, 0, 0, &u32s(&[0])), "only blocks of 64 postings");
    verified(&good().put(26, 0, 8, &u32s(&[u32::MAX])), "only blocks of 64 postings");
    verified(&good().put(26, 0, 8, &u32s(&[0])), "a split is not where");
    verified(&good().put(27, 0, 6, &u16s(&[1])), "a split is not where");
    verified(&good().put(27, 0, 6, &u16s(&[u16::MAX])), "a split is not where");
    let mut unused = good();
    let again = unused.section(27, 0)[..6].to_vec();
    unused.section(27, 0).extend(again);
    verified(&unused, "not in the order of their blocks");
    let mut turned = good();
    turned.section(27, 0).rotate_left(6);
    verified(&turned.put(26, 0, 4, &u32s(&[1, 0])), "not in the order of their blocks");
    verified(&good().put(28, 0, 8, &[0, 1]), "level shares of a term ascend");
    let share = good().section(28, 0)[16 + 7];
    deep(&good().put(28, 0, 16 + 7, &[share + 1]), "the level shares of term 9");
    deep(&good().put(28, 0, 16 + 7, &[share - 1]), "the level shares of term 9");
    deep(&good().put(28, 0, 8 + 7, &[0]), "the level shares of term 5");
}

#[test]
fn dense_impact_rows() {
    let width = PASSAGES.next_multiple_of(64) as usize;
    let cut = good().section(30, 0)[1];
    always(&good().put(29, 0, 0, &u32s(&[1])), "dense terms do not ascend");
    always(&good().put(29, 0, 4, &u32s(&[4])), "dense terms do not ascend");
    verified(&good().put(30, 0, 0, &[1]), "neither 0 nor a level");
    verified(&good().put(30, 0, 1, &[cut - 1]), "neither 0 nor a level");
    verified(&good().put(30, 0, 1, &[0]), "below its cut");
    verified(&good().put(30, 0, 1, &[192]), "below its cut");
    verified(&good().put(31, 0, PASSAGES as usize, &[1]), "after the last passage");
    verified(&good().put(31, 0, 2 * width - 1, &[1]), "after the last passage");
    deep(&good().put(30, 0, 0, &[8]), "has a posting: false, although the cut is 8");
    deep(&good().put(30, 0, 1, &[32]), "has a posting: false, although the cut is 32");
    deep(&good().put(31, 0, 0, &[0]), "the bound 0 of passage 0");
    deep(&good().put(31, 0, 7, &[1]), "its row has 1 passages that lack the term");
    let bound = good().section(31, 0)[width + 8200];
    deep(&good().put(31, 0, width + 8200, &[bound - 1]), "of passage 8200 does not enclose");
    deep(&good().put(31, 0, width + 8200, &[bound + 1]), "of passage 8200 does not enclose");
    verified(&good().put(29, 0, 4, &u32s(&[2])), "below its cut");
    let mut turned = good();
    turned.section(31, 0).rotate_left(width);
    deep(&turned, "does not enclose");
}

#[test]
fn block_maxima() {
    let most = good().section(32, 0)[5];
    deep(&good().put(32, 0, 5, &[most.wrapping_sub(1)]), "the block maxima of term 3");
    deep(&good().put(32, 0, 5, &[most.wrapping_add(1)]), "the block maxima of term 3");
    let mut cut = good();
    cut.section(32, 0).clear();
    always(&cut, "section 32 of field 0 is 0 bytes");
    let mut without = good();
    without.sections.remove(&(0, 32));
    let (old, new) = (
        Segment::from_bytes(&without.to_bytes(), true).unwrap(),
        Segment::from_bytes(&GOOD, true).unwrap(),
    );
    old.check_deep().unwrap();
    let queries = Queries::new(&[0, 3], &[3, 5, 9], &[1.0, 2.0, 0.5], TERMS).unwrap();
    let found = |segment| search(&all(&[segment]), 0, queries, exact(7, 1)).unwrap();
    assert_eq!(plain(&found(&old)[0]), plain(&found(&new)[0]));
}

#[test]
fn invariants_of_exact_search() {
    let starts = starts();
    let last = starts[7] as usize - 1;
    deep(&good().put(21, 0, 12, &u32s(&[21])), "term 20 has no postings");
    deep(&good().put(25, 0, 8, &f32s(&[1.0])), "does not enclose");
    deep(&good().put(23, 0, 2 * last, &u16s(&[8101])), "passage 8101 lacks the term");
    // The bound of the second of two postings, so that they stay in order.
    let bound = good().section(24, 0)[last];
    deep(&good().put(24, 0, last, &[bound - 1]), "does not enclose");
    let mut missing =
        good().put(22, 0, 8 * 7, &u64s(&[last as u64])).put(16, 0, 24, &u32s(&[last as u32]));
    missing.section(23, 0).truncate(2 * last);
    missing.section(24, 0).truncate(last);
    deep(&missing, "1 passages lack a posting");
    let first = starts[6] as usize;
    let same: [u8; 2] = good().section(23, 0)[2 * first..][..2].try_into().unwrap();
    deep(&good().put(23, 0, 2 * (first + 1), &same), "lacks the term or has two postings");
}

#[test]
fn words_are_checked_with_their_segment() {
    always(
        &good().put(48, 1, 8, &u64s(&[9])),
        "words of field 1: field kind 1, 9 passages of 8300",
    );
    always(&good().put(49, 1, 4, &u32s(&[0])), "words of field 1: word starts");
    always(&good().put(50, 1, 0, b"\xFF"), "words of field 1: a word is not UTF-8");
    verified(&good().put(54, 1, 0, &u16s(&[9])), "words of field 1: a posting's offset");
    verified(&good().put(55, 1, 0, &[9]), "words of field 1: a passage's length");
    let mut other = good();
    let (words, short) = (common::word_sections(PASSAGES), common::word_sections(PASSAGES - 1));
    words
        .parts()
        .iter()
        .for_each(|(kind, bytes)| drop(other.sections.insert((7, *kind), bytes.to_vec())));
    assert_eq!(Segment::from_bytes(&other.to_bytes(), true).unwrap().word_fields(), [1, 7]);
    short
        .parts()
        .iter()
        .for_each(|(kind, bytes)| drop(other.sections.insert((7, *kind), bytes.to_vec())));
    always(&other, "words of field 7: field kind 1, 8299 passages of 8300");
}

#[test]
fn merging_verifies_its_sources_first() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("merged.seg");
    for bytes in [
        good().put(19, 0, 4, &u16s(&[u16::MAX])).to_bytes(),
        good().put(17, 0, 0, &f32s(&[0.0])).to_bytes(),
        good().put(55, 1, 0, &[9]).to_bytes(),
    ] {
        let segment = Segment::from_bytes(&bytes, false).unwrap();
        let error =
            merge(&path, &[MergeSource { segment: &segment, keep: None }], &[], common::BUDGET)
                .unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_newer_section_is_skipped() {
    let mut forged = good();
    forged.sections.insert((0, 40), vec![1, 2, 3]);
    forged.sections.insert((NO_FIELD, 9), vec![0; 70]);
    Segment::from_bytes(&forged.to_bytes(), true).unwrap().check_deep().unwrap();
}

/// Numbers to overwrite: (section, place, width as a power of two, value).
fn damage() -> impl Strategy<Value = Vec<(prop::sample::Index, prop::sample::Index, u32, u64)>> {
    let value = prop_oneof![
        0_u64..300,
        any::<u64>(),
        Just(u64::MAX),
        (0_u32..64).prop_map(|bit| 1 << bit),
        8_000_u64..9_000
    ];
    prop::collection::vec(
        (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_u32..4, value),
        1..4,
    )
}

fn damaged(damage: &[(prop::sample::Index, prop::sample::Index, u32, u64)]) -> Vec<u8> {
    let mut forged = good();
    for (section, place, width, value) in damage {
        let count = forged.sections.len();
        let bytes = forged.sections.values_mut().nth(section.index(count)).unwrap();
        let at = place.index(bytes.len()) >> width << width;
        let end = (at + (1 << width)).min(bytes.len());
        bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
    }
    forged.to_bytes()
}

fn cases(most: u32) -> ProptestConfig {
    ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(most),
    )
}

proptest! {
    #![proptest_config(cases(80))]

    /// Damage that the checksums do not show is refused, or read without harm.
    #[test]
    fn forged_damage_does_no_harm(damage in damage()) {
        let bytes = damaged(&damage);
        for verify in [false, true] {
            if let Ok(segment) = Segment::from_bytes(&bytes, verify) {
                use_all(&segment);
                let _ = segment.check_deep();
            }
        }
    }

    /// A file that passes the deep check is searched exactly.
    #[test]
    fn what_passes_the_deep_check_is_searched_exactly(damage in damage(), k in 1_usize..60) {
        let bytes = damaged(&damage);
        let Ok(segment) = Segment::from_bytes(&bytes, true) else { return Ok(()) };
        if segment.check_deep().is_err() {
            return Ok(());
        }
        for query in QUERIES {
            let (indptr, terms, weights) = common::csr(&vec![query.to_vec()]);
            let queries = Queries::new(&indptr, &terms, &weights, TERMS).unwrap();
            let found = search(&all(&[&segment]), 0, queries, exact(k, 1));
            let Some(field) = segment.field(0) else { continue };
            prop_assert!(field.vocabulary_size <= TERMS || found.is_ok());
            let mut expected = exhaustive(&[&segment], query);
            expected.truncate(k);
            prop_assert_eq!(plain(&found.unwrap()[0]), expected);
        }
    }
}

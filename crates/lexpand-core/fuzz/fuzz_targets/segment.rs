//! Opens any bytes as a segment file. They are accepted or refused, searched and checked, and never
//! crash.
//!
//!     cargo +nightly fuzz run --fuzz-dir crates/lexpand-core/fuzz segment CORPUS tests/golden
//!
//! Checksums would reject nearly every input, so they are corrected first.

#![no_main]

#[path = "../../tests/common/forge.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod forge;

use lexpand_core::search::{SearchOptions, Queries, Searched, search};
use lexpand_core::segment::Segment;
use lexpand_core::words::{Bm25, Query, Source, Statistics, search as search_words};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(bytes) = sealed(bytes) else { return };
    for verify in [false, true] {
        if let Ok(segment) = Segment::from_bytes(&bytes, verify) {
            search_closed(&segment);
            search_open(&segment);
            let _ = segment.check_deep();
        }
    }
});

/// Sets the magic number, the length and the checksums to valid ones.
fn sealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    let sections = u32::from_le_bytes(bytes.get(12..16)?.try_into().ok()?);
    bytes.get(64 + 32 * (sections as usize).min(64)..)?;
    bytes[12..16].copy_from_slice(&sections.min(64).to_le_bytes());
    bytes[..8].copy_from_slice(b"LXSEG\r\n\x1a");
    let length = (bytes.len() as u64).to_le_bytes();
    bytes[16..24].copy_from_slice(&length);
    forge::seal(&mut bytes);
    Some(bytes)
}

fn search_closed(segment: &Segment) {
    for field in segment.fields() {
        let Some(view) = segment.field(field) else { continue };
        let terms: Vec<u32> = (0..view.vocabulary_size.min(8)).collect();
        let weights = vec![1.0; terms.len()];
        let indptr = [0, terms.len() as i64];
        let queries = Queries::new(&indptr, &terms, &weights, view.vocabulary_size);
        let Ok(queries) = queries else { continue };
        for (k, effort) in [(3, 1.0), (3, 0.2), (usize::MAX, 1.0)] {
            let searched = [Searched { segment, allowed: None }];
            let _ = search(&searched, field, queries, SearchOptions { k, effort, threads: 1 });
        }
    }
}

fn search_open(segment: &Segment) {
    for field in segment.word_fields() {
        let field = segment.words(field).expect("checked when it was opened");
        let word = if field.terms() > 0 { field.word(field.terms() / 2) } else { "none" };
        let document_frequencies = vec![3];
        let statistics = Statistics { passages: 9, total_length: 90, document_frequencies };
        let Ok(bm25) = Bm25::new(1.2, 0.75, false) else { return };
        let Ok(query) = Query::new(&[(word, 1.0)], bm25, &statistics) else { return };
        let _ = search_words(&[Source { field, rows: segment.rows(), allowed: None }], &query, 5);
    }
}

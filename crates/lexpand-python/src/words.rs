//! Open fields: build, open, merge, search by BM25.

use std::collections::HashMap;

use lexpand_core::words::{self, Batch, Bm25, Live, Query, Sections, Source};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, ToPyArray};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyBytes;

use crate::errors::{CorruptIndex, to_python};
use crate::segment::Segment;

type SectionBytes<'py> = Vec<(u32, Bound<'py, PyBytes>)>;
type Set<'py> = Option<PyReadonlyArray1<'py, u64>>;
type Hits<'py> = (
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<u32>>,
);

/// The bytes of a section, aligned as in a mapped file.
struct Aligned {
    words: Vec<u64>,
    length: usize,
}

impl Aligned {
    fn new(bytes: &[u8]) -> Self {
        let mut words = vec![0_u64; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Aligned { words, length: bytes.len() }
    }

    fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.length]
    }
}

/// Where the sections of a field are.
enum Kept {
    Held(HashMap<u32, Aligned>, u32),
    In(Py<Segment>, u32),
}

#[pyclass(frozen, module = "lexpand._native")]
pub(crate) struct WordField(Kept);

impl WordField {
    /// The words of an open segment, in place; None if it has none.
    pub(crate) fn of(segment: Py<Segment>, field: u32) -> Option<Self> {
        segment.get().0.words(field)?;
        Some(WordField(Kept::In(segment, field)))
    }

    fn view(&self) -> words::WordField<'_> {
        let view = match &self.0 {
            Kept::Held(sections, passages) => {
                words::WordField::view(|kind| section(sections, kind), *passages).ok()
            }
            Kept::In(segment, field) => segment.get().0.words(*field),
        };
        view.expect("checked when it was opened")
    }
}

fn section(sections: &HashMap<u32, Aligned>, kind: u32) -> Option<&[u8]> {
    sections.get(&kind).map(Aligned::bytes)
}

#[pymethods]
impl WordField {
    #[staticmethod]
    fn from_sections(sections: HashMap<u32, Bound<'_, PyBytes>>, passages: u32) -> PyResult<Self> {
        let sections =
            sections.iter().map(|(&kind, bytes)| (kind, Aligned::new(bytes.as_bytes()))).collect();
        words::WordField::open(|kind| section(&sections, kind), passages, true)
            .map_err(|what| CorruptIndex::new_err(format!("words: {what}")))?;
        Ok(WordField(Kept::Held(sections, passages)))
    }

    #[getter]
    fn passages(&self) -> u32 {
        self.view().passages()
    }

    #[getter]
    fn terms(&self) -> u32 {
        self.view().terms()
    }

    fn words(&self) -> Vec<&str> {
        let field = self.view();
        (0..field.terms()).map(|term| field.word(term)).collect()
    }

    fn lengths<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u32>> {
        self.view().lengths().to_pyarray(py)
    }

    #[pyo3(signature = (live = None))]
    fn totals(&self, live: Set<'_>) -> PyResult<(u64, u64)> {
        Ok(self.view().totals(bits(&live)?))
    }

    fn passage(&self, py: Python<'_>, ordinal: u32) -> PyResult<Vec<(&str, u32)>> {
        self.check_unit(ordinal)?;
        let field = self.view();
        let found = py.detach(|| field.passage(ordinal));
        Ok(found.into_iter().map(|(term, frequency)| (field.word(term), frequency)).collect())
    }
}

impl WordField {
    fn check_unit(&self, ordinal: u32) -> PyResult<()> {
        let passages = self.view().passages();
        if ordinal < passages {
            Ok(())
        } else {
            Err(PyIndexError::new_err(format!("passage {ordinal} of {passages}")))
        }
    }
}

fn bits<'a>(set: &'a Set<'_>) -> PyResult<Option<&'a [u64]>> {
    Ok(set.as_ref().map(PyReadonlyArray1::as_slice).transpose()?)
}

/// Each field with its set of passages.
fn with_sets<'a>(
    fields: &'a [Bound<'_, WordField>],
    sets: &'a [Set<'_>],
) -> PyResult<Vec<Live<'a>>> {
    if fields.len() != sets.len() {
        return Err(PyValueError::new_err(format!(
            "{} fields, {} sets of passages",
            fields.len(),
            sets.len()
        )));
    }
    fields.iter().zip(sets).map(|(field, set)| Ok((field.get().view(), bits(set)?))).collect()
}

fn strs(words: &[PyBackedStr]) -> Vec<&str> {
    words.iter().map(|word| &**word).collect()
}

fn to_bytes<'py>(py: Python<'py>, sections: &Sections) -> SectionBytes<'py> {
    sections.parts().into_iter().map(|(kind, bytes)| (kind, PyBytes::new(py, bytes))).collect()
}

#[pyfunction]
pub(crate) fn build_words<'py>(
    py: Python<'py>,
    words: Vec<PyBackedStr>,
    indptr: PyReadonlyArray1<'py, i64>,
    terms: PyReadonlyArray1<'py, u32>,
    counts: PyReadonlyArray1<'py, u32>,
) -> PyResult<SectionBytes<'py>> {
    let words = strs(&words);
    let batch = Batch {
        words: &words,
        indptr: indptr.as_slice()?,
        terms: terms.as_slice()?,
        counts: counts.as_slice()?,
    };
    let sections = py.detach(|| batch.build()).map_err(to_python)?;
    Ok(to_bytes(py, &sections))
}

#[pyfunction]
pub(crate) fn merge_words<'py>(
    py: Python<'py>,
    fields: Vec<Bound<'py, WordField>>,
    kept: Vec<Set<'py>>,
) -> PyResult<SectionBytes<'py>> {
    let sources = with_sets(&fields, &kept)?;
    let merged = py.detach(|| words::merge(&sources)).map_err(to_python)?;
    Ok(to_bytes(py, &merged))
}

#[pyfunction]
pub(crate) fn document_frequencies<'py>(
    py: Python<'py>,
    fields: Vec<Bound<'py, WordField>>,
    live: Vec<Set<'py>>,
    words: Vec<PyBackedStr>,
) -> PyResult<Bound<'py, PyArray1<u64>>> {
    let (fields, words) = (with_sets(&fields, &live)?, strs(&words));
    Ok(py.detach(|| words::document_frequencies(&fields, &words)).into_pyarray(py))
}

#[pyclass(frozen, module = "lexpand._native")]
pub(crate) struct WordQuery {
    words: Vec<(PyBackedStr, f64)>,
    bm25: Bm25,
    statistics: words::Statistics,
}

impl WordQuery {
    fn query(&self) -> PyResult<Query<'_>> {
        let words: Vec<(&str, f64)> =
            self.words.iter().map(|(word, weight)| (&**word, *weight)).collect();
        Query::new(&words, self.bm25, &self.statistics).map_err(to_python)
    }
}

#[pymethods]
impl WordQuery {
    #[new]
    #[pyo3(signature = (
        words, document_frequencies, *, passages, total_length, k1, b, rounded_lengths = false
    ))]
    fn new(
        words: Vec<(PyBackedStr, f64)>,
        document_frequencies: PyReadonlyArray1<'_, u64>,
        passages: u64,
        total_length: u64,
        k1: f64,
        b: f64,
        rounded_lengths: bool,
    ) -> PyResult<Self> {
        let bm25 = Bm25::new(k1, b, rounded_lengths).map_err(to_python)?;
        let document_frequencies = document_frequencies.as_slice()?.to_vec();
        let query = WordQuery {
            words,
            bm25,
            statistics: words::Statistics { passages, total_length, document_frequencies },
        };
        query.query()?;
        Ok(query)
    }

    fn search<'py>(
        &self,
        py: Python<'py>,
        fields: Vec<Bound<'py, WordField>>,
        rows: Vec<PyReadonlyArray1<'py, u32>>,
        allowed: Vec<Set<'py>>,
        k: usize,
    ) -> PyResult<Hits<'py>> {
        let query = self.query()?;
        let mut sources = Vec::new();
        for ((field, allowed), rows) in with_sets(&fields, &allowed)?.into_iter().zip(&rows) {
            sources.push(Source { field, rows: rows.as_slice()?, allowed });
        }
        if rows.len() != fields.len() {
            return Err(PyValueError::new_err(format!(
                "{} fields, rows of {}",
                fields.len(),
                rows.len()
            )));
        }
        let hits = py.detach(|| words::search(&sources, &query, k)).map_err(to_python)?;
        Ok((
            hits.iter().map(|hit| hit.score).collect::<Vec<_>>().into_pyarray(py),
            hits.iter().map(|hit| hit.row).collect::<Vec<_>>().into_pyarray(py),
            hits.iter().map(|hit| hit.segment).collect::<Vec<_>>().into_pyarray(py),
            hits.iter().map(|hit| hit.ordinal).collect::<Vec<_>>().into_pyarray(py),
        ))
    }

    fn contributions(
        &self,
        field: &Bound<'_, WordField>,
        ordinal: u32,
    ) -> PyResult<Vec<(String, u32, f64, f64)>> {
        field.get().check_unit(ordinal)?;
        let found = self.query()?.contributions(field.get().view(), ordinal);
        Ok(found.into_iter().map(|c| (c.word.to_owned(), c.frequency, c.idf, c.score)).collect())
    }
}

#[pyfunction]
pub(crate) fn split_words(text: &str) -> Vec<&str> {
    words::split_words(text).collect()
}

#[pyfunction]
pub(crate) fn sentence_starts<'py>(
    py: Python<'py>,
    text: PyBackedStr,
) -> Bound<'py, PyArray1<u64>> {
    py.detach(|| words::sentence_starts(&text)).into_pyarray(py)
}

#[pyfunction]
pub(crate) fn number_words<'py>(
    py: Python<'py>,
    texts: Vec<PyBackedStr>,
) -> (Vec<String>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<u32>>) {
    let found = py.detach(|| words::number_words(texts.iter().map(|text| &**text)));
    let words = found.words.into_iter().map(str::to_owned).collect();
    (words, found.indptr.into_pyarray(py), found.numbers.into_pyarray(py))
}

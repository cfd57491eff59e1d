//! Segments: write, open, merge, search.

use std::path::PathBuf;

use lexpand_core::search::{self as core_search, Queries, SearchOptions, Searched};
use lexpand_core::segment::{self, Budget, Extra, Field, FieldVectors, MergeSource, Passages};
use numpy::ndarray::ArrayView1;
use numpy::{IntoPyArray, PyArray1, PyArrayMethods, PyReadonlyArray1, ToPyArray};
use pyo3::exceptions::{PyIndexError, PyKeyError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::errors::{CorruptIndex, to_python};
use crate::words::WordField;

type Forward<'py> = (
    Bound<'py, PyArray1<u64>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<u16>>,
    Bound<'py, PyArray1<f32>>,
);
type Hits<'py> = (
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<u32>>,
);
type Set<'py> = Option<PyReadonlyArray1<'py, u64>>;
type Borrowed<'a> = (&'a segment::Segment, Option<&'a [u64]>);
type ExtraBytes<'py> = (u32, u32, PyReadonlyArray1<'py, u8>);
type FieldArrays<'py> =
    (u32, u32, PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, u32>, PyReadonlyArray1<'py, f32>);

#[pyclass(frozen, module = "lexpand._native")]
pub(crate) struct Segment(pub(crate) segment::Segment);

impl Segment {
    fn field(&self, field: u32) -> PyResult<Field<'_>> {
        self.0
            .field(field)
            .ok_or_else(|| PyKeyError::new_err(format!("the segment has no field {field}")))
    }
}

#[pymethods]
impl Segment {
    #[staticmethod]
    #[pyo3(signature = (path, *, verify = true))]
    fn open(py: Python<'_>, path: PathBuf, verify: bool) -> PyResult<Self> {
        py.detach(|| segment::Segment::open(&path, verify)).map(Segment).map_err(to_python)
    }

    #[getter]
    fn passages(&self) -> u32 {
        self.0.passages()
    }

    #[getter]
    fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    #[getter]
    fn checksum(&self) -> u64 {
        self.0.checksum()
    }

    fn check_deep(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.check_deep()).map_err(to_python)
    }

    fn words(slf: Py<Self>, field: u32) -> PyResult<WordField> {
        WordField::of(slf, field).ok_or_else(|| {
            PyKeyError::new_err(format!("the segment has no words of field {field}"))
        })
    }

    fn nnz(&self, field: u32) -> PyResult<usize> {
        Ok(self.field(field)?.forward_terms.len())
    }

    fn rows<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u32>> {
        self.0.rows().to_pyarray(py)
    }

    fn chunks<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u32>> {
        self.0.chunks().to_pyarray(py)
    }

    fn spans<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u32>> {
        self.0.spans().to_pyarray(py)
    }

    fn parts(&self) -> Vec<(u32, u32, u64)> {
        self.0.parts().into_iter().map(|part| (part.kind, part.field, part.bytes)).collect()
    }

    fn extra<'py>(
        slf: &Bound<'py, Self>,
        kind: u32,
        field: u32,
    ) -> Option<Bound<'py, PyArray1<u8>>> {
        let bytes = ArrayView1::from(slf.get().0.extra(kind, field)?);
        // SAFETY: the array keeps the frozen segment alive, and with it the map. It is made
        // read-only before it is returned.
        let array = unsafe { PyArray1::borrow_from_array(&bytes, slf.clone().into_any()) };
        array.readwrite().make_nonwriteable();
        Some(array)
    }

    fn forward<'py>(&self, py: Python<'py>, field: u32) -> PyResult<Forward<'py>> {
        let field = self.field(field)?;
        let terms: Vec<u32> =
            (0..field.forward_terms.len()).map(|i| field.forward_terms.at(i)).collect();
        Ok((
            field.forward_starts.to_pyarray(py),
            terms.into_pyarray(py),
            field.forward_impacts.to_pyarray(py),
            field.scales.to_pyarray(py),
        ))
    }

    #[pyo3(signature = (field, passages = None))]
    fn document_frequencies<'py>(
        &self,
        py: Python<'py>,
        field: u32,
        passages: Set<'py>,
    ) -> PyResult<Bound<'py, PyArray1<u64>>> {
        let (field, passages) =
            (self.field(field)?, passages.as_ref().map(|words| words.as_slice()).transpose()?);
        if passages.is_some_and(|words| words.len() * 64 < self.0.passages() as usize) {
            return Err(PyIndexError::new_err(format!(
                "a set that is shorter than the {} passages",
                self.0.passages()
            )));
        }
        Ok(py.detach(|| field.document_frequencies(passages)).into_pyarray(py))
    }

    #[expect(clippy::type_complexity, reason = "a tuple for Python; _native.pyi names its parts")]
    fn vector<'py>(
        &self,
        py: Python<'py>,
        field: u32,
        ordinal: u32,
    ) -> PyResult<(Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<u16>>, f32)> {
        let field = self.field(field)?;
        if ordinal >= self.0.passages() {
            return Err(PyIndexError::new_err(format!(
                "passage {ordinal} of {}",
                self.0.passages()
            )));
        }
        let range = field.passage(ordinal);
        let terms: Vec<u32> = range.clone().map(|i| field.forward_terms.at(i)).collect();
        let impacts = field.forward_impacts[range].to_pyarray(py);
        Ok((terms.into_pyarray(py), impacts, field.scales[ordinal as usize]))
    }
}

#[pyfunction]
pub(crate) fn strings_at<'py>(
    py: Python<'py>,
    starts: PyReadonlyArray1<'py, u64>,
    text: PyReadonlyArray1<'py, u8>,
    places: PyReadonlyArray1<'py, u32>,
) -> PyResult<Bound<'py, PyList>> {
    let (starts, text) = (starts.as_slice()?, text.as_slice()?);
    let damaged = |place| {
        CorruptIndex::new_err(format!("string {place} is damaged: restore the index from a copy"))
    };
    let bytes_at = |&place: &u32| {
        let (start, end) = (starts.get(place as usize)?, starts.get(place as usize + 1)?);
        text.get(usize::try_from(*start).ok()?..usize::try_from(*end).ok()?)
    };
    let string_at = |bytes| Some(PyString::new(py, std::str::from_utf8(bytes).ok()?));
    // Prefetches the first byte of every string, so that the reads from memory overlap.
    let places = places.as_slice()?;
    let found: Vec<_> = places.iter().map(bytes_at).collect();
    found.iter().flatten().filter_map(|bytes| bytes.first()).for_each(lexpand_core::prefetch);
    let strings = found.into_iter().zip(places);
    let strings =
        strings.map(|(bytes, place)| bytes.and_then(string_at).ok_or_else(|| damaged(place)));
    PyList::new(py, strings.collect::<PyResult<Vec<_>>>()?)
}

#[pyfunction]
#[pyo3(signature = (
    path, rows, chunks, spans, fields, extras = vec![], *, memory = 1 << 30, threads = 1
))]
#[expect(clippy::too_many_arguments, reason = "arrays travel as they are")]
pub(crate) fn write_segment(
    py: Python<'_>,
    path: PathBuf,
    rows: PyReadonlyArray1<'_, u32>,
    chunks: PyReadonlyArray1<'_, u32>,
    spans: PyReadonlyArray1<'_, u32>,
    fields: Vec<FieldArrays<'_>>,
    extras: Vec<ExtraBytes<'_>>,
    memory: usize,
    threads: usize,
) -> PyResult<(u64, u64)> {
    let passages =
        Passages { rows: rows.as_slice()?, chunks: chunks.as_slice()?, spans: spans.as_slice()? };
    let fields = fields
        .iter()
        .map(|(field, vocabulary_size, indptr, terms, weights)| {
            Ok(FieldVectors {
                field: *field,
                vocabulary_size: *vocabulary_size,
                indptr: indptr.as_slice()?,
                terms: terms.as_slice()?,
                weights: weights.as_slice()?,
            })
        })
        .collect::<PyResult<Vec<_>>>()?;
    let (extras, budget) = (borrow_extras(&extras)?, Budget { memory, threads });
    let written = py
        .detach(|| segment::write(&path, passages, &fields, &extras, budget))
        .map_err(to_python)?;
    Ok((written.bytes, written.checksum))
}

#[pyfunction]
#[pyo3(signature = (path, sources, extras = vec![], *, memory = 1 << 30, threads = 1))]
pub(crate) fn merge_segments<'py>(
    py: Python<'py>,
    path: PathBuf,
    sources: Vec<(Bound<'py, Segment>, Set<'py>)>,
    extras: Vec<ExtraBytes<'py>>,
    memory: usize,
    threads: usize,
) -> PyResult<(u64, u64)> {
    let sources: Vec<_> = borrow_sets(&sources)?
        .into_iter()
        .map(|(segment, keep)| MergeSource { segment, keep })
        .collect();
    let (extras, budget) = (borrow_extras(&extras)?, Budget { memory, threads });
    let written =
        py.detach(|| segment::merge(&path, &sources, &extras, budget)).map_err(to_python)?;
    Ok((written.bytes, written.checksum))
}

fn borrow_sets<'a>(segments: &'a [(Bound<'_, Segment>, Set<'_>)]) -> PyResult<Vec<Borrowed<'a>>> {
    let set = |set: &'a Set<'_>| set.as_ref().map(|words| words.as_slice()).transpose();
    segments.iter().map(|(segment, words)| Ok((&segment.get().0, set(words)?))).collect()
}

fn borrow_extras<'a>(extras: &'a [ExtraBytes<'_>]) -> PyResult<Vec<Extra<'a>>> {
    let extra = |(kind, field, bytes): &'a ExtraBytes<'_>| {
        Ok(Extra { kind: *kind, field: *field, bytes: bytes.as_slice()? })
    };
    extras.iter().map(extra).collect()
}

#[pyfunction]
#[pyo3(signature = (
    segments, field, indptr, terms, weights, *, vocabulary_size, k, effort = 1.0, threads = 1
))]
#[expect(clippy::too_many_arguments, reason = "CSR arrays travel as they are")]
pub(crate) fn search<'py>(
    py: Python<'py>,
    segments: Vec<(Bound<'py, Segment>, Set<'py>)>,
    field: u32,
    indptr: PyReadonlyArray1<'py, i64>,
    terms: PyReadonlyArray1<'py, u32>,
    weights: PyReadonlyArray1<'py, f32>,
    vocabulary_size: u32,
    k: usize,
    effort: f64,
    threads: usize,
) -> PyResult<Hits<'py>> {
    let (indptr, terms, weights) = (indptr.as_slice()?, terms.as_slice()?, weights.as_slice()?);
    let searched: Vec<_> = borrow_sets(&segments)?
        .into_iter()
        .map(|(segment, allowed)| Searched { segment, allowed })
        .collect();
    let found = py
        .detach(|| {
            let queries = Queries::new(indptr, terms, weights, vocabulary_size)?;
            core_search::search(&searched, field, queries, SearchOptions { k, effort, threads })
        })
        .map_err(to_python)?;
    let mut starts = vec![0_i64];
    starts.extend(found.iter().scan(0, |end, hits| {
        *end += hits.len() as i64;
        Some(*end)
    }));
    let hits: Vec<_> = found.into_iter().flatten().collect();
    Ok((
        starts.into_pyarray(py),
        hits.iter().map(|hit| hit.score).collect::<Vec<_>>().into_pyarray(py),
        hits.iter().map(|hit| hit.row).collect::<Vec<_>>().into_pyarray(py),
        hits.iter().map(|hit| hit.segment).collect::<Vec<_>>().into_pyarray(py),
        hits.iter().map(|hit| hit.ordinal).collect::<Vec<_>>().into_pyarray(py),
    ))
}

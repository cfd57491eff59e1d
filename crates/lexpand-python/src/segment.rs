//! Segments: written, opened, searched.

use std::path::PathBuf;

use lexpand_core::search::{self as core_search, Queries};
use lexpand_core::segment::{self, Field, FieldVectors, Units};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, ToPyArray};
use pyo3::exceptions::{PyIndexError, PyKeyError};
use pyo3::prelude::*;

use crate::errors::to_python;

type Forward<'py> =
    (Bound<'py, PyArray1<u64>>, Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<u16>>, Bound<'py, PyArray1<f32>>);
type Hits<'py> = (
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<u32>>,
);
type FieldArrays<'py> = (u32, u32, PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, u32>, PyReadonlyArray1<'py, f32>);

#[pyclass(frozen, module = "lexpand._native")]
pub(crate) struct Segment(segment::Segment);

impl Segment {
    fn field(&self, field: u32) -> PyResult<Field<'_>> {
        self.0.field(field).ok_or_else(|| PyKeyError::new_err(format!("the segment has no field {field}")))
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
    fn units(&self) -> u32 {
        self.0.units()
    }

    #[getter]
    fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    #[getter]
    fn checksum(&self) -> u64 {
        self.0.checksum()
    }

    fn nnz(&self, field: u32) -> PyResult<usize> {
        Ok(self.field(field)?.forward_terms.len())
    }

    fn ordinal(&self, row: u32) -> Option<u32> {
        self.0.rows().iter().position(|&other| other == row).map(|ordinal| ordinal as u32)
    }

    fn rows<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u32>> {
        self.0.rows().to_pyarray(py)
    }

    fn forward<'py>(&self, py: Python<'py>, field: u32) -> PyResult<Forward<'py>> {
        let field = self.field(field)?;
        let terms: Vec<u32> = (0..field.forward_terms.len()).map(|i| field.forward_terms.at(i)).collect();
        Ok((
            field.forward_starts.to_pyarray(py),
            terms.into_pyarray(py),
            field.forward_impacts.to_pyarray(py),
            field.scales.to_pyarray(py),
        ))
    }

    #[expect(clippy::type_complexity, reason = "a tuple for Python; _native.pyi names its parts")]
    fn vector<'py>(
        &self,
        py: Python<'py>,
        field: u32,
        ordinal: u32,
    ) -> PyResult<(Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<u16>>, f32)> {
        let field = self.field(field)?;
        if ordinal >= self.0.units() {
            return Err(PyIndexError::new_err(format!("unit {ordinal} of {}", self.0.units())));
        }
        let range = field.unit(ordinal);
        let terms: Vec<u32> = range.clone().map(|i| field.forward_terms.at(i)).collect();
        let impacts = field.forward_impacts[range].to_pyarray(py);
        Ok((terms.into_pyarray(py), impacts, field.scales[ordinal as usize]))
    }
}

#[pyfunction]
pub(crate) fn write_segment(
    py: Python<'_>,
    path: PathBuf,
    rows: PyReadonlyArray1<'_, u32>,
    chunks: PyReadonlyArray1<'_, u32>,
    spans: PyReadonlyArray1<'_, u32>,
    fields: Vec<FieldArrays<'_>>,
) -> PyResult<(u64, u64)> {
    let units = Units { rows: rows.as_slice()?, chunks: chunks.as_slice()?, spans: spans.as_slice()? };
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
    let written = py.detach(|| segment::write(&path, units, &fields)).map_err(to_python)?;
    Ok((written.bytes, written.checksum))
}

#[pyfunction]
#[pyo3(signature = (segments, field, indptr, terms, weights, *, vocabulary_size, k, threads = 1))]
#[expect(clippy::too_many_arguments, reason = "CSR arrays travel as they are")]
pub(crate) fn search<'py>(
    py: Python<'py>,
    segments: Vec<Bound<'py, Segment>>,
    field: u32,
    indptr: PyReadonlyArray1<'py, i64>,
    terms: PyReadonlyArray1<'py, u32>,
    weights: PyReadonlyArray1<'py, f32>,
    vocabulary_size: u32,
    k: usize,
    threads: usize,
) -> PyResult<Hits<'py>> {
    let (indptr, terms, weights) = (indptr.as_slice()?, terms.as_slice()?, weights.as_slice()?);
    let segments: Vec<&segment::Segment> = segments.iter().map(|segment| &segment.get().0).collect();
    let found = py
        .detach(|| {
            let queries = Queries::new(indptr, terms, weights, vocabulary_size)?;
            core_search::search(&segments, field, queries, k, threads)
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

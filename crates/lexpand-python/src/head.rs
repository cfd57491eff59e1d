//! The SPLADE head.

use lexpand_core::head::{self, Activation, Basis, HiddenBatch, Pooling};
use numpy::{
    IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::to_python;

type Sparse<'py> = (
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<f32>>,
    Bound<'py, PyArray1<u32>>,
);

fn pooling(name: &str) -> PyResult<Pooling> {
    match name {
        "max" => Ok(Pooling::Max),
        "sum" => Ok(Pooling::Sum),
        _ => Err(PyValueError::new_err(format!("unknown pooling {name:?}: 'max' or 'sum'"))),
    }
}

fn activation(name: &str) -> PyResult<Activation> {
    match name {
        "log1p(relu)" => Ok(Activation::Log1pRelu),
        "log1p(log1p(relu))" => Ok(Activation::Log1pLog1pRelu),
        _ => Err(PyValueError::new_err(format!(
            "unknown activation {name:?}: 'log1p(relu)' or 'log1p(log1p(relu))'"
        ))),
    }
}

#[pyclass(frozen, module = "lexpand._native")]
pub(crate) struct Head(head::Head);

#[pymethods]
impl Head {
    #[new]
    #[pyo3(signature = (weights, bias, *, pooling, activation))]
    fn new(
        weights: PyReadonlyArray2<'_, f32>,
        bias: PyReadonlyArray1<'_, f32>,
        pooling: &str,
        activation: &str,
    ) -> PyResult<Self> {
        let (pooling, activation) = (self::pooling(pooling)?, self::activation(activation)?);
        let width = weights.shape()[1];
        head::Head::new(weights.as_slice()?, bias.as_slice()?, width, pooling, activation)
            .map(Head)
            .map_err(to_python)
    }

    #[pyo3(signature = (to_basis, back, kept, typical, *, threads = 1))]
    fn screened(
        &self,
        py: Python<'_>,
        to_basis: PyReadonlyArray2<'_, f64>,
        back: PyReadonlyArray2<'_, f64>,
        kept: usize,
        typical: PyReadonlyArray1<'_, f64>,
        threads: usize,
    ) -> PyResult<Self> {
        let (to_basis, back, typical) =
            (to_basis.as_slice()?, back.as_slice()?, typical.as_slice()?);
        py.detach(|| self.0.screened(Basis { to_basis, back, kept, typical }, threads))
            .map(Head)
            .map_err(to_python)
    }

    #[pyo3(signature = (hidden, lengths, *, threads = 1))]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        hidden: PyReadonlyArray3<'py, f32>,
        lengths: PyReadonlyArray1<'py, u32>,
        threads: usize,
    ) -> PyResult<Sparse<'py>> {
        let (positions, width) = (hidden.shape()[1], hidden.shape()[2]);
        let (states, lengths) = (hidden.as_slice()?, lengths.as_slice()?);
        let found = py
            .detach(|| self.0.encode(HiddenBatch::new(states, lengths, positions, width)?, threads))
            .map_err(to_python)?;
        Ok((
            found.indptr.into_pyarray(py),
            found.terms.into_pyarray(py),
            found.weights.into_pyarray(py),
            found.positions.into_pyarray(py),
        ))
    }
}

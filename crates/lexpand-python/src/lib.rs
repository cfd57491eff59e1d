//! `lexpand._native`, the Python API of lexpand-core: conversions, errors and the GIL; no logic.
//!
//! `_native.pyi` documents every name, and a test compares the two.

mod errors;
mod head;
mod segment;
mod words;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    use super::PyModule;
    use super::{Bound, PyModuleMethods, PyResult};

    #[pymodule_export]
    use super::head::Head;
    #[pymodule_export]
    use super::segment::{Segment, merge_segments, search, strings_at, write_segment};
    #[pymodule_export]
    use super::words::{
        WordField, WordQuery, build_words, document_frequencies, merge_words, number_words,
        sentence_starts, split_words,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("SEGMENT_FORMAT", lexpand_core::segment::VERSION)
    }
}

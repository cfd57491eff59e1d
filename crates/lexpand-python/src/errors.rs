//! Maps errors of the core to those of `lexpand.errors`.

use std::io::ErrorKind;

use lexpand_core::Error;
use pyo3::{PyErr, import_exception};

import_exception!(lexpand.errors, CorruptIndex);
import_exception!(lexpand.errors, NewerFormat);
import_exception!(lexpand.errors, OlderFormat);
import_exception!(lexpand.errors, StorageError);
import_exception!(lexpand.errors, VectorError);

/// The remedy for an I/O error; empty if there is none.
fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "; free some space and run it again: what was committed is safe"
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            "; choose a folder that can be written"
        }
        _ => "",
    }
}

/// The Python exception for an error of the core.
pub(crate) fn to_python(error: Error) -> PyErr {
    match &error {
        Error::Invalid(_) => VectorError::new_err(error.to_string()),
        Error::Corrupt { .. } => CorruptIndex::new_err(error.to_string()),
        Error::NewerFormat { .. } => NewerFormat::new_err(format!("{error}; upgrade lexpand")),
        Error::OlderFormat { .. } => OlderFormat::new_err(error.to_string()),
        Error::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
            CorruptIndex::new_err(format!("{error}: a file of the index is gone"))
        }
        Error::Io { source, .. } => {
            StorageError::new_err(format!("{error}{}", remedy(source.kind())))
        }
    }
}

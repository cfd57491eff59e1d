//! The errors of the core.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of an operation of the core.
pub type Result<T> = std::result::Result<T, Error>;

/// Every failure that the core reports. Invalid input never makes it panic.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An argument breaks a limit.
    #[error("{0}")]
    Invalid(String),
    /// The bytes of a file break the format.
    #[error("{}: {what}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The invariant that does not hold, with the value found.
        what: String,
    },
    /// The file has a later format than this version reads.
    #[error("{}: segment format {found}; this version reads up to {supported}", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The newest version that can be read.
        supported: u32,
    },
    /// The file has a format from before the first release, which this version does not read.
    #[error(
        "{}: segment format {found}, made before the first release: index again",
        path.display()
    )]
    OlderFormat {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u32,
    },
    /// The operating system refused an operation.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The operation: a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn invalid(what: impl fmt::Display) -> Self {
        Error::Invalid(what.to_string())
    }

    pub(crate) fn corrupt(path: &Path, what: impl fmt::Display) -> Self {
        Error::Corrupt { path: path.to_owned(), what: what.to_string() }
    }

    /// Adds the operation and the file to an I/O error, for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }
}

//! Opens and checks a segment file.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use super::bytes::Bytes;
use super::layout::Layout;
use super::read::Segment;
use crate::{Error, Result};

impl Segment {
    /// Opens and checks a file: every byte with `verify`, otherwise sizes, places and the checksums
    /// of header and table.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::NewerFormat`], [`Error::OlderFormat`], or [`Error::Corrupt`] with
    /// the first invariant that does not hold.
    pub fn open(path: &Path, verify: bool) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        // SAFETY: a segment is written once, renamed into place and never changed (docs/format.md).
        // Truncating it while it is mapped breaks that contract, as it does for any mapped file.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io("map", path))?;
        Self::check_and_keep(Bytes::Mapped(map), path, verify)
    }

    /// Opens a copy of a file's bytes; errors call it `<memory>`.
    ///
    /// # Errors
    /// As [`Segment::open`], except [`Error::Io`].
    pub fn from_bytes(bytes: &[u8], verify: bool) -> Result<Self> {
        Self::check_and_keep(Bytes::copy(bytes), Path::new("<memory>"), verify)
    }

    fn check_and_keep(map: Bytes, path: &Path, verify: bool) -> Result<Self> {
        let layout = Layout::parse(&map, path)?;
        let segment = Segment { map, layout, path: path.to_owned(), verified: verify };
        segment.check(verify)?;
        Ok(segment)
    }

    /// Checks every byte, unless opening the segment already did.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the first invariant that does not hold.
    pub fn verify(&self) -> Result<()> {
        if self.verified { Ok(()) } else { self.check(true) }
    }
}

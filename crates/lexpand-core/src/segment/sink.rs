//! A segment file while it is written. Sections grow in any order, each from its start.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::layout::{HEADER, Layout};
use super::types::Written;
use crate::{Error, Result};

/// A file under a temporary name, which [`Sink::finish`] replaces by the final one.
pub(super) struct Sink {
    file: File,
    path: PathBuf,
    temporary: PathBuf,
    layout: Layout,
    grown: Vec<(u64, Xxh3)>,
    finished: bool,
}

impl Sink {
    /// Creates `path` with the suffix `.tmp`, at its final length.
    pub(super) fn create(
        path: &Path,
        passages: u32,
        mut parts: Vec<(u32, u32, u64)>,
    ) -> Result<Self> {
        if path.exists() {
            return Err(Error::invalid(format!(
                "{} exists: a segment file is never overwritten",
                path.display()
            )));
        }
        parts.sort_by_key(|&(kind, field, _)| (field, kind));
        let layout = Layout::place(passages, &parts);
        let temporary = path.with_extension("tmp");
        let file = File::create(&temporary).map_err(Error::io("create", &temporary))?;
        let grown = layout.sections.iter().map(|_| (0, Xxh3::new())).collect();
        let sink = Sink { file, path: path.to_owned(), temporary, layout, grown, finished: false };
        sink.file.set_len(sink.layout.length).map_err(Error::io("write", &sink.temporary))?;
        Ok(sink)
    }

    /// Appends to a section.
    pub(super) fn push(&mut self, kind: u32, field: u32, bytes: &[u8]) -> Result<()> {
        let i = self.layout.find(kind, field).expect("a section that was announced");
        let (section, (grown, hash)) = (self.layout.sections[i], &mut self.grown[i]);
        let at = section.offset + *grown;
        *grown += bytes.len() as u64;
        assert!(
            *grown <= section.length,
            "section {kind} of field {field} is longer than announced"
        );
        hash.update(bytes);
        let seek = self.file.seek(SeekFrom::Start(at));
        seek.and_then(|_| self.file.write_all(bytes)).map_err(Error::io("write", &self.temporary))
    }

    /// Writes the header and the table, syncs and renames the file, and syncs the folder.
    pub(super) fn finish(mut self) -> Result<Written> {
        for (section, (grown, hash)) in self.layout.sections.iter_mut().zip(&self.grown) {
            assert!(*grown == section.length, "section {} is shorter than announced", section.kind);
            section.checksum = hash.digest();
        }
        let head = self.layout.to_bytes();
        let seek = self.file.seek(SeekFrom::Start(0));
        seek.and_then(|_| self.file.write_all(&head))
            .map_err(Error::io("write", &self.temporary))?;
        self.file.sync_all().map_err(Error::io("sync", &self.temporary))?;
        fs::rename(&self.temporary, &self.path).map_err(Error::io("rename", &self.temporary))?;
        self.finished = true;
        sync_folder(self.path.parent().unwrap_or(Path::new(".")))?;
        Ok(Written { bytes: self.layout.length, checksum: xxh3_64(&head[..HEADER - 8]) })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if !self.finished {
            // The caller gets the first error. A file that is left over is removed by the next
            // writer.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// A rename is durable once the folder is synced.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder).and_then(|f| f.sync_all()).map_err(Error::io("sync", folder))
}

/// NTFS journals renames itself, and a folder cannot be synced.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<()> {
    Ok(())
}

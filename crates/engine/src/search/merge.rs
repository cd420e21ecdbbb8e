//! Joins the segments that a build leaves into few, so that a word stands in few dictionaries: the file is smaller and a search
//! looks into fewer of them. Some remain, because threads share the segments of an index.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use tantivy::directory::MmapDirectory;
use tantivy::index::Segment;
use tantivy::indexer::merge_filtered_segments;
use tantivy::{Index, TantivyError};

use super::build::{failed, settings};
use super::pack::{Contents, Pack, PackWriter, SegmentContents};
use crate::error::EngineError;
use crate::task::Task;

/// Segments that a large index has at most, unless they would have more documents than `MOST`.
const SEGMENTS: u64 = 8;
/// Documents of a segment that are worth a thread of their own.
const FEWEST: u64 = 1 << 19;
/// A merge takes eight bytes of memory for each document.
const MOST: u64 = 1 << 22;

/// Writes the index that is in the file `parts`, with its segments joined, to `output`; what the joining needs for a while goes
/// into `scratch`, a folder. Returns the size of the file.
///
/// # Errors
/// [`Io`](crate::error::ErrorKind::Io) when a file cannot be written.
pub(super) fn merge(parts: &Path, output: File, scratch: &Path, task: &Task) -> Result<u64, EngineError> {
    let mut writer = PackWriter::new(BufWriter::new(output));
    let contents = Pack::open(parts)?.contents;
    let mut segments = Vec::new();
    for group in groups(&contents) {
        task.check()?;
        // Opened for each group, so that only the parts of one are in memory.
        let pack = Pack::open(parts)?;
        segments.push(match group {
            [only] => copy(&pack, only, &mut writer)?,
            several => join(&pack, several, &mut writer, scratch)?,
        });
    }
    Ok(writer.finish(&Contents { segments, ..contents })?)
}

/// The segments in groups of about the same number of documents.
fn groups(contents: &Contents) -> Vec<&[SegmentContents]> {
    let wanted = (contents.num_rows / SEGMENTS).clamp(FEWEST, MOST);
    let mut groups = Vec::new();
    let (mut rest, mut begin, mut documents) = (contents.segments.as_slice(), 0, 0);
    while let Some(segment) = rest.get(begin) {
        let more = segment.num_documents();
        if begin > 0 && documents + more / 2 > wanted {
            let (group, others) = rest.split_at(begin);
            groups.push(group);
            (rest, begin, documents) = (others, 0, 0);
        } else {
            begin += 1;
            documents += more;
        }
    }
    if !rest.is_empty() {
        groups.push(rest);
    }
    groups
}

fn copy<W: Write>(
    pack: &Pack,
    segment: &SegmentContents,
    writer: &mut PackWriter<W>,
) -> Result<SegmentContents, EngineError> {
    let mut copied = segment.clone();
    for (_, start, length) in &mut copied.files {
        (*start, *length) = writer.append(&pack.bytes((*start, *length))?)?;
    }
    copied.lengths = writer.append(&pack.bytes(segment.lengths)?)?;
    Ok(copied)
}

fn join<W: Write>(
    pack: &Pack,
    segments: &[SegmentContents],
    writer: &mut PackWriter<W>,
    scratch: &Path,
) -> Result<SegmentContents, EngineError> {
    let opened = segments
        .iter()
        .map(|segment| Index::open(pack.directory(segment))?.searchable_segments())
        .collect::<Result<Vec<Vec<Segment>>, TantivyError>>()
        .map_err(failed)?
        .concat();
    let folder = tempfile::tempdir_in(scratch)?;
    let directory = MmapDirectory::open(folder.path()).map_err(|error| failed(error.into()))?;
    let alive = vec![None; opened.len()];
    let joined = merge_filtered_segments(&opened, settings(), alive, directory).map_err(failed)?;
    let mut names: Vec<_> = joined.load_metas().map_err(failed)?.list_segment_files().into_iter().collect();
    names.sort_unstable();
    names.push("meta.json".into());
    let mut files = Vec::new();
    for name in names {
        match File::open(folder.path().join(&name)) {
            Ok(mut file) => {
                let (start, length) = writer.append_all(&mut file)?;
                files.push((name.to_string_lossy().into_owned(), start, length));
            }
            // A segment names all files that it could have.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    let length_width = segments.iter().map(|segment| segment.length_width).max().unwrap_or(1);
    let mut lengths = Vec::new();
    for segment in segments {
        for length in pack.bytes(segment.lengths)?.chunks_exact(segment.length_width) {
            lengths.extend_from_slice(length);
            lengths.resize(lengths.len() + length_width - length.len(), 0);
        }
    }
    let lengths = writer.append(&lengths)?;
    let runs = segments.iter().flat_map(|segment| &segment.runs).copied().collect();
    Ok(SegmentContents { runs, length_width, lengths, files })
}

#[cfg(test)]
mod tests {
    use super::super::analyze::{Alphabet, Rules};
    use super::*;

    fn sizes(documents: &[u32]) -> Vec<usize> {
        let segment = |&rows: &u32| SegmentContents {
            runs: vec![(0, rows)],
            length_width: 1,
            lengths: (0, 0),
            files: Vec::new(),
        };
        let num_rows = documents.iter().map(|rows| u64::from(*rows)).sum();
        let segments = documents.iter().map(segment).collect();
        let rules = Rules { alphabet: Alphabet::Unicode, stemmer: None };
        let contents = Contents { rules, columns: Vec::new(), num_rows, num_words: 0, segments };
        groups(&contents).into_iter().map(<[_]>::len).collect()
    }

    #[test]
    fn small_segments_become_one_and_large_ones_some() {
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&[10]), [1]);
        assert_eq!(sizes(&[100, 200, 300]), [3]);
        assert_eq!(sizes(&[50_000; 20]), [10, 10]);
        assert_eq!(sizes(&[1 << 20; 64]), [4; 16]);
        assert_eq!(sizes(&[1 << 23, 5, 1 << 23, 1, 1]), [1, 1, 1, 2]);
    }
}

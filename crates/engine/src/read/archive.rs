//! The members of a zip archive, one after the other, as if they were files.

use arrow::array::RecordBatch;

use super::{ConfigReader, TableStream};
use crate::decompress::{Place, zip};
use crate::error::EngineError;
use crate::source::SourceFile;

/// Opens an archive.
pub(super) fn open(reader: &ConfigReader, file: &SourceFile) -> Result<Box<dyn TableStream>, EngineError> {
    let members = zip::members(file)?.into_iter();
    Ok(Box::new(ArchiveStream { reader: reader.clone(), file: file.clone(), members, current: None, consumed: 0 }))
}

struct ArchiveStream {
    reader: ConfigReader,
    file: SourceFile,
    members: std::vec::IntoIter<zip::Member>,
    current: Option<Box<dyn TableStream>>,
    /// Stored bytes of the members that are done.
    consumed: u64,
}

impl TableStream for ArchiveStream {
    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        loop {
            if let Some(stream) = &mut self.current {
                if let Some(table) = stream.next_table()? {
                    return Ok(Some(table));
                }
                self.consumed += stream.bytes_consumed();
                self.current = None;
            }
            let Some(member) = self.members.next() else {
                // Headers and the directory belong to no member.
                self.consumed = self.file.size;
                return Ok(None);
            };
            let place = Place::member(&self.file, member);
            let stream = self.reader.open_place(&place).map_err(|error| error.in_file(&place.path()))?;
            self.current = Some(stream);
        }
    }

    fn line_of_row(&self, row: usize) -> Option<u64> {
        self.current.as_ref().and_then(|stream| stream.line_of_row(row))
    }

    fn bytes_consumed(&self) -> u64 {
        let current = self.current.as_ref().map_or(0, |stream| stream.bytes_consumed());
        (self.consumed + current).min(self.file.size)
    }
}

#[cfg(test)]
mod tests {
    use belvedere_domain::data_files::Reader;
    use serde_json::json;

    use crate::read::ReadLimits;
    use crate::read::testing::{Folder, config, show, tables, zip};

    #[test]
    fn members_are_read_in_order_of_their_names() {
        let members = [
            ("b.csv", "a\n3\n"),
            ("a/x.csv", "a\n1\n2\n"),
            ("__MACOSX/x.csv", "junk"),
            ("a/.hidden", "junk"),
            ("a/", ""),
        ];
        let folder = Folder::new();
        let file = folder.file("data.zip", zip(&members));
        let tables = tables(&config(Reader::Csv, &json!({})), ReadLimits::default(), &file).unwrap();
        assert_eq!(show(&tables), "a: int64\n1\n2\na: int64\n3\n");
    }

    #[test]
    fn damage_is_an_error_that_names_the_member() {
        let folder = Folder::new();
        let good = zip(&[("a.csv", "a\n1\n"), ("b.csv", "a\n22222\n")]);
        let mut flipped = good.clone();
        let at = memchr::memmem::find(&good, b"22222").unwrap();
        flipped[at] = b'3';
        let read = |name: &str, content: &[u8]| {
            let file = folder.file(name, content);
            tables(&config(Reader::Csv, &json!({})), ReadLimits::default(), &file).unwrap_err().to_string()
        };
        let errors =
            [read("flipped.zip", &flipped), read("cut.zip", &good[..good.len() - 30]), read("no.zip", b"a,b\n")];
        insta::assert_snapshot!(errors.join("\n"), @r"
        flipped.zip/b.csv: damaged zip file: size or checksum are not those of the directory; compress or upload it again
        cut.zip: damaged zip file: it has no directory; pack or upload it again
        no.zip: damaged zip file: it has no directory; pack or upload it again
        ");
    }
}

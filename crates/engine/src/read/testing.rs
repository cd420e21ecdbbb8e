//! What tests of readers share: files in a temporary folder, tables as text.

use std::io::Write as _;

use arrow::array::RecordBatch;
use belvedere_domain::data_files::{Reader, ResolvedConfig};
use belvedere_domain::{ConfigName, Features};
use indexmap::IndexMap;
use serde_json::Value as JsonValue;
use tempfile::TempDir;

use super::{ConfigReader, ReadLimits};
use crate::error::EngineError;
use crate::features_arrow::features_of;
use crate::source::SourceFile;

/// A config without splits.
pub(crate) fn config(reader: Reader, parameters: &JsonValue) -> ResolvedConfig {
    let parameters = parameters.as_object().cloned().unwrap_or_default();
    ResolvedConfig {
        name: ConfigName::new("default").unwrap(),
        reader,
        reader_features: parameters.get("features").map(|features| Features::from_json(features).unwrap()),
        parameters: parameters.into_iter().collect(),
        declared_features: None,
        declared_splits: None,
        declared_texts: IndexMap::new(),
        splits: IndexMap::new(),
    }
}

/// A folder that files are written to.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> SourceFile {
        let local_path = self.0.path().join(name);
        std::fs::write(&local_path, content.as_ref()).unwrap();
        SourceFile { path: name.into(), local_path, size: content.as_ref().len() as u64, identity: None }
    }
}

/// All tables of a file.
pub(crate) fn tables(
    config: &ResolvedConfig,
    limits: ReadLimits,
    file: &SourceFile,
) -> Result<Vec<RecordBatch>, EngineError> {
    let mut stream = ConfigReader::new(config.clone(), limits).open(file)?;
    std::iter::from_fn(|| stream.next_table().transpose()).collect()
}

/// Tables as text: per table a line of `name: type`, then a line per row.
pub(crate) fn show(tables: &[RecordBatch]) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for table in tables {
        let features = features_of(&table.schema()).unwrap();
        let columns: Vec<String> =
            features.iter().map(|(name, feature)| format!("{name}: {}", short(&feature.to_json()))).collect();
        writeln!(text, "{}", columns.join(", ")).unwrap();
        let options = arrow::util::display::FormatOptions::new().with_null("null");
        for row in 0..table.num_rows() {
            let cells = table.columns().iter().map(|column| {
                let cell = arrow::util::display::ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
                cell.value(row).to_string()
            });
            writeln!(text, "{}", cells.collect::<Vec<_>>().join(" | ")).unwrap();
        }
    }
    text
}

/// A feature in a few letters: `int64`, `[string]`, `{a: bool}`, `Json`.
fn short(feature: &JsonValue) -> String {
    match feature["_type"].as_str() {
        Some("Value") => feature["dtype"].as_str().unwrap().to_owned(),
        Some("List") => format!("[{}]", short(&feature["feature"])),
        Some(other) => other.to_owned(),
        None => {
            let fields = feature.as_object().unwrap();
            let fields: Vec<String> = fields.iter().map(|(name, field)| format!("{name}: {}", short(field))).collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// Reads a content and shows its tables, or the error.
pub(crate) fn read(reader: Reader, parameters: &JsonValue, name: &str, content: impl AsRef<[u8]>) -> String {
    let folder = Folder::new();
    let file = folder.file(name, content);
    match tables(&config(reader, parameters), ReadLimits::default(), &file) {
        Ok(tables) => show(&tables),
        Err(error) => format!("{:?}: {error}", error.kind),
    }
}

/// An archive as the usual tools write it; every second member is stored without compression.
pub(crate) fn zip(members: &[(&str, &str)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (number, (name, content)) in members.iter().enumerate() {
        let mut crc = flate2::Crc::new();
        crc.update(content.as_bytes());
        let deflated = number % 2 == 0;
        let data = if deflated {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(content.as_bytes()).unwrap();
            encoder.finish().unwrap()
        } else {
            content.as_bytes().to_vec()
        };
        let number = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
        let mut common = vec![20, 0, 0, 0, if deflated { 8 } else { 0 }, 0, 0, 0, 0, 0];
        common.extend(crc.sum().to_le_bytes());
        common.extend(number(data.len()));
        common.extend(number(content.len()));
        common.extend(&number(name.len())[..2]);
        common.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(number(bytes.len()));
        directory.extend(name.as_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(name.as_bytes());
        bytes.extend(data);
    }
    let (at, length) = (bytes.len(), directory.len());
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    let count = u16::try_from(members.len()).unwrap().to_le_bytes();
    bytes.extend([count, count].concat());
    bytes.extend(u32::try_from(length).unwrap().to_le_bytes());
    bytes.extend(u32::try_from(at).unwrap().to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

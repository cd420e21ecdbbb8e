//! The first rows of a split straight from its source files, read no further than needed.

use belvedere_domain::Features;

use crate::call::{Head, PageOfRows};
use crate::error::{EngineError, ErrorKind};
use crate::inspect::check_column_names;
use crate::read::{ConfigReader, Input, ReadLimits};
use crate::rows::{Page, check_columns};
use crate::source::SourceFile;

/// How much of a JSON array decides its types; the rest of the file is not looked at.
const INFERENCE_BYTES: u64 = 10 << 20;

/// Answers [`Call::Head`](crate::Call::Head). Features are the declared ones, else those of the first table of
/// [`Head::schema_files`] if the rows fit them, else those of the first table of the split.
///
/// # Errors
/// [`Empty`](ErrorKind::Empty) when there is no table at all, [`TooManyColumns`](ErrorKind::TooManyColumns),
/// [`TooLongColumnName`](ErrorKind::TooLongColumnName); those of reading, fitting and of cells.
pub(crate) fn head(call: &Head) -> Result<PageOfRows, EngineError> {
    if !call.schema_files.is_empty() && call.config.declared_features.is_none() {
        // The conversion will give the whole config one schema. Where that fails, the split may still be fine.
        match read_head(call, &call.schema_files) {
            Err(error) if error.kind != ErrorKind::FilesWanted => {}
            answer => return answer,
        }
    }
    read_head(call, &[])
}

fn read_head(call: &Head, schema_files: &[SourceFile]) -> Result<PageOfRows, EngineError> {
    let limits = ReadLimits { max_inference_bytes: Some(INFERENCE_BYTES), ..ReadLimits::default() };
    let known = call.files.iter().chain(&call.schema_files).map(|file| (file.path.as_str(), file)).collect();
    let reader = ConfigReader::prepared(call.config.clone(), limits, &call.repository, &known)?;
    let paths: Vec<String>;
    let inputs = match (reader.features(), call.config.splits.get(&call.split)) {
        // The columns are known, and the paths are among the rows.
        (Some(_), Some(paths)) => reader.inputs(paths, &known)?,
        _ => {
            paths = call.files.iter().map(|file| file.path.clone()).collect();
            reader.inputs(&paths, &known)?
        }
    };
    let schema_files = if reader.features().is_some() { &[] } else { schema_files };
    let mut fitter = reader.fitter();
    for file in schema_files {
        if let Some(table) = reader.open(file)?.next_table()?
            && table.num_rows() > 0
        {
            fitter.fit(table)?;
            break;
        }
    }
    let mut tables = Vec::new();
    let mut num_rows = 0;
    'files: for input in &inputs {
        let in_file = |error: EngineError| match input {
            Input::File(file) => error.in_file(&file.path),
            Input::Listing(_) => error,
        };
        let mut stream = reader.open_input(input)?;
        while let Some(table) = stream.next_table().map_err(in_file)? {
            // One row more than wanted tells that there are more.
            let table = table.slice(0, table.num_rows().min(call.max_rows + 1 - num_rows));
            let table = fitter.fit(table).map_err(in_file)?;
            num_rows += table.num_rows();
            // Tables without rows keep their own columns as long as no schema is known.
            if table.num_rows() > 0 {
                tables.push(table);
            }
            if num_rows > call.max_rows {
                break 'files;
            }
        }
    }
    let features: Features = match &call.config.declared_features {
        Some(features) => features.clone(),
        None => {
            fitter.features().cloned().ok_or_else(|| EngineError::new(ErrorKind::Empty, "the files hold no data"))?
        }
    };
    check_columns(&features, call.max_columns)?;
    check_column_names(&features)?;
    let mut page = Page::new(&features, &call.media, 0);
    for table in &tables {
        page.push(&table.slice(0, table.num_rows().min(call.max_rows - page.len())))?;
    }
    let more = num_rows > call.max_rows;
    page.finish(features.clone(), (!more).then_some(num_rows as u64), more)
}

#[cfg(test)]
mod tests {
    use belvedere_domain::data_files::{Reader, ResolvedConfig};
    use belvedere_domain::{ConfigName, SplitName};
    use serde_json::json;

    use super::*;
    use crate::call::{MediaRules, MediaTarget};

    fn head_of(folder: &std::path::Path, files: &[(&str, &str)], max_rows: usize) -> Result<PageOfRows, EngineError> {
        let listed = |(path, content): &(&str, &str)| {
            let local_path = folder.join(path);
            std::fs::write(&local_path, content).unwrap();
            SourceFile { path: (*path).to_owned(), local_path, size: content.len() as u64, identity: None }
        };
        let files: Vec<_> = files.iter().map(listed).collect();
        let split = SplitName::new("train").unwrap();
        let config = ResolvedConfig {
            name: ConfigName::new("default").unwrap(),
            reader: Reader::Csv,
            parameters: Default::default(),
            reader_features: None,
            declared_features: None,
            declared_splits: None,
            declared_texts: Default::default(),
            splits: [(split.clone(), files.iter().map(|file| file.path.clone()).collect())].into_iter().collect(),
        };
        let media = MediaTarget {
            directory: "/nonexistent".into(),
            url_prefix: String::new(),
            resolve_prefix: String::new(),
            repository: "hf://datasets/d@r".into(),
            linked_files: Some(Vec::new()),
            rules: MediaRules::default(),
        };
        let repository = media.repository.clone();
        head(&Head { config, split, files, schema_files: Vec::new(), max_rows, max_columns: 3, repository, media })
    }

    fn shown(page: &PageOfRows) -> Vec<&str> {
        page.rows.iter().map(|row| row.get()).collect()
    }

    #[test]
    fn one_row_more_than_wanted_tells_that_there_are_more() {
        let folder = tempfile::tempdir().unwrap();
        let files = [("a.csv", "x\n1\n2\n"), ("b.csv", "x\n3\n")];
        let page = head_of(folder.path(), &files, 2).unwrap();
        assert_eq!((shown(&page), page.more, page.num_rows_total), (vec![r#"{"x":1}"#, r#"{"x":2}"#], true, None));
        let page = head_of(folder.path(), &files, 3).unwrap();
        assert_eq!((shown(&page).len(), page.more, page.num_rows_total), (3, false, Some(3)));
    }

    #[test]
    fn what_comes_later_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let broken = format!("x\n{}\"never closed", "1\n".repeat(50_000));
        let files = [("a.csv", broken.as_str()), ("b.csv", "other,columns\n1,2\n")];
        assert_eq!(head_of(folder.path(), &files, 100).unwrap().rows.len(), 100);
    }

    #[test]
    fn a_file_without_rows_decides_nothing_if_another_has_some() {
        let folder = tempfile::tempdir().unwrap();
        let page = head_of(folder.path(), &[("a.csv", "x\n"), ("b.csv", "x\n7\n")], 5).unwrap();
        assert_eq!(shown(&page), [r#"{"x":7}"#]);
        let page = head_of(folder.path(), &[("a.csv", "x\n")], 5).unwrap();
        assert_eq!(page.features.to_json(), json!({"x": {"dtype": "null", "_type": "Value"}}));
        assert_eq!((page.rows.len(), page.num_rows_total), (0, Some(0)));
    }

    #[test]
    fn too_many_columns_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = head_of(folder.path(), &[("a.csv", "a,b,c,d\n1,2,3,4\n")], 5).unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooManyColumns);
    }
}

use arrow::util::display::{ArrayFormatter, FormatOptions};
use belvedere_domain::data_files::Reader;
use belvedere_domain::{ConfigName, SplitName};
use serde_json::{Value as JsonValue, json};

use super::*;
use crate::read::ConfigReader;
use crate::read::testing;

/// A folder of media: splits with their files. A file without content is a medium, which is not opened.
struct Case {
    folder: testing::Folder,
    config: ResolvedConfig,
    files: Vec<SourceFile>,
}

impl Case {
    fn new(reader: Reader, parameters: &JsonValue) -> Self {
        let config =
            ResolvedConfig { name: ConfigName::new("default").unwrap(), ..testing::config(reader, parameters) };
        Self { folder: testing::Folder::new(), config, files: Vec::new() }
    }

    fn media(mut self, split: &str, paths: &[&str]) -> Self {
        let known = self.config.splits.entry(SplitName::new(split).unwrap()).or_default();
        known.extend(paths.iter().map(|path| (*path).to_owned()));
        self
    }

    fn file(mut self, split: &str, path: &str, content: impl AsRef<[u8]>) -> Self {
        let stored = self.folder.file(&path.replace('/', "-"), content);
        self.files.push(SourceFile { path: path.to_owned(), ..stored });
        self.media(split, &[path])
    }

    fn reader(&self) -> Result<ConfigReader, EngineError> {
        let files = self.files.iter().map(|file| (file.path.as_str(), file)).collect();
        ConfigReader::prepared(self.config.clone(), ReadLimits::default(), "hf://datasets/d@r", &files)
    }

    /// The rows of every split, as they are converted.
    fn try_show(&self) -> Result<String, EngineError> {
        use std::fmt::Write;
        let files: HashMap<&str, &SourceFile> = self.files.iter().map(|file| (file.path.as_str(), file)).collect();
        let reader = self.reader()?;
        let mut fitter = reader.fitter();
        let mut text = format!("{}\n", reader.features().unwrap().to_json());
        for (split, paths) in &self.config.splits {
            writeln!(text, "{split}").unwrap();
            for input in reader.inputs(paths, &files)? {
                let mut stream = reader.open_input(&input)?;
                while let Some(table) = stream.next_table()? {
                    let table = fitter.fit(table)?;
                    let options = FormatOptions::new().with_null("null");
                    for row in 0..table.num_rows() {
                        let cell = |column: &ArrayRef| {
                            ArrayFormatter::try_new(column.as_ref(), &options).unwrap().value(row).to_string()
                        };
                        let cells: Vec<String> = table.columns().iter().map(cell).collect();
                        writeln!(text, "  {}", cells.join(" | ")).unwrap();
                    }
                }
            }
        }
        Ok(text.replace("hf://datasets/d@r", "HF"))
    }

    fn show(&self) -> String {
        self.try_show().unwrap_or_else(|error| format!("{:?}: {error}\n", error.kind))
    }
}

fn images() -> Case {
    Case::new(Reader::ImageFolder, &json!({}))
}

#[test]
fn files_become_paths_and_their_folders_labels() {
    let case = images()
        .media("train", &["train/cat/1.png", "train/dog/1.png", "train/notes.txt"])
        .media("test", &["test/cat/3.png"]);
    insta::assert_snapshot!(case.show(), @r#"
    {"image":{"_type":"Image"},"label":{"names":["cat","dog"],"_type":"ClassLabel"}}
    train
      {bytes: null, path: HF/train/cat/1.png} | 0
      {bytes: null, path: HF/train/dog/1.png} | 1
    test
      {bytes: null, path: HF/test/cat/3.png} | 0
    "#);
    assert!(images().media("train", &["a/1.png", "b/c/2.png"]).show().contains(r#"{"image":{"_type":"Image"}}"#));
}

#[test]
fn each_kind_has_a_column_of_its_own() {
    for (reader, path, column) in [
        (Reader::AudioFolder, "a.wav", r#"{"audio":{"_type":"Audio"}}"#),
        (Reader::VideoFolder, "a.mp4", r#"{"video":{"_type":"Video"}}"#),
        (Reader::PdfFolder, "a.pdf", r#"{"pdf":{"_type":"Pdf"}}"#),
    ] {
        let shown = Case::new(reader, &json!({})).media("train", &[path]).show();
        assert!(shown.starts_with(column), "{shown}");
        assert!(shown.contains(&format!("path: HF/{path}")), "{shown}");
    }
}

#[test]
fn tables_give_rows_and_columns_and_leave_out_what_they_do_not_name() {
    let case = images()
        .media("train", &["train/a.png", "train/b.png", "train/x/c.png"])
        .file("train", "train/metadata.csv", "n,file_name,mask_file_name\n1,x/c.png,a.png\n2,b.png,\n")
        .media("test", &["test/a.png"])
        .file("test", "test/metadata.csv", "file_name,n\na.png,3\n");
    insta::assert_snapshot!(case.show(), @r#"
    {"n":{"dtype":"int64","_type":"Value"},"image":{"_type":"Image"},"mask":{"_type":"Image"}}
    train
      1 | {bytes: null, path: HF/train/x/c.png} | {bytes: null, path: HF/train/a.png}
      2 | {bytes: null, path: HF/train/b.png} | null
    test
      3 | {bytes: null, path: HF/test/a.png} | null
    "#);
}

#[test]
fn names_are_found_in_lists_and_structs() {
    let lines = concat!(
        r#"{"file_names": ["a.png", "b.png"], "s": {"file_name": "c.png", "k": 1}, "l": [{"x_file_name": "a.png"}]}"#,
        "\n",
        r#"{"file_names": [], "s": {"file_name": "d.png", "k": 2}, "l": [{"x_file_name": "b.png"}]}"#,
        "\n"
    );
    let case = images().media("train", &["a.png"]).file("train", "metadata.jsonl", lines);
    insta::assert_snapshot!(case.show(), @r#"
    {"images":{"feature":{"_type":"Image"},"_type":"List"},"s":{"image":{"_type":"Image"},"k":{"dtype":"int64","_type":"Value"}},"l":{"feature":{"x":{"_type":"Image"}},"_type":"List"}}
    train
      [{bytes: null, path: HF/a.png}, {bytes: null, path: HF/b.png}] | {image: {bytes: null, path: HF/c.png}, k: 1} | [{x: {bytes: null, path: HF/a.png}}]
      [] | {image: {bytes: null, path: HF/d.png}, k: 2} | [{x: {bytes: null, path: HF/b.png}}]
    "#);
}

#[test]
fn a_split_without_a_table_has_the_files_and_nothing_else() {
    let case = images().media("train", &["train/a.png"]).media("test", &["test/a.png"]).file(
        "test",
        "test/metadata.csv",
        "file_name,n\na.png,3\n",
    );
    insta::assert_snapshot!(case.show(), @r#"
    {"image":{"_type":"Image"},"n":{"dtype":"int64","_type":"Value"}}
    train
      {bytes: null, path: HF/train/a.png} | null
    test
      {bytes: null, path: HF/test/a.png} | 3
    "#);
}

#[test]
fn parameters_drop_labels_and_tables() {
    let with = |parameters: JsonValue| {
        Case::new(Reader::ImageFolder, &parameters)
            .media("train", &["cat/a.png", "dog/b.png"])
            .file("train", "metadata.csv", "file_name,n\ncat/a.png,3\n")
            .show()
    };
    assert!(with(json!({"drop_metadata": true})).starts_with("{\"image\":{\"_type\":\"Image\"}}\n"));
    let labels = with(json!({"drop_metadata": true, "drop_labels": false}));
    assert!(labels.starts_with(r#"{"image":{"_type":"Image"},"label":{"names":["cat","dog"]"#), "{labels}");
    assert_eq!(
        with(json!({"drop_labels": "yes"})),
        "Parameter: parameter `drop_labels`: expected true or false, found \"yes\"\n"
    );
    let other = Case::new(Reader::ImageFolder, &json!({"metadata_filenames": ["about.csv"]}))
        .media("train", &["a.png"])
        .file("train", "about.csv", "file_name,n\na.png,3\n")
        .file("train", "metadata.csv", "never read")
        .show();
    assert!(other.contains("path: HF/a.png} | 3"), "{other}");
}

#[test]
fn what_is_wrong_with_a_table_is_told_with_a_way_out() {
    let with = |name: &str, content: &str| {
        let case = images().media("train", &["a.png"]);
        case.file("train", name, content).show()
    };
    let errors = [
        with("metadata.csv", "name,n\na.png,3\n"),
        with("metadata.csv", "file_name,n\n../../etc/passwd,3\n"),
        with("metadata.csv", "file_name,n\nfile:///etc/passwd,3\n"),
        with("metadata.csv", "file_name,image\na.png,3\n"),
        with("metadata.csv", "file_name\n1\n2\n"),
        with("metadata.csv", ""),
        images()
            .file("train", "metadata.csv", "file_name\na.png\n")
            .file("test", "x/metadata.jsonl", "{\"file_name\": \"a.png\"}\n")
            .show(),
    ];
    insta::assert_snapshot!(errors.concat(), @r#"
    Unreadable: metadata.csv: no column names the files: there must be a column `file_name`, `…_file_name`, `file_names` or `…_file_names` of texts; it has "name", "n"
    Unreadable: metadata.csv, column "file_name": `../../etc/passwd` leads out of the folder of this table; names of files are relative to it, without `..`, a slash at the start or `://`
    Unreadable: metadata.csv, column "file_name": `file:///etc/passwd` leads out of the folder of this table; names of files are relative to it, without `..`, a slash at the start or `://`
    Unreadable: metadata.csv, column "image": two columns would be called `image`, which stands for the files; rename one
    Unreadable: metadata.csv: no column names the files: there must be a column `file_name`, `…_file_name`, `file_names` or `…_file_names` of texts; it has "file_name"
    Unreadable: metadata.csv: the file is empty: it has no header and no row; fill it, or leave it out
    Unreadable: x/metadata.jsonl: it describes media as `metadata.csv` does, in another format; keep one format for both
    "#);
}

#[test]
fn archives_bring_their_bytes_and_their_folders() {
    let zip =
        testing::zip(&[("cat/1.png", "one"), ("dog/2.png", "two"), ("dog/readme.txt", "no"), ("__MACOSX/3.png", "")]);
    let case = images().file("train", "data/train.zip", zip).media("test", &["data/dog/3.png"]);
    insta::assert_snapshot!(case.show(), @r#"
    {"image":{"_type":"Image"},"label":{"names":["cat","dog"],"_type":"ClassLabel"}}
    train
      {bytes: 6f6e65, path: cat/1.png} | 0
      {bytes: 74776f, path: dog/2.png} | 1
    test
      {bytes: null, path: HF/data/dog/3.png} | 1
    "#);
}

#[test]
fn a_table_in_an_archive_names_members_of_the_archive() {
    let zip = testing::zip(&[
        ("x/metadata.csv", "file_name,n\nb.png,1\nsub/a.png,2\nmissing.png,3\n"),
        ("x/b.png", "b"),
        ("x/sub/a.png", "a"),
        ("x/unnamed.png", "u"),
    ]);
    let case = images().file("train", "train.zip", zip);
    insta::assert_snapshot!(case.show(), @r#"
    {"image":{"_type":"Image"},"n":{"dtype":"int64","_type":"Value"}}
    train
      {bytes: 62, path: x/b.png} | 1
      {bytes: 61, path: x/sub/a.png} | 2
      {bytes: null, path: zip://x/missing.png::train.zip} | 3
    "#);
}

#[test]
fn a_damaged_member_leaves_the_others() {
    let mut zip = testing::zip(&[("1.png", "fine"), ("2.png", "damaged bytes")]);
    let at = memchr::memmem::find(&zip, b"damaged").unwrap();
    zip[at] = b'D';
    insta::assert_snapshot!(images().file("train", "train.zip", zip).show(), @r#"
    {"image":{"_type":"Image"}}
    train
      {bytes: 66696e65, path: 1.png}
      {bytes: null, path: zip://2.png::train.zip}
    "#);
}

#[test]
fn declared_features_decide_what_is_kept_of_the_labels() {
    let mut case = images().media("train", &["cat/1.png", "dog/1.png"]);
    let features = json!({"image": {"_type": "Image"}, "label": {"names": ["dog", "cat"], "_type": "ClassLabel"}});
    case.config.declared_features = Some(Features::from_json(&features).unwrap());
    assert!(case.show().contains("HF/cat/1.png} | 1"), "{}", case.show());
    let features = json!({"image": {"_type": "Image"}});
    case.config.declared_features = Some(Features::from_json(&features).unwrap());
    assert!(case.show().contains("HF/cat/1.png}\n"), "{}", case.show());
}

#[test]
fn long_listings_come_in_tables_of_bounded_size() {
    let paths: Vec<String> = (0..250).map(|number| format!("{number}.png")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let case = images().media("train", &paths);
    let mut stream = case.reader().unwrap().open_input(&Input::Listing(paths)).unwrap();
    let rows: Vec<usize> =
        std::iter::from_fn(|| stream.next_table().transpose()).map(|table| table.unwrap().num_rows()).collect();
    assert_eq!(rows, [100, 100, 50]);
    assert_eq!(case.config.opened_paths().count(), 0, "no file is opened for its path");
}

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, RecordBatch, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use belvedere_domain::Features;
use serde_json::json;

use super::*;
use crate::call::{MediaRules, MediaTarget, ParquetFile};
use crate::features_arrow::{data_type, to_schema};
use crate::source::SourceFile;
use crate::write::{SplitWriter, WriteOptions};

const PLAIN: Rules = Rules { alphabet: Alphabet::Unicode, stemmer: None };

/// A split on disk, with its index.
struct Split {
    folder: tempfile::TempDir,
    files: Vec<ParquetFile>,
}

impl Split {
    /// Rows of a title and some tags, in groups of 50 rows.
    fn new(rows: &[(&str, &[&str])]) -> Self {
        let string = json!({"dtype": "string", "_type": "Value"});
        let features = json!({"title": string, "tags": {"feature": string, "_type": "List"}});
        let features = Features::from_json(&features).unwrap();
        let titles: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0)));
        let tags: ArrayRef =
            Arc::new(StringArray::from(rows.iter().flat_map(|row| row.1.to_vec()).collect::<Vec<_>>()));
        let DataType::List(item) = data_type(&features[1].1) else { panic!("a list") };
        let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.1.len()));
        let tags: ArrayRef = Arc::new(ListArray::new(item, offsets, tags, None));
        let table = RecordBatch::try_new(to_schema(&features, false), vec![titles, tags]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let options = WriteOptions { max_row_group_rows: 50, ..WriteOptions::default() };
        let mut writer = SplitWriter::new(folder.path(), "train", &features, options);
        writer.write(&table, 8).unwrap();
        let file = |written: &crate::call::WrittenFile| ParquetFile {
            file: source(&folder.path().join(&written.path)),
            num_rows: written.num_rows,
        };
        let files = writer.finish().unwrap().iter().map(file).collect();
        Self { folder, files }
    }

    fn titles(titles: &[&str]) -> Self {
        Self::new(&titles.iter().map(|title| (*title, &[][..])).collect::<Vec<_>>())
    }

    fn index(&self, rules: &Rules) -> SourceFile {
        let output = self.folder.path().join(format!("{:?}-{:?}", rules.alphabet, rules.stemmer));
        let call = BuildSearchIndex {
            files: self.files.clone(),
            features: None,
            rules: rules.clone(),
            output: output.clone(),
            memory_bytes: 64 << 20,
        };
        let built = build(&call, &FooterCache::default(), &Task::new(2)).unwrap();
        assert_eq!(built.size, std::fs::metadata(&output).unwrap().len());
        source(&output)
    }

    fn call(&self, query: &str) -> Search {
        Search {
            files: self.files.clone(),
            features: None,
            query: query.into(),
            mode: Mode::Any,
            or_substring: false,
            rules: PLAIN,
            index: None,
            max_seconds: 3600.0,
            offset: 0,
            length: 100,
            with_rows: true,
            with_matches: true,
            media: MediaTarget {
                directory: "/nonexistent".into(),
                url_prefix: String::new(),
                resolve_prefix: String::new(),
                repository: "hf://datasets/d@r".into(),
                linked_files: Some(Vec::new()),
                rules: MediaRules::default(),
            },
        }
    }

    fn rows(&self, call: &Search) -> Vec<u64> {
        run(call).matches.iter().map(|found| found.row).collect()
    }
}

fn source(path: &Path) -> SourceFile {
    let size = std::fs::metadata(path).unwrap().len();
    SourceFile { path: path.to_string_lossy().into_owned(), local_path: path.to_owned(), size, identity: None }
}

fn run(call: &Search) -> SearchPage {
    search(call, &FooterCache::default(), &Task::new(2)).unwrap()
}

/// What two answers must share: everything but how they were found.
fn answer(call: &Search) -> String {
    let found = run(call);
    let rows: Vec<_> = found.page.rows.iter().map(|row| row.get()).collect();
    format!("{:?} {:?} {:?} {rows:?} {:?}", found.mode, found.page.num_rows_total, found.page.more, found.matches)
}

/// Sentences in twelve scripts and more, one row each.
const SCRIPTS: &[&str] = &[
    "Le café crème coûte 4,50 € à l'Opéra",
    "Съешь же ещё этих мягких французских булок",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
    "نص حكيم له سر قاطع وذو شأن عظيم",
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า",
    "深圳经济特区公司法规定二〇二四年",
    "いろはにほへと ちりぬるを カタカナ",
    "키스의 고유조건은 입술끼리 만나야 하고",
    "আমি বাংলায় গান গাই এবং লিখি",
    "யாமறிந்த மொழிகளிலே தமிழ்மொழி போல்",
    "Բել դղյակի ձախ ժամն օֆ ազգությանը",
    "ქართული ენა არის ლამაზი",
    "ខ្ញុំអាចញុំកញ្ចក់បាន",
    "ຂອ້ຍກິນແກ້ວໄດ້ໂດຍ",
    "ကျွန်တော် မှန်စားနိုင်တယ်",
    "GPT-4 scored 87.3% on C++ (v2.0)",
];

#[test]
fn every_word_of_every_script_is_found() {
    let split = Split::titles(SCRIPTS);
    let index = split.index(&PLAIN);
    for (row, text) in SCRIPTS.iter().enumerate() {
        for word in text.split_whitespace() {
            for index in [None, Some(index.clone())] {
                let call = Search { index, ..split.call(word) };
                assert!(split.rows(&call).contains(&(row as u64)), "{word} of {text}");
            }
        }
    }
}

#[test]
fn every_part_of_unspaced_text_is_found_and_of_all_text_on_request() {
    let split = Split::titles(SCRIPTS);
    let index = split.index(&PLAIN);
    for (row, text) in SCRIPTS.iter().enumerate() {
        let characters: Vec<(usize, char)> = text.char_indices().collect();
        for length in [1, 2, 4] {
            for window in characters.windows(length) {
                let start = window[0].0;
                let end = window[length - 1].0 + window[length - 1].1.len_utf8();
                let part = &text[start..end];
                // A mark without its letter is not text.
                if part.trim() != part || unicode_normalization::char::is_combining_mark(window[0].1) {
                    continue;
                }
                let modes = match [6, 7, 9, 14, 15].contains(&row) {
                    true => &[Mode::Any, Mode::Substring][..],
                    false => &[Mode::Substring],
                };
                for mode in modes {
                    let call = Search { index: Some(index.clone()), mode: *mode, ..split.call(part) };
                    let whole_cluster = characters.iter().all(|(at, character)| {
                        *at != end || !unicode_normalization::char::is_combining_mark(*character)
                    });
                    if whole_cluster {
                        assert!(split.rows(&call).contains(&(row as u64)), "{mode:?} {part:?} of {text}");
                    }
                }
            }
        }
    }
}

#[test]
fn hits_are_told_without_their_rows() {
    let split = Split::new(&[("fox", &["gray"]), ("dog", &["fox"])]);
    let whole = run(&split.call("fox"));
    let bare = run(&Search { with_rows: false, ..split.call("fox") });
    assert_eq!((&bare.matches, bare.page.num_rows_total), (&whole.matches, Some(2)));
    assert!(bare.page.rows.is_empty() && bare.page.features == whole.page.features);
    let bare = run(&Search { with_rows: false, with_matches: false, length: usize::MAX, ..split.call("fox") });
    assert_eq!(bare.matches.iter().map(|found| (found.row, found.texts.len())).collect::<Vec<_>>(), [(0, 0), (1, 0)]);
}

#[test]
fn case_accents_and_forms_do_not_matter() {
    let split = Split::titles(&["Crème Brûlée", "Straße", "ｶﾞﾗｽ", "МОСКВА", "أحمد"]);
    for (query, row) in
        [("creme", 0), ("BRU\u{302}LE\u{301}E", 0), ("strasse", 1), ("ガラス", 2), ("москва", 3), ("احمد", 4)]
    {
        assert_eq!(split.rows(&split.call(query)), [row], "{query}");
    }
}

#[test]
fn modes_ask_for_any_all_or_neighbours() {
    let titles = ["gray fox", "fox gray", "fox", "a gray dog and a fox", "grayfox"];
    let split = Split::titles(&titles);
    let index = split.index(&PLAIN);
    for index in [None, Some(index)] {
        let rows = |query: &str, mode| {
            let mut rows = split.rows(&Search { mode, index: index.clone(), ..split.call(query) });
            rows.sort_unstable();
            rows
        };
        assert_eq!(rows("gray fox", Mode::Any), [0, 1, 2, 3]);
        assert_eq!(rows("gray fox", Mode::All), [0, 1, 3]);
        assert_eq!(rows("gray fox", Mode::Phrase), [0]);
        assert_eq!(rows("\"gray fox\"", Mode::Any), [0]);
        assert_eq!(rows("gray-fox", Mode::Any), [0]);
        assert_eq!(rows("ay fo", Mode::Substring), [0]);
        assert_eq!(rows("ayfo", Mode::Substring), [4]);
        assert_eq!(rows("?", Mode::Any), [0; 0]);
        assert_eq!(rows("", Mode::Substring), [0; 0]);
    }
}

#[test]
fn where_no_word_matches_parts_of_words_do() {
    let split = Split::titles(&["a big party", "artist", "nothing"]);
    let found = run(&Search { or_substring: true, ..split.call("art") });
    assert_eq!((found.mode, found.page.num_rows_total), (Mode::Substring, Some(2)));
    let found = run(&Search { or_substring: true, ..split.call("party") });
    assert_eq!((found.mode, found.page.num_rows_total), (Mode::Any, Some(1)));
}

#[test]
fn phrases_do_not_reach_from_one_text_into_the_next() {
    let split = Split::new(&[("gray", &["fox", "gray fox"]), ("gray", &["fox"])]);
    let index = split.index(&PLAIN);
    for index in [None, Some(index)] {
        let found = run(&Search { index, ..split.call("\"gray fox\"") });
        assert_eq!(found.matches.len(), 1);
        let matched = serde_json::to_value(&found.matches[0].texts).unwrap();
        assert_eq!(matched, json!([{"column": "tags", "path": [1], "spans": [[0, 8]]}]));
    }
}

#[test]
fn spans_count_characters() {
    let split = Split::titles(&["😀 Crème, crème"]);
    let found = run(&split.call("creme"));
    assert_eq!(found.matches[0].texts[0].spans, [(2, 7), (9, 14)]);
    let found = run(&Search { mode: Mode::Substring, ..split.call("rèM") });
    assert_eq!(found.matches[0].texts[0].spans, [(3, 6), (10, 13)]);
}

#[test]
fn pages_follow_each_other_and_ties_follow_the_rows() {
    let titles: Vec<String> = (0..170).map(|row| format!("fox number{}", row % 3)).collect();
    let split = Split::titles(&titles.iter().map(String::as_str).collect::<Vec<_>>());
    let index = split.index(&PLAIN);
    for index in [None, Some(index)] {
        let page = |offset| Search { index: index.clone(), offset, length: 60, ..split.call("fox number1") };
        let rows: Vec<u64> = [0, 60, 120, 180].into_iter().flat_map(|offset| split.rows(&page(offset))).collect();
        let (first, second): (Vec<u64>, Vec<u64>) = (0..170).partition(|row| row % 3 == 1);
        assert_eq!(rows, [first, second].concat());
        let last = run(&page(120));
        assert_eq!((last.page.num_rows_total, last.page.more, last.page.rows.len()), (Some(170), false, 50));
        assert!(run(&page(60)).page.more);
        assert_eq!(run(&page(u64::MAX)).page.rows.len(), 0);
    }
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn text(&mut self, words: usize) -> String {
        const WORDS: &[&str] = &[
            "fox",
            "Fox",
            "gray",
            "dog",
            "the",
            "running",
            "runs",
            "café",
            "C++",
            "GPT-4",
            "87.3%",
            "公司法",
            "司法",
            "法",
            "第5章",
            "한국어",
            "ภาษา",
            "москва",
            "😀",
            "-",
            "\"gray fox\"",
            "a_b",
            "x",
        ];
        let word = |_| WORDS[self.below(WORDS.len())];
        (0..words).map(word).collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn an_index_and_a_scan_give_the_same_answer() {
    let mut numbers = Numbers(1);
    let texts: Vec<(String, Vec<String>)> = (0..300)
        .map(|_| {
            let words = numbers.below(12);
            let tags = (0..numbers.below(3)).map(|_| numbers.text(2)).collect();
            (numbers.text(words), tags)
        })
        .collect();
    let tags: Vec<Vec<&str>> = texts.iter().map(|(_, tags)| tags.iter().map(String::as_str).collect()).collect();
    let rows: Vec<_> = texts.iter().zip(&tags).map(|((title, _), tags)| (title.as_str(), tags.as_slice())).collect();
    let split = Split::new(&rows);
    let stemmed = Rules { stemmer: Some("english".into()), ..PLAIN };
    for rules in [PLAIN, stemmed, Rules { alphabet: Alphabet::Reference, stemmer: None }] {
        let index = split.index(&rules);
        let mut matched = 0;
        for _ in 0..120 {
            let words = 1 + numbers.below(3);
            let mode = [Mode::Any, Mode::All, Mode::Phrase, Mode::Substring][numbers.below(4)];
            let (offset, or_substring) = (numbers.below(3) as u64 * 20, numbers.below(2) == 1);
            let query = numbers.text(words);
            let scan = Search { mode, offset, or_substring, length: 20, rules: rules.clone(), ..split.call(&query) };
            let indexed = Search { index: Some(index.clone()), ..scan.clone() };
            let found = run(&indexed);
            assert_eq!(found.from_index, found.mode != Mode::Substring, "{query}");
            assert_eq!(answer(&scan), answer(&indexed), "{query} {mode:?} {rules:?}");
            matched += found.matches.len();
        }
        assert!(matched > 500, "the queries hardly test anything: {matched}");
    }
}

#[test]
fn the_reference_is_followed_by_its_rules() {
    let split = Split::new(&[("GPT-4 gray 公司", &["fox"]), ("hello fox", &[])]);
    let rules = Rules { alphabet: Alphabet::Reference, stemmer: None };
    let index = split.index(&rules);
    for index in [None, Some(index)] {
        let rows =
            |query: &str| split.rows(&Search { index: index.clone(), rules: rules.clone(), ..split.call(query) });
        // Lengths: gpt gray fox; fox.
        assert_eq!(rows("FOX"), [1, 0]);
        assert_eq!(rows("gpt-7"), [0]);
        assert_eq!(rows("hello"), [0; 0]);
        assert_eq!(rows("公司 4"), [0; 0]);
    }
}

#[test]
fn an_index_of_other_rules_or_damaged_is_done_without() {
    let split = Split::titles(&["runs", "running"]);
    let stemmed = Rules { stemmer: Some("english".into()), ..PLAIN };
    let index = split.index(&stemmed);
    let call = Search { index: Some(index.clone()), ..split.call("run") };
    assert_eq!((run(&call).from_index, split.rows(&call)), (false, vec![]));
    let call = Search { rules: stemmed.clone(), ..call };
    assert_eq!((run(&call).from_index, split.rows(&call)), (true, vec![0, 1]));
    std::fs::write(&index.local_path, "damaged").unwrap();
    let call = Search { index: Some(source(&index.local_path)), ..call };
    assert_eq!((run(&call).from_index, split.rows(&call)), (false, vec![0, 1]));
}

#[test]
fn bad_queries_do_no_harm() {
    let split = Split::titles(&["fox \u{0}\u{1}\u{1b}[0m", "gray"]);
    for query in
        ["\u{0}", "\u{1b}[0m\u{7f}", "\u{202e}fox", "((((", "\"", &"fox ".repeat(100_000), &"x".repeat(1_000_000)]
    {
        for mode in [Mode::Any, Mode::All, Mode::Phrase, Mode::Substring] {
            let found = run(&Search { mode, or_substring: true, ..split.call(query) });
            assert!(found.page.num_rows_total <= Some(1), "{query:.20}");
        }
    }
}

#[test]
fn work_beyond_its_bounds_is_refused_with_a_way_out() {
    let split = Split::titles(&["fox", "gray"]);
    let fail = |call: &Search, task: &Task| search(call, &FooterCache::default(), task).unwrap_err();
    let late = Search { max_seconds: 0.0, ..split.call("fox") };
    assert_eq!(fail(&late, &Task::new(1)).kind, ErrorKind::TimedOut);
    let error = fail(&split.call("fox"), &Task::new(1).with_memory(8));
    assert_eq!(error.kind, ErrorKind::TooBig);
    let task = Task::new(1);
    task.cancel();
    assert_eq!(fail(&split.call("fox"), &task).kind, ErrorKind::Cancelled);
    // An index reads no text, so it needs no time for it.
    let index = split.index(&PLAIN);
    assert_eq!(split.rows(&Search { index: Some(index), ..late }), [0]);
}

#[test]
fn a_split_without_text_has_no_search() {
    let features = Features::from_json(&json!({"n": {"dtype": "int64", "_type": "Value"}})).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let numbers: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![1]));
    let table = RecordBatch::try_new(to_schema(&features, false), vec![numbers]).unwrap();
    let mut writer = SplitWriter::new(folder.path(), "train", &features, WriteOptions::default());
    writer.write(&table, 8).unwrap();
    let written = writer.finish().unwrap();
    let files = vec![ParquetFile { file: source(&folder.path().join(&written[0].path)), num_rows: 1 }];
    let split = Split { folder, files };
    let error = search(&split.call("1"), &FooterCache::default(), &Task::new(1)).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Empty, "no column holds text"));
}

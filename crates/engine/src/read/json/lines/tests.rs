//! Reading as what is known gives what looking first gives: the same tables once they are fitted, and the same errors.

use std::fmt::Write;
use std::sync::Arc;

use belvedere_domain::data_files::Reader;
use serde_json::json;

use super::*;
use crate::decompress::Place;
use crate::fit::Fitter;
use crate::nbytes;
use crate::read::encoding::TextEncoding;
use crate::read::parameters::Parameters;
use crate::read::testing::{Folder, config};
use crate::read::{Agreement, ReadLimits};

/// The fitted tables of some files of one config with their sizes, then the error if there is one; and how many batches were
/// read in one pass.
fn read(files: &[String], batch: usize, in_one_pass: bool) -> (Vec<(RecordBatch, u64)>, Option<String>, usize) {
    let folder = Folder::new();
    let config = Arc::new(config(Reader::Json, &json!({})));
    let agreement = Arc::new(Agreement::default());
    let mut fitter = Fitter::new(Arc::clone(&config), Arc::clone(&agreement));
    let (mut tables, mut quick) = (Vec::new(), 0);
    for (index, content) in files.iter().enumerate() {
        let file = folder.file(&format!("{index}.jsonl"), content);
        let context = Context {
            place: Place::file(&file),
            encoding: TextEncoding::of(Parameters(&config.parameters)).unwrap(),
            limits: ReadLimits::default(),
            batch,
            field: None,
            parses_traces: true,
            agreement: Arc::clone(&agreement),
        };
        let input = context.input().unwrap();
        let mut stream = LinesStream::new(context, input);
        if !in_one_pass {
            stream.expected = Some(None);
        }
        loop {
            (stream.pause, stream.next_pause) = (0, 1);
            match stream.next_table().and_then(|table| table.map(|table| fitter.fit(table)).transpose()) {
                Ok(Some(table)) => tables.push((table.clone(), nbytes::of_table(&table))),
                Ok(None) => break,
                Err(error) => return (tables, Some(error.to_string()), quick),
            }
            quick += usize::from(matches!(stream.expected, Some(Some(_))) && stream.next_pause == 1);
        }
    }
    (tables, None, quick)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn any<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

/// A value that usually is of its kind; one in `odd` is anything.
fn value(random: &mut Random, kind: u64, odd: u64, depth: u32) -> String {
    if random.below(odd) == 0 {
        return random
            .any(&["null", "1", "1.5", "true", "\"x\"", "\"2020-01-01\"", "[]", "{}", "[1]", "{\"k\":1}", "x"])
            .to_owned();
    }
    match kind {
        0 => random.any(&["0", "-7", "123456", "9007199254740993"]).to_owned(),
        1 => random.any(&["0.5", "1e3", "2", "-3", "18446744073709551616"]).to_owned(),
        2 => random.any(&["true", "false", "null"]).to_owned(),
        3 => random.any(&["\"a\"", "\"\\u00e9\\n\"", "\"2020-01-01\"", "\"\"", "null"]).to_owned(),
        4 => random.any(&["\"2020-01-01\"", "\"2021-05-06 07:08:09\"", "null"]).to_owned(),
        5 => "null".to_owned(),
        6 if depth < 3 => {
            let kind = random.below(6);
            let items: Vec<String> = (0..random.below(4)).map(|_| value(random, kind, odd * 4, depth + 1)).collect();
            format!("[{}]", items.join(","))
        }
        _ if depth < 3 => object(random, &[0, 3, 1], odd * 4, depth + 1),
        _ => "1".to_owned(),
    }
}

/// An object with a field of each kind; now and then one is missing, out of its place, new or there twice.
fn object(random: &mut Random, kinds: &[u64], odd: u64, depth: u32) -> String {
    let mut fields: Vec<String> = Vec::new();
    for (place, kind) in kinds.iter().enumerate() {
        match random.below(odd * 3) {
            0 => {}
            1 => fields.insert(0, format!("\"f{place}\": {}", value(random, *kind, odd, depth))),
            2 => fields.push(format!("\"late\": {}", value(random, *kind, odd, depth))),
            3 => fields.push(format!("\"f{place}\": 1, \"f{place}\": 2")),
            _ => fields.push(format!("\"f{place}\": {}", value(random, *kind, odd, depth))),
        }
    }
    format!("{{{}}}", fields.join(", "))
}

#[test]
fn one_pass_gives_what_two_give() {
    let (mut quick, mut failed, mut total) = (0, 0, 0);
    for seed in 0..1_500 {
        let mut random = Random(seed);
        let kinds: Vec<u64> = (0..1 + random.below(5)).map(|_| random.below(8)).collect();
        let odd = [20, 200, 5_000][random.below(3) as usize];
        let file = |random: &mut Random| {
            let mut content = String::new();
            for _ in 0..random.below(40) {
                let separator = random.any(&["\n", "\n", "\n", "\n", "\r\n", " \n", "\n\n", " "]);
                let _ = write!(content, "{}{separator}", object(random, &kinds, odd, 0));
            }
            content
        };
        let files: Vec<String> = (0..1 + random.below(3)).map(|_| file(&mut random)).collect();
        let batch = 1 + random.below(300) as usize;
        let (expected, error, _) = read(&files, batch, false);
        let (found, found_error, in_one_pass) = read(&files, batch, true);
        assert_eq!(found_error, error, "seed {seed}: {files:#?}");
        assert_eq!(found.len(), expected.len(), "seed {seed}: {files:#?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "seed {seed}: {files:#?}");
        }
        quick += in_one_pass;
        failed += usize::from(error.is_some());
        total += found.len();
    }
    // Neither is the rare case here.
    assert!(quick > total / 10 && quick < total, "{quick} of {total} tables");
    assert!(failed > 100, "{failed} files had errors");
}

#[test]
fn files_alike_are_read_in_one_pass() {
    let content: String =
        (0..200).map(|n| format!("{{\"n\": {n}, \"t\": \"a\", \"f\": {n}.5, \"l\": [{n}]}}\n")).collect();
    let (tables, error, quick) = read(&[content.clone(), content], 500, true);
    assert_eq!(error, None);
    assert_eq!(quick, tables.len() - 1, "all but the first");
}

#[test]
fn deep_json_is_refused_in_either_way() {
    let deep = format!("{{\"v\": 1, \"w\": {}1{}}}\n", "[".repeat(600), "]".repeat(600));
    let mixed = "{\"v\": 1, \"w\": 1}\n{\"v\": \"a\", \"w\": [\"b\"]}\n".to_owned();
    for in_one_pass in [false, true] {
        let (tables, error, _) = read(&[mixed.clone(), deep.clone()], 1_000, in_one_pass);
        assert_eq!(tables.len(), 1);
        assert!(error.is_some_and(|error| error.contains("nested deeper than 512 levels")));
    }
}

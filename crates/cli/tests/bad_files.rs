//! Files that are made to do harm, read by the real program: its readers have little memory, and good files are served
//! beside them.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use common::{Server, bomb, folder, program};
use rustix::process::Signal;

/// The smallest that may be set.
const MEMORY: &str = "worker.child_memory_bytes=100000000";

/// A folder of datasets of one file each, and what the program says of them when all are done.
struct Bed {
    server: Server,
    _data: tempfile::TempDir,
    problems: Vec<String>,
}

impl Bed {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let paths: Vec<String> = files.iter().map(|(path, _)| format!("data/{path}")).collect();
        let mut all: Vec<(&str, &[u8])> =
            paths.iter().zip(files).map(|(path, (_, content))| (path.as_str(), *content)).collect();
        all.push(("data/good/a.csv", b"a\n1\n"));
        let data = folder(&all);
        let command = program(data.path(), &[], &["serve", "data", "--port", "0", "--set", MEMORY]);
        let mut server = Server::start(command, "listening on ");
        // `… after … s, … with problems`, or `… ready after … s`.
        let line = server.wait_for(" after ");
        assert!(line.contains(&format!("{} datasets ", all.len())), "{line}");
        let problems = server.told.iter().filter(|line| line.starts_with("problem ")).cloned().collect();
        Self { server, _data: data, problems }
    }

    /// What it says of a dataset that it cannot read.
    fn problem(&self, dataset: &str) -> &str {
        let start = format!("problem local/{dataset}: ");
        let problem = self.problems.iter().find_map(|line| line.strip_prefix(&start));
        problem.unwrap_or_else(|| panic!("no problem with {dataset}: {:?}", self.problems))
    }

    /// Status of a page of rows, and how many there are in all.
    fn rows(&self, dataset: &str) -> (u16, Option<u64>) {
        let (status, body) = self.server.ready(&format!("/rows?dataset=local/{dataset}&config=default&split=train"));
        (status, body["num_rows_total"].as_u64())
    }

    /// The good files are served, and the server ends when it is asked to.
    fn end(self) {
        assert_eq!(self.rows("good"), (200, Some(1)));
        assert_eq!(self.server.stop(Signal::TERM), Some(0));
    }
}

fn messy(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testing/tests/messy/files").join(name);
    std::fs::read(path).expect("it is there")
}

/// A Parquet file with this footer, in the compact protocol of Thrift, and nothing else.
fn footer_only(footer: &[u8]) -> Vec<u8> {
    let length = u32::try_from(footer.len()).expect("short").to_le_bytes();
    [b"PAR1", footer, &length, b"PAR1"].concat()
}

/// A footer whose schema is so many groups, each inside the one before.
fn nested(levels: usize) -> Vec<u8> {
    // Field 1, an integer: 1. Field 2, a list of structs.
    let mut footer = vec![0x15, 0x02, 0x19, 0xfc];
    varint(levels + 2, &mut footer);
    for level in 0..levels + 2 {
        if level == levels + 1 {
            // A leaf: field 1, the type, and field 3, that it may be absent.
            footer.extend([0x15, 0x02, 0x25, 0x02]);
            footer.extend([0x18, 1, b'x', 0]);
        } else {
            // A group: fields 3, 4 and 5, its only child.
            footer.extend([0x35, 0x02, 0x18, 1, b'g', 0x15, 0x02, 0]);
        }
    }
    // Field 3: no rows. Field 4: no row groups.
    footer.extend([0x16, 0, 0x19, 0x0c, 0]);
    footer_only(&footer)
}

fn varint(mut number: usize, bytes: &mut Vec<u8>) {
    while number > 0x7f {
        bytes.push(u8::try_from(number & 0x7f).expect("seven bits") | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).expect("seven bits"));
}

/// e096 | a Parquet file is cut off, lies about the length of its footer, promises two thousand million items in ten bytes, or nests a thousand levels | its dataset has an error that names the file; the reader that dies of it is replaced, everything else goes on
#[test]
fn e096_parquet_files_that_lie_cost_only_themselves() {
    let good = messy("barley.parquet");
    let length = good.len();
    let mut lie = good.clone();
    lie[length - 8..length - 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let bomb = footer_only(&[0x15, 0x02, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]);
    let deep = nested(1000);
    let mut files: Vec<(String, Vec<u8>)> = vec![
        ("cut/a.parquet".to_owned(), good[..length / 2].to_vec()),
        ("lie/a.parquet".to_owned(), lie),
        ("bomb/a.parquet".to_owned(), bomb),
        ("deep/a.parquet".to_owned(), deep),
    ];
    // Bytes of pages, headers of pages and footers that say something else, one after the other.
    for step in 0..24 {
        let mut odd = good.clone();
        let at = 4 + step * (length - 12) / 24;
        odd[at..(at + 4).min(length - 8)].fill(0xff);
        files.push((format!("odd{step}/a.parquet"), odd));
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, content)| (path.as_str(), &content[..])).collect();
    let bed = Bed::new(&files);
    for dataset in ["cut", "lie", "bomb"] {
        assert!(bed.problem(dataset).contains("a.parquet"), "{}", bed.problem(dataset));
    }
    for (path, _) in files {
        let dataset = path.split('/').next().expect("a folder");
        let (status, _) = bed.rows(dataset);
        assert!([200, 500, 501].contains(&status), "{dataset}: {status}");
    }
    bed.end();
}

/// e097 | a gzip file is cut off, has garbage behind its end, or holds a thousand times its size | an error that names file and line; what holds very many rows is converted as a stream, and a cell beyond the limit refused
#[test]
fn e097_gzip_files_that_are_broken_or_explode() {
    let rows = b"aaaaaaa,1\n".repeat(100_000);
    let bed = Bed::new(&[
        ("cut/a.csv.gz", &messy("truncated.csv.gz")),
        ("behind/a.csv.gz", &messy("garbage-after.csv.gz")),
        // 100 MB of rows, and one cell of 2 GB, both through a reader of 100 MB.
        ("rows/a.csv.gz", &bomb(b"name,number\n", &rows, 100)),
        ("cell/a.csv.gz", &bomb(b"a\n", &vec![b'a'; 1_000_000], 2000)),
    ]);
    assert!(
        bed.problem("cut").starts_with("a.csv.gz") && bed.problem("cut").contains("end too early"),
        "{}",
        bed.problem("cut")
    );
    assert!(bed.problem("behind").starts_with("a.csv.gz"), "{}", bed.problem("behind"));
    assert_eq!(bed.rows("rows"), (200, Some(10_000_000)));
    let cell = bed.problem("cell");
    assert!(cell.contains("memory it is allowed") || cell.contains("longer than"), "{cell}");
    bed.end();
}

/// A frame of zstd with this descriptor and these bytes after it, and one block of text.
fn zstd(descriptor: u8, header: &[u8]) -> Vec<u8> {
    [&[0x28, 0xb5, 0x2f, 0xfd, descriptor], header, &[0x21, 0, 0], b"a\n1\n"].concat()
}

/// e098 | a zstd file asks for a window of 2 GiB, for a dictionary, or unpacks to a gigabyte from 32 KiB | refused with the reason, in bounded memory
#[test]
fn e098_zstd_windows_and_dictionaries_are_bounded() {
    // A block of one repeated byte, 128 KiB long, takes four bytes.
    let mut explodes = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x38];
    (0..8192).for_each(|_| explodes.extend([0x02, 0x00, 0x10, b'a']));
    explodes.extend([0x01, 0, 0]);
    let bed = Bed::new(&[
        ("plain/a.csv.zst", &zstd(0, &[0x00])),
        ("window/a.csv.zst", &zstd(0, &[0xa8])),
        ("dictionary/a.csv.zst", &zstd(1, &[0x00, 7])),
        ("explodes/a.csv.zst", &explodes),
    ]);
    assert_eq!(bed.rows("plain"), (200, Some(1)));
    for dataset in ["window", "dictionary"] {
        let problem = bed.problem(dataset);
        assert!(problem.starts_with("a.csv.zst") && problem.contains("damaged zstd file"), "{problem}");
    }
    let explodes = bed.problem("explodes");
    assert!(explodes.contains("longer than") || explodes.contains("memory it is allowed"), "{explodes}");
    bed.end();
}

/// e099 | csv: 10,000 columns, lines of different lengths, one cell of 200 MB, a quote that is never closed, NUL bytes, two encodings, UTF-16 | what can be read is read, with limits; the others are refused with file, line and a way out
#[test]
fn e099_csv_files_of_all_kinds() {
    let wide: String = (0..10_000).map(|n| format!("c{n},")).collect();
    let wide = format!("{0}x\n{1}1\n", wide, "1,".repeat(10_000));
    let huge = [b"id,text\n1,", &vec![b'x'; 200 << 20][..], b"\n"].concat();
    let bed = Bed::new(&[
        ("wide/a.csv", wide.as_bytes()),
        ("huge/a.csv", &huge),
        ("ragged/a.csv", b"a,b\n1,2\n3,4,5\n"),
        ("quote/a.csv", &[&b"a,b\n1,2\n3,\"4\n"[..], &b"5,6\n".repeat(10)].concat()),
        ("nul/a.csv", &messy("nul-bytes.csv")),
        ("mixed/a.csv", &messy("mixed-encodings.csv")),
        ("utf16/a.csv", &messy("utf-16-be.csv")),
    ]);
    assert_eq!(
        (bed.rows("wide"), bed.rows("nul"), bed.rows("utf16")),
        ((200, Some(1)), (200, Some(59)), (200, Some(59)))
    );
    let (status, first) = bed.server.ready("/first-rows?dataset=local/wide&config=default&split=train");
    assert_eq!(
        (status, first["error"].as_str().is_some_and(|error| error.contains("columns"))),
        (500, true),
        "{first}"
    );
    assert!(bed.problem("ragged").starts_with("a.csv, line 3: "), "{}", bed.problem("ragged"));
    assert!(bed.problem("quote").starts_with("a.csv, line 3: "), "{}", bed.problem("quote"));
    assert!(bed.problem("mixed").starts_with("a.csv, line 62: "), "{}", bed.problem("mixed"));
    let huge = bed.problem("huge");
    assert!(huge.contains("longer than") || huge.contains("memory it is allowed"), "{huge}");
    bed.end();
}

/// e100 | JSON: 100,000 levels, an array of 100 MB on one line, a key twice, integers without bounds, half of a surrogate pair | an error with the line, or a text without loss; no stack overflows, and an array streams through a reader of 100 MB
#[test]
fn e100_json_files_of_all_kinds() {
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let deep_line = [&b"{\"a\":"[..], &deep, b"}\n"].concat();
    let mut array = Vec::with_capacity(101 << 20);
    array.push(b'[');
    let mut items = 0_u64;
    while array.len() < 100 << 20 {
        write!(array, "{}{{\"n\":{items},\"text\":\"{}\"}}", if items > 0 { "," } else { "" }, "x".repeat(100))
            .expect("memory");
        items += 1;
    }
    array.push(b']');
    let bed = Bed::new(&[
        ("deep/a.json", &deep),
        ("line/a.jsonl", &deep_line),
        ("array/a.json", &array),
        ("twice/a.jsonl", &messy("duplicate-keys.jsonl")),
        ("large/a.jsonl", &messy("big-integers.jsonl")),
        ("half/a.jsonl", &messy("lone-surrogate.jsonl")),
    ]);
    for dataset in ["deep", "line"] {
        let problem = bed.problem(dataset);
        assert!(problem.contains(", line 1: ") && problem.contains("nested deeper"), "{problem}");
    }
    assert_eq!((bed.rows("array"), bed.rows("large")), ((200, Some(items)), (200, Some(2))));
    assert!(bed.problem("twice").starts_with("a.jsonl, line 1: "), "{}", bed.problem("twice"));
    assert!(bed.problem("half").starts_with("a.jsonl, line 1: "), "{}", bed.problem("half"));
    bed.end();
}

/// e114 | a thousand clients ask for a long answer and leave without reading it | no thread, file or reader stays with them
#[test]
fn e114_a_thousand_clients_that_leave_cost_nothing() {
    let rows: String = (0..60_000_u64).map(|n| format!("{n},{},{}\n", n * 7_919, n * n)).collect();
    let bed = Bed::new(&[("long/a.csv", format!("n,a,b\n{rows}").as_bytes())]);
    assert_eq!(bed.rows("long"), (200, Some(60_000)));
    let open = || std::fs::read_dir(format!("/proc/{}/fd", bed.server.id())).expect("it runs").count();
    let threads = || std::fs::read_dir(format!("/proc/{}/task", bed.server.id())).expect("it runs").count();
    let before = (open(), threads());
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(&bed.server.address).expect("it listens");
        let path = "/rows?dataset=local/long&config=default&split=train&format=csv";
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
        let mut start = [0; 64];
        stream.read_exact(&mut start).expect("the answer begins");
        assert!(start.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&start));
    }
    // The last ones are noticed when the next bytes cannot be sent.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while open() > before.0 + 20 || threads() > before.1 + 20 {
        assert!(std::time::Instant::now() < until, "{} files, {} threads; before {before:?}", open(), threads());
        std::thread::yield_now();
    }
    assert_eq!(bed.rows("long"), (200, Some(60_000)));
    bed.end();
}

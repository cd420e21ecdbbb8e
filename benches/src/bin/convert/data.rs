//! Source files that look like what people upload: the same bytes in every run.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

const WORDS: [&str; 12] =
    ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "Łódź", "東京"];

/// Twelve columns: numbers of several kinds, one of them with gaps, words that repeat, texts that do not (some of them
/// quoted, with separators, doubled quotes and line ends), dates, truths.
pub(crate) fn csv(file: &Path, bytes: u64) -> std::io::Result<()> {
    let header = b"id,small,large,ratio,score,gaps,word,mail,text,truth,day,time\n";
    write(file, bytes, header, |line, row, random| {
        write!(line, "{row},{},{},{:.7},", random.below(1_000), random.below(1 << 40), random.unit() * 1e3)?;
        write!(line, "{:.3},", random.unit() * 200.0 - 100.0)?;
        match random.below(10) {
            0 => line.push(b','),
            _ => write!(line, "{},", random.below(100_000))?,
        }
        write!(line, "{},user-{:08x}@example.org,", random.word(), random.below(1 << 32))?;
        let words = 6 + random.below(12);
        match random.below(8) {
            0 => {
                line.push(b'"');
                for index in 0..words {
                    match index % 5 {
                        2 => write!(line, "{}, ", random.word())?,
                        3 => write!(line, "\"\"{}\"\" ", random.word())?,
                        4 if row % 16 == 0 => writeln!(line, "{}", random.word())?,
                        _ => write!(line, "{} ", random.word())?,
                    }
                }
                line.push(b'"');
            }
            _ => (0..words).try_for_each(|_| write!(line, "{} ", random.word()))?,
        }
        let truth = if random.below(2) == 0 { "True" } else { "False" };
        let (month, day) = (1 + random.below(12), 1 + random.below(28));
        writeln!(line, ",{truth},2024-{month:02}-{day:02},2024-{month:02}-{day:02} {:02}:30:00", random.below(24))
    })
}

/// Objects with nested objects, lists of numbers, of texts and of objects, and members that may be missing or null.
pub(crate) fn jsonl(file: &Path, bytes: u64) -> std::io::Result<()> {
    write(file, bytes, b"", |line, row, random| {
        write!(line, "{{\"id\": {row}, \"score\": {:.6}, \"text\": \"", random.unit())?;
        for _ in 0..6 + random.below(20) {
            write!(line, "{} ", random.word())?;
        }
        write!(line, "said \\\"{}\\\"\\n\", \"tags\": [", random.word())?;
        for index in 0..random.below(5) {
            write!(line, "{}\"{}\"", if index > 0 { ", " } else { "" }, random.word())?;
        }
        line.extend_from_slice(b"], \"vector\": [");
        for index in 0..8 {
            write!(line, "{}{:.4}", if index > 0 { ", " } else { "" }, random.unit())?;
        }
        let (name, place) = (random.word(), random.below(1_000_000));
        write!(
            line,
            "], \"user\": {{\"name\": \"{name}\", \"id\": {place}, \"address\": {{\"city\": \"{}\"",
            random.word()
        )?;
        write!(line, ", \"zip\": {}}}}}, \"turns\": [", random.below(99_999))?;
        for index in 0..1 + random.below(4) {
            let separator = if index > 0 { ", " } else { "" };
            write!(
                line,
                "{separator}{{\"role\": \"{}\", \"content\": \"",
                if index % 2 == 0 { "user" } else { "bot" }
            )?;
            for _ in 0..4 + random.below(12) {
                write!(line, "{} ", random.word())?;
            }
            write!(line, "\", \"tokens\": {}}}", random.below(500))?;
        }
        match random.below(3) {
            0 => writeln!(line, "], \"rating\": null}}"),
            _ => writeln!(line, "], \"rating\": {}}}", random.below(6)),
        }
    })
}

fn write(
    file: &Path,
    bytes: u64,
    header: &[u8],
    mut row: impl FnMut(&mut Vec<u8>, u64, &mut Random) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    out.write_all(header)?;
    let (mut random, mut line) = (Random(1), Vec::new());
    let (mut written, mut number) = (header.len() as u64, 0);
    while written < bytes {
        line.clear();
        row(&mut line, number, &mut random)?;
        out.write_all(&line)?;
        written += line.len() as u64;
        number += 1;
    }
    out.flush()
}

/// A small generator (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn word(&mut self) -> &'static str {
        WORDS[self.below(WORDS.len() as u64) as usize]
    }
}

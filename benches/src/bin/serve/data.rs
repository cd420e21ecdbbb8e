//! Csv data that looks like a table of people's measurements: numbers, flags, dates, short and long texts. Always the same.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

const WORDS: [&str; 8] = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"];

/// Rows until the file has this many bytes.
pub(crate) fn write_bytes(file: &Path, bytes: u64) -> std::io::Result<()> {
    write(file, |written, _| written < bytes)
}

/// This many rows.
pub(crate) fn write_rows(file: &Path, rows: u64) -> std::io::Result<()> {
    write(file, |_, row| row < rows)
}

fn write(file: &Path, more: impl Fn(u64, u64) -> bool) -> std::io::Result<()> {
    std::fs::create_dir_all(file.parent().expect("below a folder"))?;
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    out.write_all(b"id,name,value,score,flag,text,date,count,ratio\n")?;
    let mut random = Random::new(1);
    let (mut written, mut row, mut line) = (0, 0, Vec::new());
    while more(written, row) {
        line.clear();
        write!(
            line,
            "{row},{}-{},{},{:.6},{},",
            random.word(),
            row % 977,
            random.below(1_000_000_000),
            random.unit(),
            if row % 3 == 0 { "False" } else { "True" },
        )?;
        for index in 0..12 {
            write!(line, "{}{}", if index == 0 { "" } else { " " }, random.word())?;
        }
        writeln!(
            line,
            ",2024-{:02}-{:02},{},{:.5}",
            row % 12 + 1,
            row % 28 + 1,
            row % 1000,
            random.unit() * 4.0 - 2.0
        )?;
        out.write_all(&line)?;
        written += line.len() as u64;
        row += 1;
    }
    out.flush()
}

/// A small generator (SplitMix64) so that every run has the same data.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn word(&mut self) -> &'static str {
        WORDS[self.below(8) as usize]
    }
}

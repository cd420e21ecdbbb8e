//! Texts searched for personal data per second, by all rules on one thread; and by one expression for addresses of the network
//! alone, for comparison.
//!
//! See `benches/README.md` for what is measured and how to run it.

#![expect(clippy::print_stdout, reason = "the figures are the output")]

use std::time::Instant;

use belvedere_entities::{Context, recognize};
use regex::Regex;

/// Characters of a text: as many as the scan looks at.
const LENGTH: usize = 1_000;
/// Bytes of the texts of a case.
const BYTES: usize = 8 << 20;
/// Times that each case is measured; the best one counts.
const RUNS: usize = 3;

const WORDS: &[&str] = &[
    "the", "river", "of", "account", "winter", "and", "market", "because", "stone", "their", "passport", "garden",
    "was", "letter", "under", "music", "people", "quickly", "phone", "between", "orange", "history", "number",
    "mountain", "without", "captain",
];

/// Numbers that look drawn and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Texts of pieces that `piece` makes.
fn texts(mut piece: impl FnMut(&mut Dice) -> String) -> Vec<String> {
    let mut dice = Dice(42);
    let text = |_| {
        let mut text = String::with_capacity(LENGTH + 100);
        while text.len() < LENGTH {
            text.push_str(&piece(&mut dice));
        }
        text.truncate(LENGTH);
        text
    };
    (0..BYTES / LENGTH).map(text).collect()
}

fn word(dice: &mut Dice) -> String {
    format!("{} ", WORDS[dice.below(WORDS.len())])
}

fn letters(dice: &mut Dice) -> String {
    match dice.below(60) {
        0 => format!("on {} May {} ", dice.below(28) + 1, 1950 + dice.below(70)),
        1 => format!("write to {}.{}@example.org, ", WORDS[dice.below(26)], dice.below(100)),
        2 => format!("call +1 202 555 {:04} ", dice.below(10_000)),
        3 => format!("see https://example.org/{}/{} ", WORDS[dice.below(26)], dice.below(1_000)),
        _ => word(dice),
    }
}

fn log_line(dice: &mut Dice) -> String {
    format!(
        "2026-05-{:02}T12:{:02}:00.{:06}Z INFO client=10.{}.{}.7 request {:08x} took {} ms: {}\n",
        dice.below(28) + 1,
        dice.below(60),
        dice.below(1_000_000),
        dice.below(256),
        dice.below(256),
        dice.below(1 << 31),
        dice.below(1_000),
        WORDS[dice.below(26)]
    )
}

fn megabytes_per_second(texts: &[String], mut work: impl FnMut(&str) -> usize) -> (f64, usize) {
    let bytes: usize = texts.iter().map(String::len).sum();
    let mut best = (0.0, 0);
    for _ in 0..RUNS {
        let start = Instant::now();
        let found = texts.iter().map(|text| work(text)).sum();
        let rate = bytes as f64 / 1e6 / start.elapsed().as_secs_f64();
        best = if rate > best.0 { (rate, found) } else { best };
    }
    best
}

fn main() -> anyhow::Result<()> {
    let one = Regex::new(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")?;
    let context = Context::of_column(["text"]);
    let cases = [
        ("prose without a digit", texts(word)),
        ("letters: a date, a mail, a call or a link in 15 words", texts(letters)),
        ("lines of a log", texts(log_line)),
    ];
    for (name, texts) in cases {
        let (rate, found) = megabytes_per_second(&texts, |text| recognize(text, &context).len());
        let (alone, _) = megabytes_per_second(&texts, |text| one.find_iter(text).count());
        let ratio = alone / rate;
        println!(
            "{name}: {rate:.1} MB/s, {found} found; one expression alone {alone:.1} MB/s, {ratio:.0} times as many"
        );
    }
    Ok(())
}

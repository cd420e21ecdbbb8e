//! Everything gathered of one leaf, and its report.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use crate::error::{EngineError, ErrorKind};
use crate::statistics::dates::{self, DECIDING, Format};
use crate::statistics::figures::{self, Figures, Making};
use crate::statistics::gather::{Gathered, Gatherer, Names, SAMPLE, key_of};
use crate::statistics::hints::hints;
use crate::statistics::keys::of_signed;
use crate::statistics::multiset::{Budget, Multiset, Run};
use crate::statistics::plan::{Kind, Leaf};
use crate::statistics::{ColumnStatistics, Frame, Rules, TextForm, show};
use belvedere_domain::features::TimeUnit;

/// Texts of which one in so many rows is the same are among the most frequent ones; rarer ones are not looked up.
const FREQUENT: u64 = 1_000;
/// Distinct texts that are labels for today's reference, and their share of the rows.
const REFERENCE_LABELS: u64 = 1_000;
const REFERENCE_SHARE: f64 = 0.2;
const REFERENCE_FEW: u64 = 10;
/// Texts up to this length, mostly different but not all, are names rather than prose.
const SHORT_TEXT: i64 = 100;

/// Reads the texts of a leaf once more, in order, until the visitor says `false`.
pub(super) type Reread<'r> = dyn Fn(&mut dyn FnMut(Option<&str>) -> bool) -> Result<(), EngineError> + 'r;

/// What all parts of a leaf add up to.
pub(super) struct LeafState {
    rows: u64,
    nulls: u64,
    infinities: u64,
    unreadable: u64,
    content: Content,
}

enum Content {
    Numbers(Multiset<u64>),
    Wide(Multiset<u128>),
    Bools([u64; 2]),
    Classes { none: u64, classes: Vec<u64> },
    Texts(Box<TextState>),
    Nothing,
}

struct TextState {
    lengths: Multiset<u64>,
    hashes: Multiset<u128>,
    names: Names,
    /// Samples by part.
    samples: Vec<(usize, Vec<String>)>,
    first_is_null: bool,
}

impl LeafState {
    /// Nothing yet.
    pub(super) fn new(leaf: &Leaf, names: usize, budget: &Arc<Budget>) -> Self {
        let content = match &leaf.kind {
            Kind::Bool => Content::Bools([0; 2]),
            Kind::ClassLabel(names) => Content::Classes { none: 0, classes: vec![0; names.len()] },
            Kind::Decimal(_) => Content::Wide(Multiset::new(budget)),
            Kind::Text => Content::Texts(Box::new(TextState {
                lengths: Multiset::new(budget),
                hashes: Multiset::new(budget),
                names: Names::new(names),
                samples: Vec::new(),
                first_is_null: false,
            })),
            Kind::Null => Content::Nothing,
            _ => Content::Numbers(Multiset::new(budget)),
        };
        Self { rows: 0, nulls: 0, infinities: 0, unreadable: 0, content }
    }

    /// Adds a part. Parts may come in any order.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) when runs cannot be spilled.
    pub(super) fn absorb(&mut self, part: usize, gatherer: Gatherer<'_>) -> Result<(), EngineError> {
        self.rows += gatherer.rows;
        self.nulls += gatherer.nulls;
        self.infinities += gatherer.infinities;
        self.unreadable += gatherer.unreadable;
        match (&mut self.content, gatherer.gathered) {
            (Content::Numbers(set), Gathered::Numbers(sorter)) => add(set, sorter.finish())?,
            (Content::Wide(set), Gathered::Wide(sorter)) => add(set, sorter.finish())?,
            (Content::Bools(counts), Gathered::Bools(more)) => {
                counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
            }
            (Content::Classes { none, classes }, Gathered::Classes { none: more_none, classes: more }) => {
                *none += more_none;
                classes.iter_mut().zip(more).for_each(|(count, more)| *count += more);
            }
            (Content::Texts(state), Gathered::Texts(texts)) => {
                let texts = texts.finish()?;
                add(&mut state.lengths, texts.lengths)?;
                add(&mut state.hashes, texts.hashes)?;
                state.names.merge(&texts.names);
                state.first_is_null |= part == 0 && texts.first_is_null;
                state.keep_sample(part, texts.sample);
            }
            _ => {}
        }
        Ok(())
    }

    /// The report of the leaf, and what describes its bins.
    ///
    /// # Errors
    /// Those of reading spilled runs, of reading texts once more, and of the task.
    pub(super) fn finish(
        self,
        leaf: &Leaf,
        making: Making<'_>,
        budget: &Arc<Budget>,
        reread: &Reread<'_>,
    ) -> Result<(ColumnStatistics, Frame), EngineError> {
        let nulls = figures::nulls(self.nulls, self.rows);
        let mut column_type = leaf.kind.name();
        let mut sample = Vec::new();
        let mut longest = None;
        let mut figures = match (&leaf.kind, self.content) {
            (kind, Content::Numbers(set)) => figures::of_numbers(kind, None, &set, nulls, making)?,
            (Kind::Decimal(scale), Content::Wide(set)) => figures::of_decimals(*scale, &set, nulls, making)?,
            (_, Content::Bools(counts)) => of_bools(counts, nulls),
            (Kind::ClassLabel(names), Content::Classes { none, classes }) => {
                of_classes(names, none, &classes, self.rows, nulls, making)
            }
            (_, Content::Texts(state)) => {
                sample = state.sample();
                longest = state.lengths.range().map(|(_, high)| crate::statistics::keys::to_signed(high));
                let (name, figures) = state.finish(self.rows, self.nulls, nulls, making, budget, reread)?;
                column_type = name;
                figures
            }
            _ => Figures {
                statistics: nulls.into(),
                distinct: None,
                count: 0,
                quantiles: None,
                top: Vec::new(),
                frame: Frame::default(),
            },
        };
        let frame = std::mem::take(&mut figures.frame);
        let details = (making.rules == Rules::Seed).then(|| {
            let texts = (leaf.kind == Kind::Text).then_some((sample.as_slice(), longest));
            let identifying = matches!(leaf.kind, Kind::Text | Kind::Integer(_));
            let counts = (self.rows, self.nulls, self.infinities, self.unreadable);
            details(&figures, counts, identifying, texts)
        });
        let report = ColumnStatistics {
            column_name: leaf.name.clone(),
            column_type: column_type.to_owned(),
            column_statistics: figures.statistics,
            details,
            error: None,
        };
        Ok((report, frame))
    }
}

fn add<K: crate::statistics::keys::Key>(set: &mut Multiset<K>, runs: Vec<Run<K>>) -> Result<(), EngineError> {
    runs.into_iter().try_for_each(|run| set.add(run))
}

fn of_bools(counts: [u64; 2], mut fields: Map<String, Json>) -> Figures {
    let named = ["False", "True"].into_iter().zip(counts).filter(|(_, count)| *count > 0);
    let frequencies: Map<String, Json> = named.map(|(name, count)| (name.to_owned(), count.into())).collect();
    let distinct = frequencies.len() as u64;
    fields.insert("frequencies".into(), frequencies.into());
    whole(fields, distinct, counts.iter().sum())
}

fn of_classes(
    names: &[String],
    none: u64,
    classes: &[u64],
    rows: u64,
    mut fields: Map<String, Json>,
    making: Making<'_>,
) -> Figures {
    let observed = classes.iter().filter(|count| **count > 0).count() as u64;
    let n_unique = if making.rules == Rules::Reference { names.len() as u64 } else { observed };
    let frequencies: Map<String, Json> =
        names.iter().zip(classes).map(|(name, &count)| (name.clone(), count.into())).collect();
    fields.insert("no_label_count".into(), none.into());
    fields.insert("no_label_proportion".into(), figures::proportion(none, rows));
    fields.insert("n_unique".into(), n_unique.into());
    fields.insert("frequencies".into(), frequencies.into());
    whole(fields, observed, classes.iter().sum::<u64>() + none)
}

fn whole(fields: Map<String, Json>, distinct: u64, count: u64) -> Figures {
    let distinct = Some(distinct);
    Figures { statistics: fields.into(), distinct, count, quantiles: None, top: Vec::new(), frame: Frame::default() }
}

impl TextState {
    /// Keeps the samples of the first parts, as many as are needed.
    fn keep_sample(&mut self, part: usize, sample: Vec<String>) {
        self.samples.push((part, sample));
        self.samples.sort_unstable_by_key(|(part, _)| *part);
        let mut kept = 0;
        let needed = |(place, (part, sample)): (usize, &(usize, Vec<String>))| {
            // Parts before this one may still come.
            let settled = *part == place;
            let needed = kept < SAMPLE || !settled;
            kept += if settled { sample.len() } else { 0 };
            needed
        };
        let needed: Vec<bool> = self.samples.iter().enumerate().map(needed).collect();
        // Behind enough settled values nothing is needed, however few of the parts before have come.
        let end = needed.iter().position(|needed| !needed).unwrap_or(needed.len());
        self.samples.truncate(end);
    }

    fn sample(&self) -> Vec<String> {
        self.samples.iter().flat_map(|(_, sample)| sample).take(SAMPLE).cloned().collect()
    }

    fn finish(
        self,
        rows: u64,
        nulls: u64,
        fields: Map<String, Json>,
        making: Making<'_>,
        budget: &Arc<Budget>,
        reread: &Reread<'_>,
    ) -> Result<(&'static str, Figures), EngineError> {
        let told = making.frame.and_then(|frame| frame.texts);
        if told.map_or(making.rules == Rules::Reference, |form| form == TextForm::Dates)
            && let Some(figures) = self.dates(&fields, making, budget, reread)?
        {
            return Ok(("datetime", figures));
        }
        let hashes = figures::most_frequent(&self.hashes, making.task)?;
        let known = self.names.known();
        let is_label = match told {
            Some(form) => form == TextForm::Labels,
            None => is_label(hashes.distinct + u64::from(nulls > 0), rows, making),
        };
        if let (true, Some(names)) = (is_label, known) {
            return self.labels(names, hashes.distinct, fields, making).map(|figures| ("string_label", figures));
        }
        let mut figures = figures::of_numbers(&Kind::List, None, &self.lengths, fields, making)?;
        figures.frame.texts = Some(TextForm::Lengths);
        figures.distinct = Some(hashes.distinct);
        if making.rules == Rules::Seed {
            let frequent: Vec<_> = hashes.top.iter().copied().filter(|(_, count)| count * FREQUENT >= rows).collect();
            figures.top = named(&frequent, known, reread)?;
        }
        Ok(("string_text", figures))
    }

    fn labels(
        &self,
        names: &hashbrown::HashMap<u128, String>,
        distinct: u64,
        mut fields: Map<String, Json>,
        making: Making<'_>,
    ) -> Result<Figures, EngineError> {
        let mut counted: Vec<(&str, u64)> = Vec::with_capacity(names.len());
        self.hashes.for_each(making.task, |key, count| {
            if let Some(name) = names.get(&key) {
                counted.push((name, count));
            }
        })?;
        counted.sort_unstable_by_key(|&(name, count)| (std::cmp::Reverse(count), name));
        let frequencies: Map<String, Json> =
            counted.iter().map(|&(name, count)| (name.to_owned(), count.into())).collect();
        fields.insert("no_label_count".into(), 0.into());
        fields.insert("no_label_proportion".into(), json!(0.0));
        fields.insert("n_unique".into(), distinct.into());
        fields.insert("frequencies".into(), frequencies.into());
        let figures = whole(fields, distinct, self.hashes.len());
        Ok(Figures { frame: Frame { texts: Some(TextForm::Labels), ..Frame::default() }, ..figures })
    }

    /// The figures of texts that are dates; `None` when one of them is not.
    fn dates(
        &self,
        fields: &Map<String, Json>,
        making: Making<'_>,
        budget: &Arc<Budget>,
        reread: &Reread<'_>,
    ) -> Result<Option<Figures>, EngineError> {
        let mut sample = self.sample();
        sample.truncate(DECIDING);
        let shared = dates::shared_format(&sample).filter(|_| !self.first_is_null);
        let Some(format) = shared else { return Ok(None) };
        let zone = sample.first().and_then(|text| format.read(text)).map_or(0, |moment| moment.offset);
        let Some(set) = moments(format, budget, reread)? else { return Ok(None) };
        let kind = Kind::Datetime(TimeUnit::Microsecond, None);
        let mut figures = figures::of_numbers(&kind, Some(show::fixed_zone(zone)), &set, fields.clone(), making)?;
        figures.frame.texts = Some(TextForm::Dates);
        Ok(Some(figures))
    }
}

fn moments(format: Format, budget: &Arc<Budget>, reread: &Reread<'_>) -> Result<Option<Multiset<u64>>, EngineError> {
    const RUN: usize = 256 << 10;
    let mut set = Multiset::new(budget);
    let mut keys = Vec::new();
    let mut failed = Ok(true);
    reread(&mut |text| {
        let Some(text) = text else { return true };
        match format.read(text) {
            Some(moment) => keys.push(of_signed(moment.micros)),
            None => failed = Ok(false),
        }
        if keys.len() >= RUN {
            failed = set.add(Run::of(std::mem::take(&mut keys))).map(|()| true);
        }
        matches!(failed, Ok(true))
    })?;
    if !failed? {
        return Ok(None);
    }
    set.add(Run::of(keys))?;
    Ok(Some(set))
}

/// True when a column of texts is one of labels. `distinct` counts null as a value.
fn is_label(distinct: u64, rows: u64, making: Making<'_>) -> bool {
    match making.rules {
        Rules::Seed => distinct <= making.max_labels as u64,
        Rules::Reference => {
            let share = distinct as f64 / rows as f64;
            (share <= REFERENCE_SHARE && distinct <= REFERENCE_LABELS) || distinct <= REFERENCE_FEW
        }
    }
}

/// Names that have to be kept so that labels can be told.
pub(super) fn names_needed(making: Making<'_>) -> usize {
    match making.rules {
        Rules::Seed => making.max_labels.max(figures::TOP),
        Rules::Reference => REFERENCE_LABELS as usize,
    }
}

/// The texts behind keys, read once more unless they are known.
fn named(
    top: &[(u128, u64)],
    known: Option<&hashbrown::HashMap<u128, String>>,
    reread: &Reread<'_>,
) -> Result<Vec<(Json, u64)>, EngineError> {
    let mut names: Vec<Option<String>> = vec![None; top.len()];
    match known {
        Some(known) => names = top.iter().map(|(key, _)| known.get(key).cloned()).collect(),
        None if top.is_empty() => {}
        None => {
            let mut missing = top.len();
            reread(&mut |text| {
                let Some(text) = text else { return true };
                let key = key_of(text);
                let place = top.iter().position(|(wanted, _)| *wanted == key);
                if let Some(place) = place.filter(|&place| names[place].is_none()) {
                    names[place] = Some(shortened(text));
                    missing -= 1;
                }
                missing > 0
            })?;
        }
    }
    let found = names.into_iter().zip(top);
    Ok(found.filter_map(|(name, (_, count))| name.map(|name| (name.into(), *count))).collect())
}

/// A text of at most 200 characters.
fn shortened(text: &str) -> String {
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What is told beyond the reference. Exact, but for what carries the number of values it was `sampled` from. Values that
/// `identifying` columns repeat are worth an alert.
fn details(
    figures: &Figures,
    (rows, nulls, infinities, unreadable): (u64, u64, u64, u64),
    identifying: bool,
    texts: Option<(&[String], Option<i64>)>,
) -> Json {
    let Figures { count, distinct, .. } = *figures;
    let distinct_of = |test: &dyn Fn(u64) -> bool| distinct.is_some_and(|distinct| count > 1 && test(distinct));
    let mut details = Map::new();
    if let Some(distinct) = distinct {
        details.insert("n_unique".into(), distinct.into());
    }
    if infinities > 0 {
        details.insert("infinite_count".into(), infinities.into());
    }
    if unreadable > 0 {
        details.insert("unreadable_count".into(), unreadable.into());
    }
    if let Some(quantiles) = &figures.quantiles {
        details.insert("quantiles".into(), quantiles.clone());
    }
    if !figures.top.is_empty() {
        let item = |(value, count): &(Json, u64)| json!({"value": value, "count": count});
        details.insert("top_values".into(), figures.top.iter().map(item).collect());
    }
    let mut alerts = Vec::new();
    if rows > 0 && nulls == rows {
        alerts.push(json!({"alert": "all_null"}));
    }
    if distinct_of(&|distinct| distinct == 1) {
        alerts.push(json!({"alert": "constant", "nulls": nulls}));
    }
    // Nearly all values are different, so those that are not are worth a look.
    if identifying && distinct_of(&|distinct| distinct < count && distinct as f64 >= 0.9 * count as f64) {
        let repeated = distinct.map(|distinct| count - distinct);
        alerts.push(json!({"alert": "duplicates", "count": repeated}));
    }
    if let Some((sample, longest)) = texts {
        let unique = distinct_of(&|distinct| distinct == count);
        let looks = hints(sample, unique);
        let few_characters = longest.is_some_and(|longest| longest <= SHORT_TEXT);
        if few_characters && looks.hint.is_none() && distinct_of(&|distinct| distinct > 100 && distinct * 2 > count) {
            alerts.push(json!({"alert": "high_cardinality", "n_unique": distinct}));
        }
        if let Some(share) = looks.mixed {
            alerts.push(json!({"alert": "mixed_types", "share_of_numbers": share, "sampled": sample.len()}));
        }
        if let Some(hint) = looks.hint {
            details.insert("hint".into(), hint);
        }
    }
    if !alerts.is_empty() {
        details.insert("alerts".into(), alerts.into());
    }
    details.into()
}

/// The report of a leaf that could not be described.
pub(super) fn failed(leaf: &Leaf, error: &EngineError) -> ColumnStatistics {
    ColumnStatistics {
        column_name: leaf.name.clone(),
        column_type: leaf.kind.name().to_owned(),
        column_statistics: Json::Null,
        details: None,
        error: Some(error.to_string()),
    }
}

/// True for failures of a column; others end the call.
pub(super) fn is_of_column(error: &EngineError) -> bool {
    use ErrorKind::{Cell, Features, Incompatible, Internal, SchemaMismatch, TooBig, Unreadable};
    matches!(error.kind, Cell | Features | Incompatible | Internal | SchemaMismatch | TooBig | Unreadable)
}

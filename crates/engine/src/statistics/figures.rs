//! Multisets → the figures of a column, as clients get them.

use belvedere_domain::features::TimeUnit;
use serde_json::{Map, Value as Json, json};

use crate::cells::temporal::Zone;
use crate::error::{EngineError, ErrorKind};
use crate::statistics::histogram::{float_edges, integer_edges, rounded};
use crate::statistics::keys::{Key, Scale, of_float, to_float, to_signed, to_wide};
use crate::statistics::multiset::Multiset;
use crate::statistics::plan::Kind;
use crate::statistics::spread::{Questions, Spread, spread};
use crate::statistics::{Frame, Rules, show};
use crate::task::Task;

/// Shares of the values that are told beside the median, in percent.
const PERCENTS: [u32; 7] = [1, 5, 25, 50, 75, 95, 99];
/// Position of the median among them.
const MEDIAN: usize = 3;
/// Most frequent values that are told.
pub(super) const TOP: usize = 10;

/// What figures are made with.
#[derive(Clone, Copy)]
pub(super) struct Making<'m> {
    pub(super) rules: Rules,
    /// Bins of a histogram.
    pub(super) bins: u32,
    /// Names that a label may have.
    pub(super) max_labels: usize,
    /// The bins of all rows, when only some of them are described.
    pub(super) frame: Option<&'m Frame>,
    pub(super) task: &'m Task,
}

/// The figures of numbers, and what else is known of them.
pub(super) struct Figures {
    /// `column_statistics`.
    pub(super) statistics: Json,
    /// Distinct values, if counted.
    pub(super) distinct: Option<u64>,
    /// Values that are not null.
    pub(super) count: u64,
    pub(super) quantiles: Option<Json>,
    pub(super) top: Vec<(Json, u64)>,
    pub(super) frame: Frame,
}

/// How the numbers of a kind are told.
enum Tongue {
    Integers(Scale),
    Floats,
    /// Whole seconds since the earliest moment; units of a second, zone.
    Moments(i64, Zone),
    Days,
    Times(TimeUnit),
    Durations(TimeUnit),
}

/// `nan_count` and `nan_proportion`.
pub(super) fn nulls(nulls: u64, rows: u64) -> Map<String, Json> {
    let mut fields = Map::new();
    fields.insert("nan_count".into(), nulls.into());
    fields.insert("nan_proportion".into(), proportion(nulls, rows));
    fields
}

/// A share rounded to five decimals; none of nothing is 0.
pub(super) fn proportion(part: u64, of: u64) -> Json {
    json!(if part == 0 { 0.0 } else { rounded(part as f64 / of as f64) })
}

/// The figures of a leaf whose keys have 64 bits. `zone` replaces that of the kind.
///
/// # Errors
/// Those of [`spread`]; [`Incompatible`](ErrorKind::Incompatible) for moments beyond the calendar.
pub(super) fn of_numbers(
    kind: &Kind,
    zone: Option<Zone>,
    set: &Multiset<u64>,
    fields: Map<String, Json>,
    making: Making<'_>,
) -> Result<Figures, EngineError> {
    let tongue = match kind {
        Kind::Integer(scale) => Tongue::Integers(*scale),
        Kind::Float | Kind::Audio | Kind::Video => Tongue::Floats,
        Kind::Datetime(unit, name) => {
            Tongue::Moments(show::per_second(*unit), zone.unwrap_or_else(|| show::zone(name.as_deref())))
        }
        Kind::Date => Tongue::Days,
        Kind::Time(unit) => Tongue::Times(*unit),
        Kind::Duration(unit) => Tongue::Durations(*unit),
        _ => Tongue::Integers(Scale::Signed),
    };
    let Some((low, high)) = set.range() else { return Ok(nothing(fields, making.frame)) };
    let origin = making.frame.and_then(|frame| frame.origin).unwrap_or(low);
    let measured = |key: u64| match &tongue {
        // Keys are as far apart as the moments.
        Tongue::Moments(per_second, _) => (key.saturating_sub(origin)) / per_second.unsigned_abs(),
        _ => key,
    };
    let scale = match tongue {
        Tongue::Integers(scale) => scale,
        Tongue::Floats => Scale::Float,
        Tongue::Moments(..) => Scale::Unsigned,
        _ => Scale::Signed,
    };
    let edges = match making.frame.and_then(|frame| frame.edges.clone()) {
        Some(edges) => edges,
        None => edges_of(scale, measured(low), measured(high), making),
    };
    let questions =
        Questions { edges: &edges, quantiles: &PERCENTS.map(|percent| f64::from(percent) / 100.0), top: TOP };
    let found = match tongue {
        // The common case without a look at what it is for every value.
        Tongue::Floats => spread(set, &questions, making.task, |key| key, to_float),
        Tongue::Moments(..) => spread(set, &questions, making.task, measured, |key| key as f64),
        // Whole numbers from the least one on: large ones have no room for their digits in a float.
        _ => spread(set, &questions, making.task, |key| key, |key| (key - low) as f64)
            .map(|found| Spread { mean: scale.to_f64(low) + found.mean, ..found }),
    }?;
    tell(&tongue, Told { found, low, high, origin, scale, edges }, measured, fields)
        .ok_or_else(|| EngineError::new(ErrorKind::Incompatible, "a time lies beyond the calendar"))
}

/// Edges of the bins between the least and the greatest measured key.
fn edges_of(scale: Scale, low: u64, high: u64, making: Making<'_>) -> Vec<u64> {
    match scale {
        Scale::Float => {
            let [low, high] = [low, high].map(|key| rounded(to_float(key)));
            float_edges(low, high, making.bins).into_iter().map(of_float).collect()
        }
        _ => {
            let edges = integer_edges(scale.to_integer(low), scale.to_integer(high), making.bins, making.rules);
            edges.into_iter().map(|edge| scale.of_integer(edge)).collect()
        }
    }
}

/// No values: every figure is null.
pub(super) fn nothing(mut fields: Map<String, Json>, frame: Option<&Frame>) -> Figures {
    for name in ["min", "max", "mean", "median", "std"] {
        fields.insert(name.into(), Json::Null);
    }
    fields.insert("histogram".into(), Json::Null);
    let frame = frame.cloned().unwrap_or_default();
    Figures { statistics: fields.into(), distinct: Some(0), count: 0, quantiles: None, top: Vec::new(), frame }
}

struct Told {
    found: Spread<u64>,
    low: u64,
    high: u64,
    origin: u64,
    scale: Scale,
    edges: Vec<u64>,
}

/// `None` when a moment cannot be told.
fn tell(tongue: &Tongue, told: Told, measured: impl Fn(u64) -> u64, mut fields: Map<String, Json>) -> Option<Figures> {
    let Told { found, low, high, origin, scale, edges } = told;
    let number = |key: u64| scale.to_f64(key);
    // What a measured number, exact or computed, is in words; rounded or not.
    let say = |value: f64, exact: bool| -> Option<Json> {
        Some(match tongue {
            Tongue::Integers(_) | Tongue::Floats if exact => json!(value),
            Tongue::Integers(_) | Tongue::Floats => json!(rounded(value)),
            Tongue::Moments(per_second, zone) => {
                let micros = micros_of(to_signed(origin), *per_second) + show::micros(value);
                show::moment(micros, zone)?.into()
            }
            Tongue::Days => show::date(value).into(),
            Tongue::Times(unit) => show::time(value, *unit).into(),
            Tongue::Durations(unit) => show::duration(value, *unit).into(),
        })
    };
    // A key that occurs among the values, as it is.
    let say_key = |key: u64, exact: bool| -> Option<Json> {
        match tongue {
            Tongue::Integers(scale) => Some(integer(*scale, key)),
            Tongue::Moments(per_second, zone) => {
                Some(show::moment(micros_of(to_signed(key), *per_second), zone)?.into())
            }
            _ => say(number(key), exact),
        }
    };
    let between = |&(below, above, share): &(u64, u64, f64)| {
        let (below, above) = (number(measured(below)), number(measured(above)));
        let value = below + (above - below) * share;
        if value.is_finite() { value } else { below * (1.0 - share) + above * share }
    };
    let minimum = say_key(low, false)?;
    fields.insert("min".into(), minimum);
    let maximum = match tongue {
        // Whole seconds after the minimum.
        Tongue::Moments(..) => say(number(measured(high)), false)?,
        _ => say_key(high, false)?,
    };
    fields.insert("max".into(), maximum);
    fields.insert("mean".into(), say(rounded(found.mean), false)?);
    fields.insert("median".into(), say(rounded(between(found.quantiles.get(MEDIAN)?)), false)?);
    fields.insert("std".into(), found.std.map_or(Json::Null, |std| deviation(tongue, rounded(std))));
    let edge = |&edge: &u64| match tongue {
        Tongue::Integers(scale) => Some(integer(*scale, edge)),
        _ => say(number(edge), false),
    };
    let shown = edges.iter().map(edge).collect::<Option<Vec<_>>>()?;
    fields.insert("histogram".into(), json!({"hist": found.bins, "bin_edges": shown}));
    let quantiles = PERCENTS
        .iter()
        .zip(&found.quantiles)
        .map(|(percent, place)| Some((format!("{:.2}", f64::from(*percent) / 100.0), say(between(place), true)?)));
    let quantiles = quantiles.collect::<Option<Map<String, Json>>>()?;
    let top = found.top.iter().map(|&(key, count)| Some((say_key(key, true)?, count)));
    Some(Figures {
        statistics: fields.into(),
        distinct: Some(found.distinct),
        count: found.count,
        quantiles: Some(quantiles.into()),
        top: top.collect::<Option<_>>()?,
        frame: Frame { origin: Some(origin), edges: Some(edges), ..Frame::default() },
    })
}

fn deviation(tongue: &Tongue, std: f64) -> Json {
    match tongue {
        Tongue::Integers(_) | Tongue::Floats => json!(std),
        Tongue::Moments(..) => show::seconds(std).into(),
        Tongue::Days => show::seconds(std * 86_400.0).into(),
        Tongue::Times(unit) | Tongue::Durations(unit) => show::seconds(std / show::per_second(*unit) as f64).into(),
    }
}

fn integer(scale: Scale, key: u64) -> Json {
    match scale {
        Scale::Unsigned => key.into(),
        _ => to_signed(key).into(),
    }
}

/// Microseconds since 1970.
fn micros_of(units: i64, per_second: i64) -> i128 {
    (i128::from(units) * 1_000_000).div_euclid(i128::from(per_second))
}

/// The figures of decimals: the extremes with all digits, the rest as floats.
///
/// # Errors
/// Those of [`spread`].
pub(super) fn of_decimals(
    scale: i8,
    set: &Multiset<u128>,
    mut fields: Map<String, Json>,
    making: Making<'_>,
) -> Result<Figures, EngineError> {
    let Some((low, high)) = set.range() else { return Ok(nothing(fields, making.frame)) };
    let factor = 10_f64.powi(i32::from(scale));
    let measured = |key: u128| of_float(to_wide(key) as f64 / factor);
    let edges = match making.frame.and_then(|frame| frame.edges.clone()) {
        Some(edges) => edges,
        None => edges_of(Scale::Float, measured(low), measured(high), making),
    };
    let questions =
        Questions { edges: &edges, quantiles: &PERCENTS.map(|percent| f64::from(percent) / 100.0), top: TOP };
    let found = spread(set, &questions, making.task, measured, to_float)?;
    let shown = |key: u128| Json::from(show::decimal(to_wide(key), scale));
    let between = |&(below, above, share): &(u128, u128, f64)| {
        let (below, above) = (to_float(measured(below)), to_float(measured(above)));
        below + (above - below) * share
    };
    let quantiles: Map<String, Json> = PERCENTS
        .iter()
        .zip(&found.quantiles)
        .map(|(percent, place)| (format!("{:.2}", f64::from(*percent) / 100.0), json!(between(place))))
        .collect();
    fields.insert("min".into(), shown(low));
    fields.insert("max".into(), shown(high));
    fields.insert("mean".into(), json!(rounded(found.mean)));
    fields.insert(
        "median".into(),
        found.quantiles.get(MEDIAN).map_or(Json::Null, |place| json!(rounded(between(place)))),
    );
    fields.insert("std".into(), json!(found.std.map(rounded)));
    let shown_edges: Vec<f64> = edges.iter().map(|&edge| rounded(to_float(edge))).collect();
    fields.insert("histogram".into(), json!({"hist": found.bins, "bin_edges": shown_edges}));
    Ok(Figures {
        statistics: fields.into(),
        distinct: Some(found.distinct),
        count: found.count,
        quantiles: Some(quantiles.into()),
        top: found.top.iter().map(|&(key, count)| (shown(key), count)).collect(),
        frame: Frame { edges: Some(edges), ..Frame::default() },
    })
}

/// The most frequent keys of a multiset, and how many distinct ones there are.
///
/// # Errors
/// Those of [`spread`].
pub(super) fn most_frequent<K: Key>(set: &Multiset<K>, task: &Task) -> Result<Spread<K>, EngineError> {
    spread(set, &Questions { edges: &[], quantiles: &[], top: TOP }, task, |_| 0, |_| 0.0)
}

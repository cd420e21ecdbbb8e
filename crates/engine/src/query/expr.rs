//! Expressions as they are written, before anything is known of the columns.

use super::wrong;
use crate::error::EngineError;

/// Levels that an expression may have: evaluation goes down as many.
pub(super) const MAX_DEPTH: usize = 64;

/// A part of a filter or of an order.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Expr {
    pub(super) kind: Kind,
    /// The character it begins at, from 1.
    pub(super) at: usize,
    /// Levels below and including this one.
    depth: usize,
}

/// What can be written.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Kind {
    Null,
    Boolean(bool),
    /// Digits, perhaps with point and exponent.
    Number(String),
    Text(String),
    /// A column, and fields of it.
    Column(Vec<String>),
    /// `[1, 2]`
    List(Vec<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Compare(Comparison, Box<[Expr; 2]>),
    Arithmetic(Operator, Box<[Expr; 2]>),
    /// `IS [NOT] NULL`
    IsNull(Box<Expr>, bool),
    /// `IS [NOT] TRUE`, `IS [NOT] FALSE`
    IsTruth {
        value: Box<Expr>,
        truth: bool,
        negated: bool,
    },
    In {
        value: Box<Expr>,
        items: Vec<Expr>,
        negated: bool,
    },
    /// Inclusive at both ends.
    Between {
        parts: Box<[Expr; 3]>,
        negated: bool,
    },
    Match {
        pattern: Pattern,
        parts: Box<[Expr; 2]>,
        escape: Option<char>,
        negated: bool,
    },
    Cast {
        value: Box<Expr>,
        to: TypeName,
        or_null: bool,
    },
    /// `name(…)` and `value.name(…)` alike; the name in lower case.
    Call {
        name: String,
        arguments: Vec<Expr>,
    },
    /// `value[index]`, from 1; negative from the end.
    Index(Box<[Expr; 2]>),
}

/// How two values are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Not equal, where nulls are values.
    Distinct,
    /// Equal, where nulls are values.
    NotDistinct,
}

impl Comparison {
    /// The same with its sides exchanged.
    pub(super) fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }

    /// True for those that need an order, not only equality.
    pub(super) fn is_ordering(self) -> bool {
        matches!(self, Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual)
    }
}

/// Operators that make a value of two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    /// Always of floating-point numbers.
    Divide,
    /// Without the fraction.
    DivideWhole,
    Remainder,
    Power,
    Concatenate,
}

impl Operator {
    /// As it is written.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::DivideWhole => "//",
            Self::Remainder => "%",
            Self::Power => "^",
            Self::Concatenate => "||",
        }
    }
}

/// Languages of patterns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pattern {
    /// `%` any text, `_` one character.
    Like,
    /// The same, upper and lower case alike.
    ILike,
    /// `*`, `?`, `[a-z]`, `[!a]`.
    Glob,
    /// A regular expression that the whole text fits.
    Regex,
}

/// Types that values can be cast to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TypeName {
    Boolean,
    /// Any width of signed or unsigned integers, with its bounds.
    Integer {
        min: i128,
        max: i128,
    },
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: i8,
    },
    Text,
    Date,
    Time,
    Timestamp,
    Zoned,
    Duration,
    Json,
}

impl Expr {
    /// An expression at a place, unless it has too many levels.
    ///
    /// # Errors
    /// [`Query`](crate::ErrorKind::Query).
    pub(super) fn new(kind: Kind, at: usize) -> Result<Self, EngineError> {
        let depth = 1 + kind.children().iter().map(|child| child.depth).max().unwrap_or(0);
        if depth > MAX_DEPTH {
            return Err(wrong(at, format!("the expression is nested more than {MAX_DEPTH} levels deep; simplify it")));
        }
        Ok(Self { kind, at, depth })
    }
}

impl Kind {
    fn children(&self) -> Vec<&Expr> {
        match self {
            Self::Null | Self::Boolean(_) | Self::Number(_) | Self::Text(_) | Self::Column(_) => Vec::new(),
            Self::Not(inner) | Self::Negate(inner) | Self::IsNull(inner, _) => vec![inner],
            Self::IsTruth { value, .. } | Self::Cast { value, .. } => vec![value],
            Self::List(items) | Self::And(items) | Self::Or(items) => items.iter().collect(),
            Self::Call { arguments, .. } => arguments.iter().collect(),
            Self::Compare(_, pair) | Self::Arithmetic(_, pair) | Self::Index(pair) => pair.iter().collect(),
            Self::Match { parts, .. } => parts.iter().collect(),
            Self::Between { parts, .. } => parts.iter().collect(),
            Self::In { value, items, .. } => std::iter::once(&**value).chain(items).collect(),
        }
    }
}

/// One key of an order.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct OrderKey {
    pub(super) value: Expr,
    pub(super) descending: bool,
    pub(super) nulls_first: bool,
}

//! The calls behind queries in SQL. Carried out by programs that come with a query engine.

use belvedere_domain::Features;
use serde::{Deserialize, Serialize};

use super::{Format, ParquetFile, Piece};

/// See [`Call::SqlTables`](super::Call::SqlTables).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SqlTables {
    /// The query.
    pub sql: String,
}

/// See [`Call::SqlTables`](super::Call::SqlTables).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SqlTableList {
    /// Each name once, in alphabetical order.
    pub tables: Vec<SqlName>,
}

/// A table as a query names it: one to three parts, without quotes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SqlName(pub Vec<String>);

/// See [`Call::Sql`](super::Call::Sql).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sql {
    /// One statement that only reads.
    pub sql: String,
    /// What its tables are.
    pub tables: Vec<SqlTable>,
    /// Rows of the answer. The result may have more.
    pub max_rows: usize,
    /// Bytes of the answer, passed by less than a thousand rows.
    pub max_bytes: usize,
    /// Bytes that joins, sorts and groups may hold in memory.
    pub memory_bytes: usize,
    /// How the rows are given.
    pub format: Format,
    /// Tell the plan, too.
    pub plan: bool,
}

/// A split under the name that a query uses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SqlTable {
    /// The name.
    pub name: SqlName,
    /// The Parquet files of the split in order.
    pub files: Vec<ParquetFile>,
    /// Its columns; `None`: those of the first file.
    pub features: Option<Features>,
}

/// See [`Call::Sql`](super::Call::Sql).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SqlResult {
    /// The columns of the result.
    pub features: Features,
    /// Its rows.
    pub piece: Piece,
    /// Number of rows given.
    pub num_rows: usize,
    /// The result has more rows than were given.
    pub truncated: bool,
    /// The plan, if asked for.
    pub plan: Option<SqlPlan>,
}

/// How a query is carried out, as indented text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SqlPlan {
    /// What is computed.
    pub logical: String,
    /// How it is computed.
    pub physical: String,
}

//! From text to one statement that only reads, and the tables that it names.

use belvedere_engine::EngineError;
use belvedere_engine::call::{SqlName, SqlTableList, SqlTables};
use datafusion::common::TableReference;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::Statement as Ast;
use datafusion::sql::sqlparser::dialect::DuckDbDialect;

use crate::error::{refused, told};

/// Levels of nesting.
const MAX_DEPTH: usize = 50;
/// A chain of many terms is a deep tree without any nesting, which is taken apart term by term on the stack.
pub(crate) const STACK_BYTES: usize = 64 << 20;

/// The tables that a query names, as far as it can be read.
///
/// # Errors
/// [`Query`](belvedere_engine::ErrorKind::Query) with line and column when it is no SQL, more than one statement, or
/// anything but a query.
pub fn tables(call: &SqlTables) -> Result<SqlTableList, EngineError> {
    let named = || {
        let statement = parse(&call.sql)?;
        let (tables, _) = resolve_table_references(&statement, false).map_err(told)?;
        Ok(SqlTableList { tables: tables.iter().map(name_of).collect() })
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, named)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Reads the one statement of a text.
///
/// # Errors
/// As [`tables`].
pub(crate) fn parse(sql: &str) -> Result<Statement, EngineError> {
    let parser = DFParserBuilder::new(sql).with_dialect(&DuckDbDialect {}).with_recursion_limit(MAX_DEPTH);
    let mut statements = parser.build().and_then(|mut parser| parser.parse_statements()).map_err(told)?;
    let statement = statements.pop_front();
    match statement {
        None => Err(refused("the query is empty")),
        Some(_) if !statements.is_empty() => Err(refused("there is more than one statement; send one at a time")),
        Some(Statement::Statement(ast)) if matches!(*ast, Ast::Query(_)) => Ok(Statement::Statement(ast)),
        Some(Statement::Explain(_)) => Err(refused("to see the plan, send the query with `\"plan\": true`")),
        Some(_) => Err(refused("only queries are answered: `SELECT …` or `WITH … SELECT …`")),
    }
}

fn name_of(table: &TableReference) -> SqlName {
    let parts = [table.catalog(), table.schema(), Some(table.table())];
    SqlName(parts.into_iter().flatten().map(str::to_owned).collect())
}

/// The name as DataFusion has it.
pub(crate) fn reference_of(name: &SqlName) -> Option<TableReference> {
    match name.0.as_slice() {
        [table] => Some(TableReference::bare(table.as_str())),
        [schema, table] => Some(TableReference::partial(schema.as_str(), table.as_str())),
        [catalog, schema, table] => Some(TableReference::full(catalog.as_str(), schema.as_str(), table.as_str())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(sql: &str) -> Result<Vec<String>, String> {
        let tables = tables(&SqlTables { sql: sql.to_owned() }).map_err(|error| error.to_string())?;
        Ok(tables.tables.into_iter().map(|name| name.0.join(" / ")).collect())
    }

    #[test]
    fn names_are_found_wherever_they_stand() {
        let sql = r#"
            WITH small AS (SELECT * FROM "local/Penguins"."default"."train" WHERE mass < 1)
            SELECT * FROM small JOIN "local/islands" USING (island)
            WHERE name IN (SELECT name FROM "local/names".test) UNION ALL SELECT 1"#;
        assert_eq!(named(sql).unwrap(), ["local/islands", "local/names / test", "local/Penguins / default / train"]);
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        assert_eq!(named("SELECT (1\nFROM t").unwrap_err(), "line 2, column 1: Expected: ), found: FROM");
    }

    #[test]
    fn nothing_but_one_query_is_taken() {
        for sql in [
            "",
            "-- nothing",
            "SELECT 1; SELECT 2",
            "INSERT INTO t VALUES (1)",
            "UPDATE t SET a = 1",
            "DELETE FROM t",
            "DROP TABLE t",
            "CREATE TABLE t AS SELECT 1",
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
            "COPY (SELECT 1) TO '/tmp/x.csv'",
            "SET datafusion.execution.batch_size = 1",
            "RESET datafusion.execution.batch_size",
            "SHOW ALL",
            "SHOW TABLES",
            "EXPLAIN SELECT 1",
            "BEGIN",
            "PREPARE p AS SELECT 1",
            "DESCRIBE t",
        ] {
            assert!(named(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_not_followed() {
        let sql = format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(named(&sql).unwrap_err().contains("nest"), "{:?}", named(&sql));
    }
}

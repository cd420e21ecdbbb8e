//! What happened in a database, recorded by itself: every write of a pointer, and every crash that was counted.

use crate::bed::Bed;

/// Triggers that record.
pub(crate) const RECORD: &str = "
    CREATE TABLE history (
        what TEXT NOT NULL, dataset TEXT NOT NULL, revision TEXT NOT NULL, step TEXT NOT NULL, config TEXT NOT NULL,
        split TEXT NOT NULL
    );
    CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO history VALUES (TG_ARGV[0], NEW.dataset, NEW.revision, NEW.step, NEW.config, NEW.split);
        RETURN NULL;
    END
    $$;
    CREATE TRIGGER record_view AFTER INSERT OR UPDATE ON pointers FOR EACH ROW EXECUTE FUNCTION record('view');
    CREATE TRIGGER record_crash AFTER UPDATE ON jobs FOR EACH ROW WHEN (NEW.crashes > OLD.crashes)
        EXECUTE FUNCTION record('crash');
";

impl Bed {
    /// How often something happened to a step of a dataset, at any revision.
    pub(crate) fn times(&self, what: &str, dataset: &str, step: &str) -> i64 {
        let sql = "SELECT count(*) FROM history WHERE what = $1 AND dataset = $2 AND step = $3";
        self.count(sql, &[&what, &dataset, &step])
    }

    /// How many artifacts were written more than once at one revision, among the steps that have one trigger: the
    /// others are written again when another of their parents is.
    pub(crate) fn written_twice(&self) -> i64 {
        let sql = "SELECT count(*) FROM (
                       SELECT FROM history
                       WHERE what = 'view' AND step IN ('dataset-config-names', 'config-parquet-and-info',
                                                        'config-parquet', 'config-info', 'config-size')
                       GROUP BY dataset, revision, step, config, split HAVING count(*) > 1
                   ) AS twice";
        self.count(sql, &[])
    }

    fn count(&self, sql: &str, values: &[&(dyn tokio_postgres::types::ToSql + Sync)]) -> i64 {
        self.runtime.block_on(async {
            let client = self.database.as_ref().unwrap().client().await;
            client.query_one(sql, values).await.unwrap().get(0)
        })
    }
}

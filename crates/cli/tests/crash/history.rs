//! What happened in a database, recorded by itself: every view that was pointed at, and every lease that was given, lost
//! or ended. And what may be said of any such history.

use std::collections::{BTreeMap, HashMap};

use crate::bed::Bed;

/// Triggers that record, for PostgreSQL.
pub(crate) const POSTGRESQL: &str = "
    CREATE TABLE history (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what TEXT NOT NULL, dataset TEXT NOT NULL,
        revision TEXT NOT NULL, step TEXT NOT NULL, config TEXT NOT NULL, split TEXT NOT NULL, job BIGINT, token BIGINT,
        status BIGINT, change BIGINT NOT NULL DEFAULT txid_current()
    );
    CREATE FUNCTION record_view() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO history (what, dataset, revision, step, config, split, token, status)
        VALUES ('view', NEW.dataset, NEW.revision, NEW.step, NEW.config, NEW.split, NEW.view,
                (SELECT http_status FROM views WHERE id = NEW.view));
        RETURN NULL;
    END
    $$;
    CREATE FUNCTION record_content() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO history (what, dataset, revision, step, config, split, token, status)
        VALUES ('content', '', '', '', '', '', NEW.id, NEW.http_status);
        RETURN NULL;
    END
    $$;
    CREATE TRIGGER record_content AFTER INSERT OR UPDATE ON views FOR EACH ROW EXECUTE FUNCTION record_content();
    CREATE FUNCTION record_job() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        v_job jobs := CASE WHEN TG_ARGV[1] = 'old' THEN OLD ELSE NEW END;
    BEGIN
        INSERT INTO history (what, dataset, revision, step, config, split, job, token)
        VALUES (TG_ARGV[0], v_job.dataset, v_job.revision, v_job.step, v_job.config, v_job.split, v_job.id, v_job.token);
        RETURN NULL;
    END
    $$;
    CREATE TRIGGER record_view AFTER INSERT OR UPDATE ON pointers FOR EACH ROW EXECUTE FUNCTION record_view();
    CREATE TRIGGER record_crash AFTER UPDATE ON jobs FOR EACH ROW WHEN (NEW.crashes > OLD.crashes)
        EXECUTE FUNCTION record_job('crash', 'new');
    CREATE TRIGGER record_start AFTER UPDATE ON jobs FOR EACH ROW WHEN (NEW.status = 1 AND NEW.token <> OLD.token)
        EXECUTE FUNCTION record_job('start', 'new');
    CREATE TRIGGER record_back AFTER UPDATE ON jobs FOR EACH ROW WHEN (OLD.status = 1 AND NEW.status = 0)
        EXECUTE FUNCTION record_job('back', 'old');
    CREATE TRIGGER record_end AFTER DELETE ON jobs FOR EACH ROW WHEN (OLD.status = 1)
        EXECUTE FUNCTION record_job('end', 'old');
";

/// The same for SQLite. Changes follow one another there: what was written last tells which job's end it was.
pub(crate) const SQLITE: &str = "
    CREATE TABLE IF NOT EXISTS history (
        id INTEGER PRIMARY KEY, what TEXT NOT NULL, dataset TEXT NOT NULL, revision TEXT NOT NULL, step TEXT NOT NULL,
        config TEXT NOT NULL, split TEXT NOT NULL, job INTEGER, token INTEGER, status INTEGER
    );
    CREATE TRIGGER record_view AFTER INSERT ON pointers BEGIN
        INSERT INTO history (what, dataset, revision, step, config, split, token, status)
        VALUES ('view', NEW.dataset, NEW.revision, NEW.step, NEW.config, NEW.split, NEW.view,
                (SELECT http_status FROM views WHERE id = NEW.view));
    END;
    CREATE TRIGGER record_moved_view AFTER UPDATE ON pointers BEGIN
        INSERT INTO history (what, dataset, revision, step, config, split, token, status)
        VALUES ('view', NEW.dataset, NEW.revision, NEW.step, NEW.config, NEW.split, NEW.view,
                (SELECT http_status FROM views WHERE id = NEW.view));
    END;
    CREATE TRIGGER record_content AFTER INSERT ON views BEGIN
        INSERT INTO history (what, dataset, revision, step, config, split, token, status)
        VALUES ('content', '', '', '', '', '', NEW.id, NEW.http_status);
    END;
    CREATE TRIGGER record_new_content AFTER UPDATE ON views BEGIN
        INSERT INTO history (what, dataset, revision, step, config, split, token, status)
        VALUES ('content', '', '', '', '', '', NEW.id, NEW.http_status);
    END;
    CREATE TRIGGER record_drop AFTER DELETE ON views BEGIN
        INSERT INTO history (what, dataset, revision, step, config, split, token)
        VALUES ('drop', '', '', '', '', '', OLD.id);
    END;
    CREATE TRIGGER record_start AFTER UPDATE ON jobs WHEN NEW.status = 1 AND NEW.token <> OLD.token BEGIN
        INSERT INTO history (what, dataset, revision, step, config, split, job, token)
        VALUES ('start', NEW.dataset, NEW.revision, NEW.step, NEW.config, NEW.split, NEW.id, NEW.token);
    END;
    CREATE TRIGGER record_back AFTER UPDATE ON jobs WHEN OLD.status = 1 AND NEW.status = 0 BEGIN
        INSERT INTO history (what, dataset, revision, step, config, split, job, token)
        VALUES ('back', OLD.dataset, OLD.revision, OLD.step, OLD.config, OLD.split, OLD.id, OLD.token);
    END;
    CREATE TRIGGER record_end AFTER DELETE ON jobs WHEN OLD.status = 1 BEGIN
        INSERT INTO history (what, dataset, revision, step, config, split, job, token)
        VALUES ('end', OLD.dataset, OLD.revision, OLD.step, OLD.config, OLD.split, OLD.id, OLD.token);
    END;
";

/// The step whose views are costly: nobody computes one that is stored.
const COSTLY: &str = "config-parquet-and-info";

/// One thing that happened.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Event {
    /// `view` (is pointed at), `content` (of a view is stored), `drop` (a view is; only on SQLite, which gives its number
    /// to another one), `start`, `back`, `end` or `crash`.
    pub(crate) what: String,
    /// Dataset, revision, step, config, split.
    pub(crate) key: [String; 5],
    pub(crate) job: Option<i64>,
    /// Of a lease; for views and contents the number of the view.
    pub(crate) token: Option<i64>,
    /// HTTP status of a view or content.
    pub(crate) status: Option<i64>,
    /// Events of one transaction share it; `None` where it is not known.
    pub(crate) change: Option<i64>,
}

/// What in a history must not be, one line each: leases of one work that overlap or end under another token, views that no
/// lease stands behind, and costly views that were computed though they were stored.
pub(crate) fn faults_of(events: &[Event]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut leases: HashMap<&[String; 5], (i64, i64)> = HashMap::new();
    // Views by their number and how often it was given before.
    let mut given: HashMap<i64, u32> = HashMap::new();
    let mut contents: HashMap<(i64, u32), u32> = HashMap::new();
    let mut costly: BTreeMap<(i64, u32), &[String; 5]> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        let lease = event.job.zip(event.token);
        let held = leases.get(&event.key).copied();
        let number = event.token.unwrap_or_default();
        let view = (number, given.get(&number).copied().unwrap_or_default());
        match (event.what.as_str(), lease) {
            ("start", Some(lease)) => {
                // A job that is given up gets another token while it counts as started.
                if held.is_some_and(|held| held.0 != lease.0) {
                    faults.push(format!("two leases at once: {event:?}"));
                }
                leases.insert(&event.key, lease);
            }
            ("back" | "end", Some(lease)) => {
                if held != Some(lease) {
                    faults.push(format!("the lease that ends is not the one that was given ({held:?}): {event:?}"));
                }
                leases.remove(&event.key);
            }
            ("view", _) if !stands_behind(events, index) => {
                faults.push(format!("no job ended with this view: {event:?}"));
            }
            // After a failure it is computed again.
            ("content", _) if event.status == Some(200) => {
                *contents.entry(view).or_default() += 1;
            }
            ("view", _) if event.key[2] == COSTLY && event.status == Some(200) => drop(costly.insert(view, &event.key)),
            ("drop", _) => *given.entry(number).or_default() += 1,
            _ => {}
        }
    }
    let times = |view: &(i64, u32)| contents.get(view).copied().unwrap_or_default();
    let twice = costly.iter().filter(|(view, _)| times(view) > 1);
    faults.extend(twice.map(|(view, key)| format!("computed {} times: {key:?}", times(view))));
    faults
}

/// Whether a job of the same dataset and revision ended in the change that stored a view.
fn stands_behind(events: &[Event], view: usize) -> bool {
    let is_end = |event: &Event| event.what == "end" && event.key[..2] == events[view].key[..2];
    match events[view].change {
        Some(change) => events.iter().any(|event| event.change == Some(change) && is_end(event)),
        None => events[..view].iter().rev().find(|event| event.job.is_some()).is_some_and(is_end),
    }
}

impl Bed {
    /// How often something happened to a step of a dataset, at any revision.
    pub(crate) fn times(&self, what: &str, dataset: &str, step: &str) -> i64 {
        let sql = "SELECT count(*) FROM history WHERE what = $1 AND dataset = $2 AND step = $3";
        self.runtime.block_on(async {
            let client = self.database.as_ref().unwrap().client().await;
            client.query_one(sql, &[&what, &dataset, &step]).await.unwrap().get(0)
        })
    }

    /// Records what happens in the SQLite file, which is made. To be called before a server has it.
    pub(crate) fn record(&self) {
        drop(self.left_store());
        rusqlite::Connection::open(self.file()).unwrap().execute_batch(SQLITE).unwrap();
    }

    /// The jobs that wait or run and the views that are errors, one line each.
    pub(crate) fn left_to_do(&self) -> Vec<String> {
        let sql = "
            SELECT 'job ' || dataset || ' ' || revision || ' ' || step || ' status ' || status || ' attempt ' || attempt
                   || ' crashes ' || crashes || ' not before ' || coalesce(not_before, 0) || ' lease until '
                   || coalesce(expires_at, 0) || ' of ' || coalesce(owner, '')
            FROM jobs
            UNION ALL
            SELECT 'error ' || p.dataset || ' ' || p.revision || ' ' || p.step || ' ' || p.failed_runs || ' runs '
                   || v.error_code || ' ' || v.details
            FROM pointers p JOIN views v ON v.id = p.view WHERE v.http_status <> 200";
        if let Some(database) = &self.database {
            let rows = self.runtime.block_on(async { database.client().await.query(sql, &[]).await.unwrap() });
            return rows.iter().map(|row| row.get(0)).collect();
        }
        let connection = rusqlite::Connection::open(self.file()).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let lines = statement.query_map([], |row| row.get(0)).unwrap();
        lines.map(Result::unwrap).collect()
    }

    /// What happened so far. On SQLite only once the server has ended.
    pub(crate) fn events(&self) -> Vec<Event> {
        let columns = "what, dataset, revision, step, config, split, job, token, status";
        if let Some(database) = &self.database {
            let sql = format!("SELECT {columns}, change FROM history ORDER BY id");
            let rows = self.runtime.block_on(async { database.client().await.query(&sql, &[]).await.unwrap() });
            let event = |row: &tokio_postgres::Row| Event {
                what: row.get(0),
                key: std::array::from_fn(|index| row.get(index + 1)),
                job: row.get(6),
                token: row.get(7),
                status: row.get(8),
                change: row.get(9),
            };
            return rows.iter().map(event).collect();
        }
        let connection = rusqlite::Connection::open(self.file()).unwrap();
        let mut statement = connection.prepare(&format!("SELECT {columns} FROM history ORDER BY id")).unwrap();
        let event = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Event> {
            Ok(Event {
                what: row.get(0)?,
                key: [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?],
                job: row.get(6)?,
                token: row.get(7)?,
                status: row.get(8)?,
                change: None,
            })
        };
        let events = statement.query_map([], event).unwrap();
        events.map(Result::unwrap).collect()
    }
}

#[test]
fn faults_of_a_history_are_found() {
    let event = |what: &str, job: i64, token: i64, change: i64| Event {
        what: what.to_owned(),
        key: ["lab/a", "r", COSTLY, "default", ""].map(str::to_owned),
        job: (job > 0).then_some(job),
        token: Some(token),
        status: matches!(what, "view" | "content").then_some(200),
        change: Some(change),
    };
    let good = [event("start", 1, 10, 1), event("back", 1, 10, 2), event("start", 1, 11, 3)];
    let end = [event("content", 0, 7, 4), event("view", 0, 7, 4), event("end", 1, 11, 4)];
    let good = [&good[..], &end[..]].concat();
    assert_eq!(faults_of(&good), Vec::<String>::new());
    let overlap = [event("start", 1, 10, 1), event("start", 2, 11, 2)];
    assert!(faults_of(&overlap)[0].starts_with("two leases at once"));
    let stale = [event("start", 1, 10, 1), event("end", 1, 9, 2)];
    assert!(faults_of(&stale)[0].starts_with("the lease that ends"));
    assert!(faults_of(&[event("view", 0, 7, 1)])[0].starts_with("no job ended"));
    // Somebody points at it again, which costs nothing.
    let again = [event("start", 2, 12, 5), event("view", 0, 7, 6), event("end", 2, 12, 6)];
    assert_eq!(faults_of(&[&good[..], &again[..]].concat()), Vec::<String>::new());
    let computed = [&good[..], &[event("content", 0, 7, 6)], &again[..]].concat();
    assert!(faults_of(&computed)[0].starts_with("computed 2 times"));
    let another = [event("drop", 0, 7, 6), event("content", 0, 7, 7), event("view", 0, 7, 7), event("end", 2, 12, 7)];
    assert_eq!(faults_of(&[&good[..], &again[..1], &another[..]].concat()), Vec::<String>::new());
    let failed = Event { status: Some(500), ..event("content", 0, 7, 0) };
    assert_eq!(faults_of(&[&[failed], &good[..]].concat()), Vec::<String>::new());
}

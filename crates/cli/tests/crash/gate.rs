//! A gate before the end of conversions: whoever comes to it stands still in the middle of a transaction.

use tokio_postgres::Client;

use crate::bed::Bed;
use crate::process::until;

/// Closed as long as nobody opens it.
pub(crate) struct Gate {
    /// Holds it shut.
    holder: Client,
    observer: Client,
}

impl Bed {
    /// Nobody can store the view of a conversion from now on.
    pub(crate) fn close_gate(&self) -> Gate {
        let client = || self.runtime.block_on(self.database.as_ref().unwrap().client());
        let gate = Gate { holder: client(), observer: client() };
        let sql = |text: &'static str| self.runtime.block_on(gate.holder.batch_execute(text)).unwrap();
        sql("CREATE TABLE gate (step TEXT)");
        sql("CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN LOCK TABLE gate IN SHARE MODE; RETURN NULL; END $$");
        sql("CREATE TRIGGER wait_at_gate AFTER INSERT ON pointers FOR EACH ROW
             WHEN (NEW.step = 'config-parquet-and-info') EXECUTE FUNCTION wait_at_gate()");
        sql("BEGIN; LOCK TABLE gate IN ACCESS EXCLUSIVE MODE");
        gate
    }
}

impl Gate {
    /// The connections that stand before it, once there are some.
    pub(crate) fn wait_for_somebody(&self, bed: &Bed) -> Vec<i32> {
        let waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
                       AND application_name = 'belvedere'";
        until("the result is about to be committed", || {
            let rows = bed.runtime.block_on(self.observer.query(waiting, &[])).unwrap();
            (!rows.is_empty()).then(|| rows.iter().map(|row| row.get(0)).collect())
        })
    }

    /// Ends the connections that stand before it.
    pub(crate) fn cut_those_who_wait(&self, bed: &Bed) {
        let waiting = self.wait_for_somebody(bed);
        let sql = "SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid";
        bed.runtime.block_on(self.observer.execute(sql, &[&waiting])).unwrap();
    }

    /// Lets everybody through.
    pub(crate) fn open(self, bed: &Bed) {
        let sql = "ROLLBACK; DROP TRIGGER wait_at_gate ON pointers";
        bed.runtime.block_on(self.holder.batch_execute(sql)).unwrap();
    }
}

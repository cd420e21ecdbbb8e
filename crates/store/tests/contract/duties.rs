//! What one process does for all.

use belvedere_store::{Duty, Store};

use crate::bed::Bed;

async fn begin(bed: &Bed, owner: &str) -> Option<Duty> {
    bed.store.housekeeping.begin_duty("sweep", owner, 3600.0, 60.0).await.unwrap()
}

pub(crate) async fn a_duty_is_taken_by_one_and_not_again_before_it_is_due(bed: &Bed) {
    let duty = begin(bed, "one").await.unwrap();
    assert_eq!(duty.done_at, None);
    assert!(begin(bed, "two").await.is_none(), "it is in hand");
    assert!(begin(bed, "one").await.is_none(), "also for who has it");
    assert!(
        bed.store.housekeeping.begin_duty("other", "two", 1.0, 60.0).await.unwrap().is_some(),
        "another one is not"
    );
    assert!(bed.store.housekeeping.keep_duty(&duty, 60.0).await.unwrap());
    assert!(bed.store.housekeeping.end_duty(&duty, "3 removed").await.unwrap());
    assert!(begin(bed, "two").await.is_none(), "it was done just now");
    bed.sql("UPDATE duties SET done_at = done_at - 3500000000 WHERE name = 'sweep'").await;
    assert!(begin(bed, "two").await.is_none(), "not yet");
    bed.sql("UPDATE duties SET done_at = done_at - 200000000 WHERE name = 'sweep'").await;
    let again = begin(bed, "two").await.unwrap();
    assert!(again.done_at.is_some() && again.token > duty.token);
}

pub(crate) async fn a_duty_is_taken_over_when_its_lease_runs_out(bed: &Bed) {
    let lost = begin(bed, "one").await.unwrap();
    bed.sql("UPDATE duties SET expires_at = 1").await;
    let taken = begin(bed, "two").await.unwrap();
    assert!(taken.token > lost.token);
    let listed = bed.store.housekeeping.duties().await.unwrap();
    assert_eq!(listed[0].owner.as_deref(), Some("two"));
}

pub(crate) async fn whoever_lost_a_duty_changes_nothing(bed: &Bed) {
    let lost = begin(bed, "one").await.unwrap();
    bed.sql("UPDATE duties SET expires_at = 1").await;
    assert!(bed.store.housekeeping.keep_duty(&lost, 60.0).await.unwrap(), "late, but nobody else came");
    bed.sql("UPDATE duties SET expires_at = 1").await;
    let taken = begin(bed, "two").await.unwrap();
    let housekeeping = &bed.store.housekeeping;
    assert!(!housekeeping.keep_duty(&lost, 60.0).await.unwrap());
    assert!(!housekeeping.end_duty(&lost, "late").await.unwrap());
    housekeeping.drop_duty(&lost).await.unwrap();
    assert!(begin(bed, "three").await.is_none(), "two still has it");
    assert!(housekeeping.end_duty(&taken, "done").await.unwrap());
    assert!(!housekeeping.end_duty(&taken, "done twice").await.unwrap());
    assert!(!housekeeping.keep_duty(&taken, 60.0).await.unwrap(), "it was put down");
    assert_eq!(housekeeping.duties().await.unwrap()[0].outcome, "done");
}

pub(crate) async fn a_duty_that_was_not_done_is_free(bed: &Bed) {
    let duty = begin(bed, "one").await.unwrap();
    bed.store.housekeeping.drop_duty(&duty).await.unwrap();
    let next = begin(bed, "two").await.unwrap();
    assert_eq!(next.done_at, None);
}

pub(crate) async fn many_ask_one_gets_the_duty(bed: &Bed) {
    // On PostgreSQL from two processes.
    let other = if bed.is_postgres() { Store::connect(&bed.url).await.unwrap() } else { bed.store.clone() };
    for round in 0..5 {
        let asks = (0..16).map(|n| {
            let store = if n % 2 == 0 { bed.store.clone() } else { other.clone() };
            async move { store.housekeeping.begin_duty(&format!("r{round}"), "one", 0.0, 60.0).await.unwrap() }
        });
        let taken = futures::future::join_all(asks).await.into_iter().flatten().count();
        assert_eq!(taken, 1);
    }
}

pub(crate) async fn duties_are_listed(bed: &Bed) {
    assert!(bed.store.housekeeping.duties().await.unwrap().is_empty());
    let duty = begin(bed, "one").await.unwrap();
    let listed = bed.store.housekeeping.duties().await.unwrap();
    assert_eq!((listed[0].name.as_str(), listed[0].owner.as_deref(), listed[0].done_at), ("sweep", Some("one"), None));
    bed.store.housekeeping.end_duty(&duty, "2 removed").await.unwrap();
    let listed = bed.store.housekeeping.duties().await.unwrap();
    assert_eq!((listed[0].owner.as_deref(), listed[0].outcome.as_str()), (None, "2 removed"));
    assert!(listed[0].done_at.is_some());
}

use axum::body::to_bytes;

use super::*;
use crate::metrics::Metrics;

fn question(text: &str) -> Question {
    Question { text: text.to_owned(), asked: Instant::now() }
}

fn make(remembered: &Remembered, text: &str, changes: u64) -> Making {
    match remembered.turn(question(text), changes, false) {
        Turn::Make(making) => making,
        _ => panic!("{text} is known or being made"),
    }
}

async fn keep(remembered: &Remembered, making: Making, text: &str) {
    let response = allow(Response::new(Body::from(text.to_owned())));
    remembered.keep(making, response, || Metrics::new(false).successes("GET", "/size")).await;
}

async fn known(remembered: &Remembered, text: &str, changes: u64) -> Option<String> {
    let answer = remembered.get(&question(text), changes)?;
    let bytes = to_bytes(answer.response().into_body(), usize::MAX).await.unwrap();
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn a_write_makes_all_answers_old() {
    let remembered = Remembered::default();
    keep(&remembered, make(&remembered, "a", 1), "one").await;
    assert_eq!(known(&remembered, "a", 1).await.as_deref(), Some("one"));
    assert_eq!(known(&remembered, "b", 1).await, None);
    let early = make(&remembered, "b", 1);
    assert_eq!(known(&remembered, "a", 2).await, None);
    // Whoever began to read before the write comes too late.
    keep(&remembered, early, "old").await;
    assert_eq!(known(&remembered, "b", 2).await, None);
}

#[tokio::test]
async fn answers_grow_old_by_themselves() {
    let remembered = Remembered::default();
    keep(&remembered, make(&remembered, "a", 0), "one").await;
    let later = Question { asked: Instant::now() + TRUSTED, ..question("a") };
    assert!(remembered.get(&later, 0).is_none());
}

#[tokio::test]
async fn only_what_is_allowed_is_kept() {
    let remembered = Remembered::default();
    let successes = || Metrics::new(false).successes("GET", "/size");
    let plain = remembered.keep(make(&remembered, "a", 0), Response::new(Body::from("one")), successes).await;
    assert_eq!(to_bytes(plain.into_body(), 10).await.unwrap(), "one");
    let mut missing = Response::new(Body::from("none"));
    *missing.status_mut() = StatusCode::NOT_FOUND;
    remembered.keep(make(&remembered, "a", 0), allow(missing), successes).await;
    assert_eq!(known(&remembered, "a", 0).await, None);
}

#[tokio::test]
async fn one_makes_what_several_ask_for_at_the_same_moment() {
    let remembered = Remembered::default();
    let making = make(&remembered, "a", 0);
    let Turn::Wait(waiting, done) = remembered.turn(question("a"), 0, false) else { panic!("nobody makes it") };
    keep(&remembered, making, "one").await;
    done.cancelled().await;
    assert!(matches!(remembered.turn(waiting, 0, true), Turn::Known(_)));

    // A failure is nobody else's: whoever has waited makes it, and later ones wait for a new maker.
    let making = make(&remembered, "b", 0);
    let Turn::Wait(waiting, done) = remembered.turn(question("b"), 0, false) else { panic!("nobody makes it") };
    drop(making);
    done.cancelled().await;
    let Turn::Make(again) = remembered.turn(waiting, 0, true) else { panic!("it waits again") };
    assert!(matches!(remembered.turn(question("b"), 0, false), Turn::Wait(..)));
    // After a write it is another answer, for which nobody waits; the end of the old one is not its end.
    let newer = make(&remembered, "b", 1);
    drop(again);
    assert!(matches!(remembered.turn(question("b"), 1, false), Turn::Wait(..)));
    drop(newer);
    assert!(lock(&remembered.kept).making.is_empty());
}

#[tokio::test]
async fn memory_is_bounded_and_accounted_for() {
    let remembered = Remembered::default();
    let large = "x".repeat(1 << 20);
    for number in 0..40 {
        let text = number.to_string();
        keep(&remembered, make(&remembered, &text, 0), &large).await;
        let later = Question { asked: Instant::now() + TRUSTED, ..question(&text) };
        let Turn::Make(again) = remembered.turn(later, 0, false) else { panic!("it is not old") };
        keep(&remembered, again, &large).await;
        let kept = lock(&remembered.kept);
        assert!(kept.bytes <= MAX_BYTES);
        let held: usize = kept.answers.iter().map(|(text, answer)| size_of(text, answer)).sum();
        assert_eq!(held, kept.bytes);
    }
    keep(&remembered, make(&remembered, "too large", 0), &"x".repeat((1 << 20) + 1)).await;
    assert_eq!(known(&remembered, "too large", 0).await, None);
}

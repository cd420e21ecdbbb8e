//! Users, tokens and sessions.

use belvedere_domain::{Role, Scope, Timestamp, User, UserId, UserName};
use belvedere_store::{NewToken, NewUser, UserChange};

use crate::bed::Bed;

fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

fn new(text: &str, role: Role) -> NewUser {
    NewUser { name: name(text), password: format!("hash of {text}"), role }
}

async fn add(bed: &Bed, text: &str) -> User {
    bed.store.users.add_user(new(text, Role::User)).await.unwrap().unwrap()
}

fn token(id: &str, lifetime_seconds: Option<u32>) -> NewToken {
    let mut sha256 = [0; 32];
    sha256[..id.len()].copy_from_slice(id.as_bytes());
    let scopes = vec![Scope::ReadSome("acme/birds-*".to_owned()), Scope::Tasks];
    NewToken { id: id.to_owned(), name: format!("ÿ'\"; {id}"), sha256, scopes, lifetime_seconds }
}

async fn is_good(bed: &Bed, id: &str) -> bool {
    bed.store.users.use_token(&token(id, None).sha256).await.unwrap().is_some()
}

async fn is_session(bed: &Bed, user: &User, session: &str) -> bool {
    bed.store.users.session_user(user.id, user.version, session).await.unwrap().is_some()
}

pub(crate) async fn a_name_is_given_once(bed: &Bed) {
    let ana = add(bed, "ana").await;
    assert_eq!(bed.store.users.add_user(new("ana", Role::Admin)).await.unwrap(), None);
    let (found, password) = bed.store.users.user(&name("ana")).await.unwrap().unwrap();
    assert_eq!((found, password.as_str()), (ana, "hash of ana"));
    assert_ne!(add(bed, "Ana").await.name, name("ana"), "case counts");
    assert_eq!(bed.store.users.user(&name("ben")).await.unwrap(), None);
}

pub(crate) async fn users_come_back_without_their_password(bed: &Bed) {
    for text in ["zoe", "ana", "a.b+c@d-e"] {
        add(bed, text).await;
    }
    let users = bed.store.users.users().await.unwrap();
    let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["a.b+c@d-e", "ana", "zoe"]);
    assert!(!format!("{users:?}").contains("hash of"));
    assert!(users.iter().all(|user| user.created_at.0 > 0 && user.last_login_at.is_none() && !user.disabled));
}

pub(crate) async fn changes_end_sessions(bed: &Bed) {
    let users = &bed.store.users;
    let mut ana = add(bed, "ana").await;
    let changes = [
        UserChange { password: Some("another".to_owned()), ..UserChange::default() },
        UserChange { role: Some(Role::Admin), ..UserChange::default() },
        UserChange { disabled: Some(true), ..UserChange::default() },
        UserChange { disabled: Some(false), ..UserChange::default() },
    ];
    for change in changes {
        let was_admitted = !ana.disabled;
        assert_eq!(is_session(bed, &ana, "s").await, was_admitted);
        let changed = users.change_user(&ana.name, change.clone()).await.unwrap().unwrap();
        assert!(!is_session(bed, &ana, "s").await, "{change:?}");
        assert_eq!(changed.id, ana.id);
        ana = changed;
    }
    assert_eq!((ana.role, ana.disabled), (Role::Admin, false));
    assert_eq!(users.user(&ana.name).await.unwrap().unwrap().1, "another");
    assert_eq!(users.change_user(&name("nobody"), UserChange::default()).await.unwrap(), None);
}

pub(crate) async fn a_removed_user_comes_back_as_another(bed: &Bed) {
    let users = &bed.store.users;
    let first = add(bed, "ana").await;
    users.add_token(first.id, token("t", None)).await.unwrap().unwrap();
    assert!(users.remove_user(&first.name).await.unwrap());
    assert!(!users.remove_user(&first.name).await.unwrap());
    assert!(!is_session(bed, &first, "s").await);
    let second = add(bed, "ana").await;
    assert!(second.id > first.id);
    assert!(!is_session(bed, &first, "s").await);
    assert!(is_session(bed, &second, "s").await);
    assert!(!is_good(bed, "t").await);
}

pub(crate) async fn logins_are_noted_and_hashes_replaced_once(bed: &Bed) {
    let users = &bed.store.users;
    let ana = add(bed, "ana").await;
    let replace = |old: &str| Some((old.to_owned(), "rehashed".to_owned()));
    users.note_login(ana.id, None).await.unwrap();
    let (noted, password) = users.user(&ana.name).await.unwrap().unwrap();
    assert!(noted.last_login_at.is_some());
    assert_eq!(password, "hash of ana");
    users.note_login(ana.id, replace("changed meanwhile")).await.unwrap();
    assert_eq!(users.user(&ana.name).await.unwrap().unwrap().1, "hash of ana");
    users.note_login(ana.id, replace("hash of ana")).await.unwrap();
    assert_eq!(users.user(&ana.name).await.unwrap().unwrap().1, "rehashed");
    assert!(is_session(bed, &ana, "s").await, "sessions go on");
    users.note_login(UserId(-1), replace("x")).await.unwrap();
}

pub(crate) async fn admins_are_found(bed: &Bed) {
    let users = &bed.store.users;
    add(bed, "ana").await;
    assert!(!users.has_admin().await.unwrap());
    users.add_user(new("root", Role::Admin)).await.unwrap().unwrap();
    assert!(users.has_admin().await.unwrap());
    let disabled = UserChange { disabled: Some(true), ..UserChange::default() };
    users.change_user(&name("root"), disabled).await.unwrap();
    assert!(!users.has_admin().await.unwrap());
}

pub(crate) async fn a_token_is_good_until_it_ends(bed: &Bed) {
    let users = &bed.store.users;
    let ana = add(bed, "ana").await;
    let made = users.add_token(ana.id, token("t1", Some(60))).await.unwrap().unwrap();
    assert_eq!(made.expires_at.unwrap().0 - made.created_at.0, 60_000_000);
    let (found, owner) = users.use_token(&token("t1", None).sha256).await.unwrap().unwrap();
    assert_eq!((&found.name, &found.scopes, owner.id), (&made.name, &token("t1", None).scopes, ana.id));
    bed.sql("UPDATE api_tokens SET expires_at = created_at - 1").await;
    assert!(!is_good(bed, "t1").await);
    assert!(!is_good(bed, "t2").await);
    users.add_token(ana.id, token("t2", None)).await.unwrap().unwrap();
    assert!(is_good(bed, "t2").await);
    assert_eq!(users.add_token(UserId(-1), token("t3", None)).await.unwrap(), None);
}

pub(crate) async fn tokens_go_with_their_owner(bed: &Bed) {
    let users = &bed.store.users;
    let ana = add(bed, "ana").await;
    users.add_token(ana.id, token("t", None)).await.unwrap().unwrap();
    for disabled in [true, false] {
        let change = UserChange { disabled: Some(disabled), ..UserChange::default() };
        users.change_user(&ana.name, change).await.unwrap();
        assert_eq!(is_good(bed, "t").await, !disabled);
    }
    users.remove_user(&ana.name).await.unwrap();
    assert!(!is_good(bed, "t").await);
    assert_eq!(users.tokens(None).await.unwrap(), []);
}

pub(crate) async fn tokens_are_withdrawn_by_their_owner(bed: &Bed) {
    let users = &bed.store.users;
    let (ana, ben) = (add(bed, "ana").await, add(bed, "ben").await);
    for (owner, id) in [(&ben, "b"), (&ana, "a1"), (&ana, "a2")] {
        users.add_token(owner.id, token(id, None)).await.unwrap().unwrap();
    }
    assert!(!users.revoke_token("a1", Some(ben.id)).await.unwrap());
    assert!(!users.revoke_token("", None).await.unwrap());
    assert!(is_good(bed, "a1").await);
    assert!(users.revoke_token("a1", Some(ana.id)).await.unwrap());
    assert!(!is_good(bed, "a1").await);
    assert!(users.revoke_token("b", None).await.unwrap());
    assert!(!is_good(bed, "b").await && is_good(bed, "a2").await);
    let listed = |tokens: Vec<belvedere_domain::ApiToken>| -> Vec<String> {
        let line = |token: &belvedere_domain::ApiToken| {
            format!("{} {} {}", token.owner, token.id, if token.revoked_at.is_some() { "withdrawn" } else { "good" })
        };
        tokens.iter().map(line).collect()
    };
    assert_eq!(listed(users.tokens(None).await.unwrap()), ["ana a1 withdrawn", "ana a2 good", "ben b withdrawn"]);
    assert_eq!(listed(users.tokens(Some(ben.id)).await.unwrap()), ["ben b withdrawn"]);
}

pub(crate) async fn uses_of_a_token_are_noted_now_and_then(bed: &Bed) {
    let users = &bed.store.users;
    let ana = add(bed, "ana").await;
    users.add_token(ana.id, token("t", None)).await.unwrap().unwrap();
    let used = async || users.tokens(None).await.unwrap()[0].last_used_at;
    assert_eq!(used().await, None);
    assert!(is_good(bed, "t").await);
    let first = used().await.unwrap();
    assert!(is_good(bed, "t").await);
    assert_eq!(used().await, Some(first), "a moment later it is not written again");
    bed.sql("UPDATE api_tokens SET last_used_at = last_used_at - 61000000").await;
    assert!(is_good(bed, "t").await);
    assert!(used().await.unwrap() >= first);
}

pub(crate) async fn an_ended_session_stays_ended(bed: &Bed) {
    let users = &bed.store.users;
    let ana = add(bed, "ana").await;
    assert!(is_session(bed, &ana, "one").await);
    let later = Timestamp(ana.created_at.0 + 3_600_000_000);
    users.end_session("one", later).await.unwrap();
    users.end_session("one", later).await.unwrap();
    assert!(!is_session(bed, &ana, "one").await);
    assert!(is_session(bed, &ana, "two").await);
    // What ended long ago is forgotten, which is safe: its token is no longer good.
    users.end_session("old", Timestamp(1)).await.unwrap();
    users.end_session("two", later).await.unwrap();
    assert!(is_session(bed, &ana, "old").await);
    assert!(!is_session(bed, &ana, "one").await && !is_session(bed, &ana, "two").await);
}

pub(crate) async fn secrets_are_shared(bed: &Bed) {
    let users = &bed.store.users;
    assert_eq!(users.shared_secret("sessions", b"first").await.unwrap(), b"first");
    assert_eq!(users.shared_secret("sessions", b"second").await.unwrap(), b"first");
    assert_eq!(users.shared_secret("others", b"second").await.unwrap(), b"second");
    if bed.is_postgres() {
        let other = belvedere_store::Store::connect(&bed.url).await.unwrap();
        assert_eq!(other.users.shared_secret("sessions", b"third").await.unwrap(), b"first");
    }
}

pub(crate) async fn users_of_one_name_at_the_same_moment(bed: &Bed) {
    let adding = (0..20).map(|_| bed.store.users.add_user(new("ana", Role::User)));
    let added = futures::future::join_all(adding).await;
    assert_eq!(added.into_iter().filter(|added| added.as_ref().unwrap().is_some()).count(), 1);
    assert_eq!(bed.store.users.users().await.unwrap().len(), 1);
}

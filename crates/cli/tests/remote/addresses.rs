//! Addresses that are not called, whoever names them (row 110).

use serde_json::json;

use crate::Bed;
use crate::reading::{code_of, squares, tell};

/// e110 | a remote Hub redirects to an address of this machine or of its network, in any spelling, to another scheme, or to an
/// address with a user in it | it is refused when it is resolved, before a connection is made; the answer is `HfHubError`
#[test]
fn e110_redirects_into_the_network_are_refused() {
    let bed = Bed::new();
    let port = bed.hub.storage.rsplit(':').next().unwrap().to_owned();
    let server = bed.serve();
    // All but the last would reach where the Hub keeps large files, as does the address that is allowed: 127.0.0.1.
    let places = [
        format!("http://127.0.0.2:{port}/large/x"),
        format!("http://[::ffff:127.0.0.2]:{port}/large/x"),
        format!("http://2130706434:{port}/large/x"),
        format!("http://0x7f.0.0.2:{port}/large/x"),
        format!("http://0.0.0.0:{port}/large/x"),
        format!("http://hub@127.0.0.1:{port}/large/x"),
        format!("gopher://127.0.0.1:{port}/large/x"),
        "file:///etc/passwd".to_owned(),
        "http://169.254.169.254/latest/meta-data".to_owned(),
    ];
    for (number, place) in places.iter().enumerate() {
        let dataset = format!("ana/away{number}");
        bed.hub.put(&dataset, &[("train.csv", &squares(2000 + u32::try_from(number).unwrap()))]);
        bed.hub.fail(
            &format!("/datasets/{dataset}/resolve/"),
            100,
            &json!({"status": 302, "headers": {"Location": place}}),
        );
        let path = format!("/first-rows?dataset={dataset}&config=default&split=train");
        assert_eq!(code_of(&server, &path), (500, "hfhuberror".to_owned()), "{place}");
    }
    assert_eq!(bed.hub.asked("/large/"), Vec::<String>::new());
}

/// e110 | the address of the Hub itself is private, or a list goes on at another one | the Hub is not called unless
/// `remote.allowed_addresses` allows it; lists are followed at the Hub only
#[test]
fn e110_a_hub_in_the_network_has_to_be_allowed() {
    let mut bed = Bed::new();
    bed.hub.put("ana/wine", &[("train.csv", b"a\n1\n")]);
    for (allowed, status) in [("", 500), ("10.0.0.0/8,::1", 500), ("127.0.0.0/8", 200)] {
        bed.set("REMOTE_ALLOWED_ADDRESSES", allowed);
        let server = bed.serve();
        assert_eq!(tell(&server, "add", "ana/wine").0, status, "{allowed}");
        assert_eq!(bed.hub.asked("/api/").is_empty(), status != 200, "{allowed}");
    }
}

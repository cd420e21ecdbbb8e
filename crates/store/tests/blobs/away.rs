//! A server that is not there, or that does not know us.

use belvedere_store::{Blobs, S3, S3Identity, StoreError};
use bytes::Bytes;

use crate::bed;

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_a_passing_failure() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let blobs = Blobs::s3(&S3 {
        bucket: "viewer".into(),
        prefix: String::new(),
        region: "us-east-1".into(),
        endpoint: Some(format!("http://{free}")),
        path_style: true,
        identity: S3Identity::Keys { id: "id".into(), secret: "do-not-show".into() },
    })
    .unwrap();
    let failures = [
        blobs.check().await.unwrap_err(),
        blobs.get("a/b").await.unwrap_err(),
        blobs.put("a/b", Bytes::from_static(b"x")).await.unwrap_err(),
    ];
    for error in failures {
        assert!(matches!(error, StoreError::BlobsAway { .. }) && error.is_passing(), "{error:?}");
        assert!(!format!("{error:?}").contains("do-not-show"), "{error:?}");
    }
}

#[tokio::test]
async fn a_wrong_key_or_bucket_is_not() {
    let Some(settings) = bed::settings() else { return };
    let wrong =
        S3 { identity: S3Identity::Keys { id: "AKIAWRONG".into(), secret: "wrong".into() }, ..settings.clone() };
    let error = Blobs::s3(&wrong).unwrap().check().await.unwrap_err();
    assert!(matches!(error, StoreError::Blob { .. }) && !error.is_passing(), "{error:?}");
    let elsewhere = S3 { bucket: "nobodys-bucket".into(), ..settings };
    let error = Blobs::s3(&elsewhere).unwrap().check().await.unwrap_err();
    assert!(matches!(error, StoreError::Blob { .. }), "{error:?}");
}

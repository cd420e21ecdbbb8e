//! Files behind views that are not on this machine: all answers are the same, and nothing but a cache is kept here.

use belvedere_api::Delivery;
use belvedere_store::{BlobCache, Blobs, S3, S3Identity};
use belvedere_testing::TestApp;

/// An app whose files are elsewhere, and the folder of its cache.
async fn elsewhere(delivery: Delivery) -> (TestApp, BlobCache, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let cache = BlobCache::open(folder.path(), 50 << 20).unwrap();
    let blobs = Blobs::memory().with_cache(cache.clone());
    let app = TestApp::with(|options| {
        options.distant = Some(blobs);
        options.api.delivery = delivery;
    })
    .await;
    (app, cache, folder)
}

fn csv(rows: usize) -> String {
    (0..rows).fold("n,word\n".to_owned(), |text, n| format!("{text}{n},word{} of the row\n", n % 7))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_the_same_as_with_files_in_a_folder() {
    let (app, ..) = elsewhere(Delivery::Proxy).await;
    let here = TestApp::new().await;
    for app in [&app, &here] {
        app.write("data/train.csv", csv(2500));
        app.settle().await;
    }
    let split = "dataset=local/data&config=default&split=train";
    for path in [
        format!("/rows?{split}&offset=2400&length=50"),
        format!("/first-rows?{split}"),
        format!("/filter?{split}&where=%22n%22%3E2000&length=3"),
        format!("/search?{split}&query=word3&length=3"),
        format!("/statistics?{split}"),
        format!("/rows?{split}&format=csv&length=all"),
        "/parquet?dataset=local/data".to_owned(),
    ] {
        let (there, here) = (app.get(&path).await, here.get(&path).await);
        assert_eq!((there.status, there.text()), (here.status, here.text()), "{path}");
        assert_eq!(there.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn converted_files_are_passed_on_with_ranges() {
    let (app, cache, _folder) = elsewhere(Delivery::Proxy).await;
    app.write("data/train.csv", csv(100));
    app.settle().await;
    let path = "/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet";
    let whole = app.get(path).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("application/vnd.apache.parquet")));
    assert_eq!((&whole.body[..4], &whole.body[whole.body.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
    let tail = app.ask("GET", path, &[("range", "bytes=-4")]).await;
    assert_eq!((tail.status, &tail.body[..]), (206, &b"PAR1"[..]));
    let length = whole.body.len();
    let expected = format!("bytes {}-{}/{length}", length - 4, length - 1);
    assert_eq!(tail.header("content-range"), Some(expected.as_str()));
    assert_eq!(app.ask("GET", path, &[("range", "bytes=99999999-")]).await.status, 416);
    let etag = whole.header("etag").unwrap().to_owned();
    assert_eq!(app.ask("GET", path, &[("if-none-match", &etag)]).await.status, 304);
    // A range of a file that is another one by now: all of it.
    let stale = [("range", "bytes=0-3"), ("if-range", "\"older\"")];
    assert_eq!(app.ask("GET", path, &stale).await.body.len(), length);
    assert!(cache.bytes() > 0, "what the jobs wrote is kept, within the bound of the cache");
}

#[tokio::test(flavor = "multi_thread")]
async fn media_are_passed_on_and_made_again_when_they_are_missing() {
    let (app, ..) = elsewhere(Delivery::Proxy).await;
    app.copy_set("parquet-image-column", "data");
    app.settle().await;
    let media = |body: serde_json::Value| {
        let url = body["rows"][0]["row"]["image"]["src"].as_str().unwrap().to_owned();
        url.strip_prefix("http://viewer.test").unwrap().to_owned()
    };
    let split = "dataset=local/data&config=default&split=train";
    let asset = media(app.get(&format!("/first-rows?{split}")).await.json());
    let file = app.get(&asset).await;
    assert_eq!((file.status, file.header("content-type")), (200, Some("image/jpeg")));
    assert_eq!(&file.body[..3], b"\xff\xd8\xff");
    assert_eq!(app.get(&asset.replace("/0/image/", "/99999/image/")).await.status, 404);

    // Another server has answered the page, so that the file is not here.
    let cached = media(app.get(&format!("/rows?{split}&length=1")).await.json());
    assert_eq!(app.get(&cached).await.status, 200);
    std::fs::remove_dir_all(app.state_path("cached-assets")).unwrap();
    let again = app.get(&cached).await;
    assert_eq!((again.status, again.header("content-type")), (200, Some("image/jpeg")));
    for missing in [cached.replace("/image.jpg", "/other.jpg"), cached.replace("/0/image/", "/99999/image/")] {
        assert_eq!(app.get(&missing).await.status, 404, "{missing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn media_may_have_a_place_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let assets = Blobs::memory().with_cache(BlobCache::open(folder.path(), 50 << 20).unwrap());
    let app = TestApp::with(|options| options.assets = Some(assets.clone())).await;
    app.copy_set("parquet-image-column", "data");
    app.settle().await;
    let body = app.get("/first-rows?dataset=local/data&config=default&split=train").await.json();
    let asset = body["rows"][0]["row"]["image"]["src"].as_str().unwrap().replace("http://viewer.test", "");
    let file = app.get(&asset).await;
    assert_eq!((file.status, &file.body[..3]), (200, &b"\xff\xd8\xff"[..]));
    assert!(!assets.groups("views").await.unwrap().is_empty());
    assert!(!app.state_files().iter().any(|file| file.contains("/assets/")), "none of them is with the other files");
    // What was never stored is found there too, and what is stored goes with its dataset.
    let stray = format!("views/{}/assets/0/image/image.jpg", "0".repeat(64));
    assets.put(&stray, "half a job's work".into()).await.unwrap();
    let future = belvedere_domain::Timestamp(i64::MAX);
    assert_eq!(belvedere_jobs::maintenance::sweep(&app.services, future).await.unwrap(), 1);
    assert_eq!(app.get(&asset).await.status, 200);
    app.remove("data");
    app.settle().await;
    assert!(assets.groups("views").await.unwrap().is_empty());
    assert_eq!(app.get(&asset).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_gone_dataset_go_with_it() {
    let (app, cache, _folder) = elsewhere(Delivery::Proxy).await;
    app.write("data/train.csv", csv(100));
    app.settle().await;
    assert!(!app.services.blobs.groups("views").await.unwrap().is_empty());
    app.remove("data");
    app.settle().await;
    assert!(app.services.blobs.groups("views").await.unwrap().is_empty());
    assert_eq!(cache.bytes(), 0);
}

/// Passes connections on to an S3 server, as long as it is open.
struct Wire {
    address: std::net::SocketAddr,
    open: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Wire {
    fn to(server: String) -> Self {
        use std::sync::atomic::Ordering;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
        let is_open = std::sync::Arc::clone(&open);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if !is_open.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = std::net::TcpStream::connect(&server) else { continue };
                for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    let is_open = std::sync::Arc::clone(&is_open);
                    std::thread::spawn(move || {
                        use std::io::{Read, Write};
                        let mut buffer = vec![0; 1 << 16];
                        while let Ok(length @ 1..) = from.read(&mut buffer) {
                            if !is_open.load(Ordering::SeqCst) || to.write_all(&buffer[..length]).is_err() {
                                break;
                            }
                        }
                        let _ = to.shutdown(std::net::Shutdown::Both);
                        let _ = from.shutdown(std::net::Shutdown::Both);
                    });
                }
            }
        });
        Self { address, open }
    }

    fn set(&self, open: bool) {
        self.open.store(open, std::sync::atomic::Ordering::SeqCst);
    }
}

/// An app on the S3 server of the tests, its connection, and its cache; `None` when no server is named.
async fn on_s3(delivery: Delivery) -> Option<(TestApp, Wire, BlobCache, tempfile::TempDir)> {
    let var = |name: &str| std::env::var(format!("BELVEDERE_TEST_S3_{name}")).ok();
    let wire = Wire::to(var("ENDPOINT")?.trim_start_matches("http://").to_owned());
    let folder = tempfile::tempdir().unwrap();
    let settings = S3 {
        bucket: var("BUCKET").unwrap(),
        prefix: format!("api/{}-{}", std::process::id(), wire.address.port()),
        region: var("REGION").unwrap(),
        endpoint: Some(format!("http://{}", wire.address)),
        path_style: true,
        identity: S3Identity::Keys { id: var("KEY_ID").unwrap(), secret: var("SECRET").unwrap() },
    };
    let cache = BlobCache::open(folder.path(), 50 << 20).unwrap();
    let blobs = Blobs::s3(&settings).unwrap().with_cache(cache.clone());
    let app = TestApp::with(|options| {
        options.distant = Some(blobs);
        options.api.delivery = delivery;
    })
    .await;
    Some((app, wire, cache, folder))
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_are_told_to_come_back_while_the_storage_is_away() {
    let Some((app, wire, cache, _folder)) = on_s3(Delivery::Proxy).await else { return };
    app.write("data/train.csv", csv(100));
    app.settle().await;
    let rows = "/rows?dataset=local/data&config=default&split=train&length=2";
    let file = "/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet";
    assert_eq!(app.get(rows).await.status, 200);
    // Nothing of it is kept here any more.
    for group in app.services.blobs.groups("views").await.unwrap().into_keys() {
        let key = format!("views/{group}/train/0000.parquet");
        if app.services.blobs.head(&key).await.unwrap().is_some() {
            let copy = app.services.blobs.get(&key).await.unwrap().unwrap();
            app.services.blobs.put(&key, copy).await.unwrap();
        }
    }
    wire.set(false);
    let away = app.get(&rows.replace("length=2", "length=3")).await;
    assert_eq!((away.status, away.header("x-error-code")), (503, Some("ServiceUnavailable")), "{}", away.text());
    assert!(away.header("retry-after").is_some() && away.text().contains("storage of the files"), "{}", away.text());
    assert!(!away.text().contains(&wire.address.to_string()), "addresses are nobody's business");
    // What jobs need from there is tried again, not stored as an error.
    app.write("more/train.csv", csv(10));
    app.scan().await;
    app.refresh().await;
    let more = belvedere_domain::DatasetName::new("local/more").unwrap();
    for _ in 0..3 {
        app.tick().await;
    }
    assert_eq!(app.errors("local/more").await, Vec::<String>::new());
    assert!(!app.services.store.queue.pending(Some(&more)).await.unwrap().is_empty());
    wire.set(true);
    assert_eq!(app.get(rows).await.status, 200);
    assert_eq!(app.get(file).await.status, 200);
    app.run_jobs().await;
    assert_eq!(app.get("/size?dataset=local/more").await.json()["size"]["dataset"]["num_rows"], 10);
    assert!(cache.bytes() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_may_be_linked_instead() {
    let good_for = std::time::Duration::from_secs(60);
    let Some((app, ..)) = on_s3(Delivery::Link { good_for }).await else { return };
    app.copy_set("parquet-image-column", "images");
    app.write("data/train.csv", csv(100));
    app.settle().await;
    let file = app.get("/datasets/local/data/resolve/refs%2Fconvert%2Fparquet/default/train/0000.parquet").await;
    let body = app.get("/first-rows?dataset=local/images&config=default&split=train").await.json();
    let asset = body["rows"][0]["row"]["image"]["src"].as_str().unwrap().replace("http://viewer.test", "");
    for (answer, ending) in [(file, "0000.parquet"), (app.get(&asset).await, "image.jpg")] {
        assert_eq!((answer.status, answer.header("cache-control")), (302, Some("no-store")));
        let link = answer.header("location").unwrap();
        assert!(link.contains(&format!("{ending}?")) && link.contains("X-Amz-Expires=60"), "{link}");
    }
}

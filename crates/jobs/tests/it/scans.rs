//! Scans that operators turn on: for the wishes of authors, and for personal data, with and without services of others.

use std::time::Duration;

use belvedere_domain::{ArtifactKey, ConfigName, DatasetName, SplitName, StepName};
use belvedere_hub::patterns::Pattern;
use belvedere_hub::services::{Analyzer, OptOut, Pacing};
use belvedere_jobs::scans::ScannedDatasets;
use belvedere_testing::{Question, Said, Service, TestApp};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{BIRDS, code};

const WISHES: &str = "/opt-in-out-urls?dataset=local/data";
const ENTITIES: &str = "/presidio-entities?dataset=local/data";
/// The author of every image that has a `yes` in its name agrees, those with a `no` refuse. One cell is empty.
const PHOTOS: &str = "\
n,photo
0,https://a.org/yes.png
1,https://a.org/no.png
2,
3,https://b.org/no.png
4,https://b.org/cat.png
";

/// One attempt each, in a time that tests can wait for.
fn impatient() -> Pacing {
    Pacing { timeout: Duration::from_secs(20), max_concurrent: 2, max_per_second: None, waits: Vec::new() }
}

/// Answers as Spawning does.
fn wishes(question: &Question) -> Said {
    let wish = |url: &str| json!({"url": url, "optIn": url.contains("yes"), "optOut": url.contains("no")});
    Said::Answer(200, json!({"urls": question.body.split('\n').map(wish).collect::<Vec<_>>()}).to_string())
}

/// An app over the photos, which asks the service about two URLs at once.
async fn asking(service: &Service, pacing: Pacing, change: impl FnOnce(&mut belvedere_jobs::Settings)) -> TestApp {
    let app = TestApp::with(|options| {
        let scan = &mut options.settings.scans.opt_in_out_urls;
        scan.service = Some(OptOut::new(&format!("{}/query", service.url()), "secret", 2, pacing));
        options.settings.worker.max_attempts = 1;
        change(&mut options.settings);
    })
    .await;
    app.write("data/photos.csv", PHOTOS);
    app.settle().await;
    app
}

/// The stored content of a step for the only split.
async fn stored(app: &TestApp, step: &'static str) -> Value {
    let row = app.dataset("local/data").await.unwrap();
    let key = ArtifactKey::split(
        StepName::known(step),
        DatasetName::new("local/data").unwrap(),
        ConfigName::new("default").unwrap(),
        SplitName::new("train").unwrap(),
    );
    let found = app.services.store.views.at_revision(&[key], &row.target).await.unwrap().pop().flatten().unwrap();
    serde_json::from_str(found.stored.view.content.as_str()).unwrap()
}

#[tokio::test]
async fn scans_that_are_off_leave_no_job_and_have_no_answer() {
    let app = TestApp::with_file("photos.csv", PHOTOS).await;
    let views = app.views("local/data").await;
    assert!(!views.iter().any(|view| view.contains("opt-in-out") || view.contains("presidio")), "{views:?}");
    assert_eq!(app.queue().await, Vec::<String>::new());
    for level in ["", "&config=default", "&config=default&split=train"] {
        let answer = app.get(&format!("{WISHES}{level}")).await;
        assert_eq!(code(&answer), (404, "ResponseNotFound"));
    }
    assert_eq!(code(&app.get(ENTITIES).await), (404, "ResponseNotFound"));
    assert_eq!(code(&app.get("/presidio-entities").await), (422, "MissingRequiredParameter"));
    // An operator who asks for one is told as well.
    let path = "/admin/force-refresh/split-presidio-scan?dataset=local/data&config=default&split=train";
    let answer = app.operate("POST", path).await;
    assert!(answer.text().contains("presidio_entities_scan.datasets"), "{}", answer.text());
}

#[tokio::test]
async fn wishes_are_counted_at_every_level() {
    let service = Service::start(wishes).await;
    let app = asking(&service, impatient(), |_| {}).await;
    assert_eq!(app.errors("local/data").await, Vec::<String>::new());
    let split = app.get(&format!("{WISHES}&config=default&split=train")).await;
    assert_snapshot!(split.text(), @r#"{"urls_columns":["photo"],"num_opt_in_urls":1,"num_opt_out_urls":2,"num_urls":5,"num_scanned_rows":5,"has_urls_columns":true,"full_scan":true}"#);
    assert_eq!(app.get(WISHES).await.json(), split.json());
    assert_eq!(app.get(&format!("{WISHES}&config=default")).await.json(), split.json());
    let scan = stored(&app, "split-opt-in-out-urls-scan").await;
    assert_eq!(scan["opt_in_urls"], json!([{"url": "https://a.org/yes.png", "row_idx": 0, "column_name": "photo"}]));
    assert_eq!(scan["opt_out_urls"][1], json!({"url": "https://b.org/no.png", "row_idx": 3, "column_name": "photo"}));

    let questions = service.questions();
    let mut bodies: Vec<&str> = questions.iter().map(|question| question.body.as_str()).collect();
    bodies.sort_unstable();
    // Batches of two in the order of the rows; one URL alone goes with an empty one.
    assert_eq!(
        bodies,
        ["\nhttps://b.org/no.png", "https://a.org/yes.png\nhttps://a.org/no.png", "https://b.org/cat.png\n"]
    );
    for question in &questions {
        assert_eq!((&*question.target, &*question.headers["authorization"]), ("POST /query", "API secret"));
    }
    assert!(service.most_at_a_time() <= 2, "{}", service.most_at_a_time());

    // The same images in the next revision cost nothing.
    app.write("data/README.md", "---\nlicense: mit\n---\n");
    app.settle().await;
    assert_eq!(service.questions().len(), questions.len());
    assert_eq!(app.get(WISHES).await.json(), split.json());
}

#[tokio::test]
async fn a_scan_of_wishes_stops_at_its_limits() {
    let service = Service::start(wishes).await;
    let app = asking(&service, impatient(), |settings| settings.scans.opt_in_out_urls.rows_max_number = 3).await;
    let body = app.get(WISHES).await.json();
    assert_eq!(
        (&body["num_scanned_rows"], &body["num_opt_out_urls"], &body["full_scan"]),
        (&json!(3), &json!(1), &json!(false))
    );
    let app = asking(&service, impatient(), |settings| settings.scans.opt_in_out_urls.columns_max_number = 0).await;
    let answer = app.get(&format!("{WISHES}&config=default&split=train")).await;
    assert_eq!(code(&answer), (500, "TooManyColumnsError"));
    // The sums over what failed are there, and are not full.
    let body = app.get(WISHES).await.json();
    assert_eq!((&body["num_urls"], &body["full_scan"]), (&json!(0), &json!(false)));
}

#[tokio::test]
async fn datasets_without_image_urls_are_not_asked_about() {
    let service = Service::start(wishes).await;
    let app = TestApp::with(|options| {
        let scan = &mut options.settings.scans.opt_in_out_urls;
        scan.service = Some(OptOut::new(service.url(), "secret", 2, impatient()));
    })
    .await;
    app.write("data/birds.csv", BIRDS);
    app.settle().await;
    assert_snapshot!(app.get(&format!("{WISHES}&config=default&split=train")).await.text(), @r#"{"urls_columns":[],"num_opt_in_urls":0,"num_opt_out_urls":0,"num_urls":0,"num_scanned_rows":0,"has_urls_columns":false,"full_scan":null}"#);
    assert_eq!(app.get(WISHES).await.json()["full_scan"], true);
    assert_eq!(service.questions().len(), 0);
}

#[tokio::test]
async fn a_service_that_is_busy_is_asked_again() {
    let service = Service::start(|question| match question.number {
        0 => Said::Header(429, "retry-after: 0"),
        1 => Said::Answer(503, String::new()),
        2 => Said::Half,
        _ => wishes(question),
    })
    .await;
    let pacing =
        Pacing { max_concurrent: 1, max_per_second: Some(1000), waits: vec![Duration::ZERO; 3], ..impatient() };
    let app = asking(&service, pacing, |_| {}).await;
    assert_eq!(app.get(WISHES).await.json()["num_opt_out_urls"], 2);
    assert_eq!(service.questions().len(), 6);
    assert_eq!(service.most_at_a_time(), 1);
}

#[tokio::test]
async fn a_service_of_no_use_is_told_apart_from_a_dataset_without_wishes() {
    let one = || Said::Answer(200, json!({"urls": [{"optIn": false, "optOut": false}]}).to_string());
    type Fault = (&'static str, fn(&Question) -> Said);
    let faults: [Fault; 6] = [
        ("the status 500", |_| Said::Answer(500, "down".to_owned())),
        ("the status 401", |_| Said::Answer(401, "who?".to_owned())),
        ("the status 302", |_| Said::Header(302, "location: http://127.0.0.1:9/")),
        ("no list of wishes", |_| Said::Answer(200, "<html>".to_owned())),
        ("no list of wishes", |_| Said::Answer(200, json!({"urls": [{"optIn": 1}, {}]}).to_string())),
        ("no answer", |_| Said::Nothing),
    ];
    for (told, fault) in faults {
        let service = Service::start(fault).await;
        let app = asking(&service, Pacing { timeout: Duration::from_millis(300), ..impatient() }, |_| {}).await;
        let answer = app.get(&format!("{WISHES}&config=default&split=train")).await;
        assert_eq!(code(&answer), (500, "ExternalServerError"), "{told}");
        assert!(answer.text().contains(told), "{}", answer.text());
        assert!(!answer.text().contains(service.url()), "{}", answer.text());
        assert_eq!(app.get(WISHES).await.json()["full_scan"], false);
    }
    let service = Service::start(move |_| one()).await;
    let app = asking(&service, impatient(), |_| {}).await;
    let answer = app.get(&format!("{WISHES}&config=default&split=train")).await;
    assert!(answer.text().contains("wishes for 1 URLs, asked about 2"), "{}", answer.text());
}

/// Two rows of texts with personal data, one without, in nested columns too.
const PEOPLE: &str = r#"{"id": 1, "text": "Marie, mail marie@example.org or marie@example.com", "contact": {"phone": "212-456-7890"}}
{"id": 2, "text": "Card 4111 1111 1111 1111, IBAN DE89 3704 0044 0532 0130 00", "contact": {"phone": ""}}
{"id": 3, "text": "nothing at all", "contact": null}
"#;

async fn scanning(change: impl FnOnce(&mut belvedere_jobs::Settings)) -> TestApp {
    let app = TestApp::with(|options| {
        options.settings.scans.presidio_entities.datasets = ScannedDatasets::All;
        options.settings.worker.max_attempts = 1;
        change(&mut options.settings);
    })
    .await;
    app.write("data/people.jsonl", PEOPLE);
    app.settle().await;
    app
}

#[tokio::test]
async fn rows_with_personal_data_are_counted_and_shown_masked() {
    let app = scanning(|_| {}).await;
    assert_eq!(app.errors("local/data").await, Vec::<String>::new());
    assert_snapshot!(app.get(ENTITIES).await.text(), @r#"{"scanned_columns":["contact","text"],"num_rows_with_person_entities":0,"num_rows_with_phone_number_entities":1,"num_rows_with_email_address_entities":1,"num_rows_with_sensitive_pii":2,"num_scanned_rows":3,"has_scanned_columns":true,"full_scan":true,"unrecognized_entity_types":["AGE","EMAIL","ID","LOCATION","NRP","ORGANIZATION","PERSON"]}"#);
    let scan = stored(&app, "split-presidio-scan").await;
    let entities: Vec<String> = scan["entities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entity| format!("{} {} {} {}", entity["row_idx"], entity["column_name"], entity["type"], entity["text"]))
        .collect();
    assert_snapshot!(entities.join("\n"), @r#"
    0 "text" "EMAIL_ADDRESS" "ma***@*******.***"
    0 "text" "EMAIL_ADDRESS" "ma***@*******.***"
    0 "contact" "PHONE_NUMBER" "21*-***-****"
    1 "text" "CREDIT_CARD" "41** 11** 11** 11**"
    1 "text" "IBAN_CODE" "DE** 37** 00** 05** 01** 0*"
    "#);
    assert_eq!(
        (&scan["num_email_address_entities"], &scan["num_rows_with_email_address_entities"]),
        (&json!(2), &json!(1))
    );
    assert_eq!((&scan["recognizer"], &scan["num_rows_with_iban_code_entities"]), (&json!("rules"), &json!(1)));

    // The same texts in the next revision are not read again.
    app.children.take_calls();
    app.write("data/README.md", "---\nlicense: mit\n---\n");
    app.settle().await;
    let calls = app.children.take_calls();
    assert!(!calls.iter().any(|call| call.starts_with("texts")), "{calls:?}");
    assert_eq!(app.get(ENTITIES).await.json()["num_scanned_rows"], 3);
}

#[tokio::test]
async fn a_scan_for_personal_data_stops_at_its_limits() {
    let app = scanning(|settings| settings.scans.presidio_entities.rows_max_number = 1).await;
    let body = app.get(ENTITIES).await.json();
    assert_eq!(
        (&body["num_scanned_rows"], &body["num_rows_with_sensitive_pii"], &body["full_scan"]),
        (&json!(1), &json!(0), &json!(false))
    );
    let app = scanning(|settings| settings.scans.presidio_entities.max_text_length = 12).await;
    assert_eq!(app.get(ENTITIES).await.json()["num_rows_with_email_address_entities"], 0);
    let app = scanning(|settings| settings.scans.presidio_entities.columns_max_number = 1).await;
    assert_eq!(app.errors("local/data").await, ["split-presidio-scan default train: 500 TooManyColumnsError"]);
    assert_eq!(app.get(ENTITIES).await.json()["full_scan"], false);
}

#[tokio::test]
async fn only_listed_datasets_are_scanned() {
    let pattern = Pattern::new("", "local/other*").unwrap();
    let list = ScannedDatasets::Some(vec![pattern]);
    let app = scanning(|settings| settings.scans.presidio_entities.datasets = list).await;
    app.write("others/people.jsonl", PEOPLE);
    app.write("more/birds.csv", BIRDS);
    app.settle().await;
    let answer = app.get(ENTITIES).await;
    assert_eq!(code(&answer), (501, "PresidioScanNotEnabledForThisDataset"));
    assert_eq!(app.get("/presidio-entities?dataset=local/others").await.json()["num_rows_with_sensitive_pii"], 2);
    assert_eq!(app.queue().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_dataset_without_texts_has_nothing_to_scan() {
    let app = TestApp::with(|options| options.settings.scans.presidio_entities.datasets = ScannedDatasets::All).await;
    app.write("data/numbers.csv", "a,b\n1,2\n");
    app.settle().await;
    let body = app.get(ENTITIES).await.json();
    assert_eq!(
        (&body["has_scanned_columns"], &body["full_scan"], &body["num_scanned_rows"]),
        (&json!(false), &json!(true), &json!(0))
    );
    assert_eq!(stored(&app, "split-presidio-scan").await["full_scan"], Value::Null);
}

/// Answers as an analyzer that knows one name, and takes every text to begin with an organization.
fn analyze(question: &Question) -> Said {
    let asked: Value = serde_json::from_str(&question.body).unwrap();
    let text = asked["text"].as_str().unwrap();
    let entity = |kind: &str, start: usize, end: usize, score: f64| json!({"entity_type": kind, "start": start, "end": end, "score": score});
    let mut found = vec![
        entity("ORGANIZATION", 0, 4, 0.9),
        entity("IT_FISCAL_CODE", text.chars().count() - 1, text.chars().count(), 1.0),
    ];
    if let Some(at) = text.find("Marie") {
        let start = text[..at].chars().count();
        found.extend([entity("PERSON", start, start + 5, 0.85), entity("LOCATION", start, start + 5, 0.4)]);
    }
    Said::Answer(200, json!(found).to_string())
}

#[tokio::test]
async fn an_analyzer_knows_names_of_people() {
    let service = Service::start(analyze).await;
    let url = format!("{}/", service.url());
    let app = scanning(|settings| {
        settings.scans.presidio_entities.analyzer = Some(Analyzer::new(&url, 0.8, impatient()));
    })
    .await;
    assert_eq!(app.errors("local/data").await, Vec::<String>::new());
    let body = app.get(ENTITIES).await.json();
    assert_eq!((&body["num_rows_with_person_entities"], &body["unrecognized_entity_types"]), (&json!(1), &json!([])));
    let scan = stored(&app, "split-presidio-scan").await;
    // What it says of the sentence that we put before each text is left out, as is what nobody counts.
    let expected = json!([{"text": "Ma***", "type": "PERSON", "row_idx": 0, "column_name": "text"}]);
    assert_eq!((&scan["entities"], &scan["recognizer"]), (&expected, &json!("presidio")));
    let mut texts: Vec<String> = service
        .questions()
        .iter()
        .map(|question| {
            let asked: Value = serde_json::from_str(&question.body).unwrap();
            assert_eq!(
                (&*question.target, &asked["language"], &asked["score_threshold"]),
                ("POST /analyze", &json!("en"), &json!(0.8))
            );
            asked["text"].as_str().unwrap().to_owned()
        })
        .collect();
    texts.sort_unstable();
    assert_eq!(texts[0], "This is the contact (phone): 212-456-7890");
    assert_eq!(texts[3], "This is the text: nothing at all");
    assert_eq!(texts.len(), 4);
}

#[tokio::test]
async fn an_analyzer_of_no_use_is_an_error_of_the_split() {
    type Fault = (&'static str, fn(&Question) -> Said);
    let faults: [Fault; 4] = [
        ("the status 500", |_| Said::Answer(500, String::new())),
        ("no list of entities", |_| Said::Answer(200, json!({"error": "language"}).to_string())),
        ("an entity outside of the text", |_| {
            Said::Answer(200, json!([{"entity_type": "PERSON", "start": 5, "end": 9999, "score": 1.0}]).to_string())
        }),
        ("no answer", |_| Said::Nothing),
    ];
    for (told, fault) in faults {
        let service = Service::start(fault).await;
        let pacing = Pacing { timeout: Duration::from_millis(300), ..impatient() };
        let analyzer = Analyzer::new(service.url(), 0.8, pacing);
        let app = scanning(|settings| settings.scans.presidio_entities.analyzer = Some(analyzer)).await;
        let errors = app.errors("local/data").await;
        assert_eq!(errors, ["split-presidio-scan default train: 500 ExternalServerError"], "{told}");
        let scan = stored(&app, "split-presidio-scan").await;
        assert!(scan["error"].as_str().unwrap().contains(told), "{scan}");
        assert_eq!(app.get(ENTITIES).await.json()["full_scan"], false);
    }
}

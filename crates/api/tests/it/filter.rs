//! `/filter`: what matches, what it costs, and what is refused.

use belvedere_testing::{Answer, TestApp};
use insta::assert_snapshot;
use serde_json::{Value, json};

const PEOPLE: &str =
    "name,age,city,born\nAnn,31,Oslo,1993-04-01\nBob,25,,1999-01-31\nCy,47,Rome,1977-07-07\nDot,31,oslo,\n";

async fn people() -> TestApp {
    TestApp::with_file("people.csv", PEOPLE).await
}

fn path(parameters: &[(&str, &str)]) -> String {
    let names = [("dataset", "local/data"), ("config", "default"), ("split", "train")];
    let query =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(names).extend_pairs(parameters).finish();
    format!("/filter?{query}")
}

async fn ask(app: &TestApp, parameters: &[(&str, &str)]) -> Answer {
    app.get(&path(parameters)).await
}

/// Numbers of the rows of a page.
fn rows(answer: &Answer) -> Vec<u64> {
    let body = answer.json();
    let rows = body["rows"].as_array().unwrap_or_else(|| panic!("rows, not {body}"));
    rows.iter().map(|row| row["row_idx"].as_u64().unwrap()).collect()
}

async fn matching(app: &TestApp, condition: &str) -> Vec<u64> {
    rows(&ask(app, &[("where", condition)]).await)
}

/// Status, code and text of what is refused.
async fn refusal(app: &TestApp, parameters: &[(&str, &str)]) -> String {
    super::outcome(&ask(app, parameters).await)
}

#[tokio::test]
async fn a_page_has_the_numbers_of_its_rows_in_the_whole_split() {
    let app = people().await;
    let answer =
        ask(&app, &[("where", r#""age" > 30"#), ("orderby", r#""age" desc"#), ("offset", "1"), ("length", "1")]).await;
    assert_snapshot!(answer.text(), @r#"{"features":[{"feature_idx":0,"name":"name","type":{"dtype":"string","_type":"Value"}},{"feature_idx":1,"name":"age","type":{"dtype":"int64","_type":"Value"}},{"feature_idx":2,"name":"city","type":{"dtype":"string","_type":"Value"}},{"feature_idx":3,"name":"born","type":{"dtype":"string","_type":"Value"}}],"rows":[{"row_idx":0,"row":{"name":"Ann","age":31,"city":"Oslo","born":"1993-04-01"},"truncated_cells":[]}],"num_rows_total":3,"num_rows_per_page":100,"partial":false}"#);
    assert!(answer.header("x-revision").is_some() && answer.header("etag").is_some());
}

#[tokio::test]
async fn conditions_and_orders_of_every_kind() {
    let app = people().await;
    for (condition, expected) in [
        (r#""city" is null"#, vec![1]),
        (r#""city" = 'Oslo' or "age" < 26"#, vec![0, 1]),
        (r#""city" ILIKE 'oslo'"#, vec![0, 3]),
        ("age>30", vec![0, 2, 3]),
        ("AGE in (25, 47) AND NOT name = 'Cy'", vec![1]),
        (r#""age" between 26 and 40"#, vec![0, 3]),
        (r#""name.length" = 2"#, vec![2]),
        (r#""name".upper() = 'BOB'"#, vec![1]),
        (r#"length("name") > 2"#, vec![0, 1, 3]),
        (r#""born"::date > '1990-01-01'"#, vec![0, 1]),
        (r#"__hf_index_id >= 2"#, vec![2, 3]),
        (r#""name" <> 'x;y -- /* z'"#, vec![0, 1, 2, 3]),
    ] {
        assert_eq!(matching(&app, condition).await, expected, "{condition}");
    }
    for (order, expected) in [
        (r#""age", "name" desc"#, vec![1, 3, 0, 2]),
        (r#""city""#, vec![0, 2, 3, 1]),
        (r#""city" DESC NULLS FIRST"#, vec![1, 3, 2, 0]),
        (r#"length("name"), "age" desc"#, vec![2, 0, 3, 1]),
    ] {
        assert_eq!(rows(&ask(&app, &[("orderby", order)]).await), expected, "{order}");
    }
}

#[tokio::test]
async fn without_conditions_it_is_every_row() {
    let app = people().await;
    let answer = ask(&app, &[("where", " "), ("length", "2")]).await;
    assert_eq!((rows(&answer), answer.json()["num_rows_total"].clone()), (vec![0, 1], json!(4)));
    let answer = ask(&app, &[("where", "false")]).await;
    assert_eq!((rows(&answer), answer.json()["num_rows_total"].clone()), (vec![], json!(0)));
}

#[tokio::test]
async fn many_clients_write_limit() {
    let app = people().await;
    assert_eq!(rows(&ask(&app, &[("where", "age > 30"), ("limit", "2")]).await), [0, 2]);
}

#[tokio::test]
async fn other_formats_and_columns() {
    let app = people().await;
    let parameters = [("where", "age = 31"), ("orderby", "name desc"), ("columns", "name,age")];
    assert_eq!(
        ask(&app, &[&parameters[..], &[("format", "csv")]].concat()).await.text(),
        "name,age\r\nDot,31\r\nAnn,31\r\n"
    );
    let lines = ask(&app, &[&parameters[..], &[("format", "ndjson"), ("length", "1")]].concat()).await;
    assert_eq!(lines.text(), "{\"name\":\"Dot\",\"age\":31}\n");
}

#[tokio::test]
async fn the_next_page_costs_no_look_at_other_rows() {
    let numbers: String = (0..3_000).map(|number| format!("{number}\n")).collect();
    let app = TestApp::with_file("n.csv", format!("n\n{numbers}")).await;
    app.children.take_calls();
    let page = |offset: &'static str| [("where", "n % 2 = 1"), ("offset", offset), ("length", "3")];
    assert_eq!(rows(&ask(&app, &page("0")).await), [1, 3, 5]);
    assert_eq!(rows(&ask(&app, &page("1000")).await), [2001, 2003, 2005]);
    assert_eq!(rows(&ask(&app, &page("1499")).await), [2999]);
    assert_eq!(rows(&ask(&app, &page("5000")).await), Vec::<u64>::new());
    let calls = app.children.take_calls();
    assert_eq!(calls[0], "filter 0+10000");
    assert!(calls[1..].iter().all(|call| call.starts_with("export")), "{calls:?}");
    // In order, fewer are listed; a page beyond them is looked for again.
    let ordered = |offset: &'static str| [("orderby", "n desc"), ("offset", offset), ("length", "2")];
    assert_eq!(rows(&ask(&app, &ordered("0")).await), [2999, 2998]);
    assert_eq!(rows(&ask(&app, &ordered("999")).await), [2000, 1999]);
    assert_eq!(rows(&ask(&app, &ordered("998")).await), [2001, 2000]);
    let filters: Vec<_> = app.children.take_calls().into_iter().filter(|call| call.starts_with("filter")).collect();
    assert_eq!(filters, ["filter 0+1000", "filter 999+1000", "filter 998+1000"]);
}

#[tokio::test]
async fn what_the_client_holds_is_not_looked_for() {
    let app = people().await;
    let path = path(&[("where", "age > 30")]);
    let etag = app.get(&path).await.header("etag").unwrap().to_owned();
    app.children.take_calls();
    let answer = app.ask("GET", &path, &[("if-none-match", &etag)]).await;
    assert_eq!((answer.status, app.children.take_calls()), (304, vec![]));
    let other = super::filter::path(&[("where", "age > 31")]);
    assert_eq!(app.ask("GET", &other, &[("if-none-match", &etag)]).await.status, 200);
}

#[tokio::test]
async fn mistakes_are_explained() {
    let app = people().await;
    let mut told = Vec::new();
    for condition in [
        "age >",
        "age = = 3",
        r#""age" > 'old'"#,
        r#""nmae" = 'Ann'"#,
        r#""population" > 3"#,
        r#""name" > 3"#,
        r#""name" + 1 = 2"#,
        r#""age" LIKE '3%'"#,
        r#""name".lenght() = 3"#,
        r#""name""#,
        r#""name"::int = 3"#,
        r#""name" ~ '('"#,
        r#""age" = “31”"#,
        r#"1 < "age" < 40"#,
        "age::colour = 3",
        "name = 'Ann",
        "age in ()",
    ] {
        told.push(format!("{condition}\n  {}", refusal(&app, &[("where", condition)]).await));
    }
    told.push(format!("orderby 1\n  {}", refusal(&app, &[("orderby", "1")]).await));
    told.push(format!("orderby name up\n  {}", refusal(&app, &[("orderby", "name up")]).await));
    assert_snapshot!(told.join("\n"), @r#"
    age >
      422 InvalidParameter: Parameter where, character 6: expected a column, a value or a function, found the end
    age = = 3
      422 InvalidParameter: Parameter where, character 7: expected a column, a value or a function, found `=`
    "age" > 'old'
      422 InvalidParameter: Parameter where, character 9: 'old' cannot be read as INTEGER; it is compared with column "age" (INTEGER)
    "nmae" = 'Ann'
      422 InvalidParameter: Parameter where, character 1: there is no column "nmae"; did you mean "name"?
    "population" > 3
      422 InvalidParameter: Parameter where, character 1: there is no column "population"; columns are "name", "age", "city", "born"
    "name" > 3
      422 InvalidParameter: Parameter where, character 1: column "name" (VARCHAR) cannot be compared with INTEGER; put the value in single quotes to compare texts, or cast: "column"::INTEGER
    "name" + 1 = 2
      422 InvalidParameter: Parameter where, character 1: there is no + between column "name" (VARCHAR) and INTEGER; cast to a number
    "age" LIKE '3%'
      422 InvalidParameter: Parameter where, character 1: patterns are for texts, and column "age" (INTEGER) is none; cast it: "column"::VARCHAR
    "name".lenght() = 3
      422 InvalidParameter: Parameter where, character 1: there is no function lenght; did you mean length?
    "name"
      422 InvalidParameter: Parameter where, character 1: column "name" (VARCHAR) is neither true nor false; compare it with something
    "name"::int = 3
      422 InvalidParameter: Parameter where, character 1: 'Ann' cannot be read as INTEGER; TRY_CAST gives NULL instead
    "name" ~ '('
      422 InvalidParameter: Parameter where, character 10: the pattern '(' cannot be used: unclosed group
    "age" = “31”
      422 InvalidParameter: Parameter where, character 9: `“` is not a quote here; use "…" for columns and '…' for texts
    1 < "age" < 40
      422 InvalidParameter: Parameter where, character 11: comparisons cannot be chained; join them with AND
    age::colour = 3
      422 InvalidParameter: Parameter where, character 6: the type `colour` is not known; types are BOOLEAN, INTEGER, BIGINT, FLOAT, DOUBLE, DECIMAL(p, s), VARCHAR, DATE, TIME, TIMESTAMP
    name = 'Ann
      422 InvalidParameter: Parameter where, character 8: the quote ' that begins here has no end
    age in ()
      422 InvalidParameter: Parameter where, character 9: expected a column, a value or a function, found `)`
    orderby 1
      422 InvalidParameter: Parameter orderby, character 1: the same for every row gives no order; name a column
    orderby name up
      422 InvalidParameter: Parameter orderby, character 6: expected an operator or the end, found `up`
    "#);
}

#[tokio::test]
async fn attacks_are_refused_or_find_nothing() {
    let app = people().await;
    for condition in [
        "'; DROP TABLE data; --",
        r#""name" = 'Ann'; drop table data"#,
        r#""name" = 'Ann' -- and so on"#,
        r#""name" = 'Ann' /* and so on */"#,
        r#""name" in (select name from data)"#,
        r#""name" = 'Ann' union select 1"#,
        "exists (select 1)",
        "read_csv('/etc/passwd') is not null",
        "read_text('/etc/passwd') = ''",
        "getenv('HOME') = ''",
        "pg_read_file('/etc/passwd') = ''",
        "current_setting('x') = ''",
        "query('select 1') = 1",
        "repeat('x', 1000000000) = ''",
        "replace(repeat('x', 1000000), 'x', repeat('y', 1000000)) = ''",
        "case when true then true end",
        "\"name\u{0}\" = 1",
        "name = 'Ann' \u{202e}",
    ] {
        let answer = ask(&app, &[("where", condition)]).await;
        assert_eq!(
            super::outcome(&answer).split(':').next(),
            Some("422 InvalidParameter"),
            "{condition}: {}",
            answer.text()
        );
    }
    assert_eq!(matching(&app, "name = '''; drop table data; --'").await, Vec::<u64>::new());
}

#[tokio::test]
async fn deep_and_wide_expressions_are_bounded() {
    let app = people().await;
    let deep = [
        format!("{}age = 31{}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("{} age = 31", "not ".repeat(5_000)),
        format!("age = {}31", "- ".repeat(5_000)),
        format!("age{} = 31", "+0".repeat(5_000)),
        format!("age{} = 31", "::int".repeat(5_000)),
        format!("name{} = 'a'", ".lower()".repeat(2_000)),
        format!("name{} = 'a'", "[1]".repeat(5_000)),
        format!("{}name{} = 'a'", "lower(".repeat(2_000), ")".repeat(2_000)),
    ];
    for condition in deep {
        let told = refusal(&app, &[("where", &condition)]).await;
        assert!(told.starts_with("422 InvalidParameter") && told.contains("nested"), "{told}");
    }
    let wide = vec!["age = 1"; 4_000].join(" or ");
    assert_eq!(matching(&app, &format!("{wide} or age = 47")).await, [2]);
    let wide = vec!["age <> 1"; 3_000].join(" and ");
    assert_eq!(matching(&app, &wide).await, [0, 1, 2, 3]);
    let list: Vec<_> = (1_000..8_000).map(|number| number.to_string()).collect();
    assert_eq!(matching(&app, &format!("age in (25, {})", list.join(","))).await, [1]);
    assert_eq!(matching(&app, &format!("age not in ({})", list.join(","))).await, [0, 1, 2, 3]);
}

#[tokio::test]
async fn patterns_take_bounded_room_and_time() {
    let app = TestApp::with_file("t.csv", format!("t\n{}b\n", "a".repeat(50_000))).await;
    for bomb in ["(a{1000}){1000}", "((((a{100}){100}){100}){100})", r"(\w{500}){500}", &"(".repeat(200)] {
        let told = refusal(&app, &[("where", &format!("t ~ '{bomb}'"))]).await;
        assert!(told.starts_with("422 InvalidParameter") && told.contains("the pattern"), "{bomb}: {told}");
    }
    // These take exponential time where one tries all ways.
    for slow in ["(a+)+", "(a|a)*", "(a|aa)+$", "(.*)(.*)(.*)(.*)x"] {
        assert_eq!(matching(&app, &format!("t ~ '{slow}'")).await, Vec::<u64>::new(), "{slow}");
    }
    assert_eq!(matching(&app, &format!("t like '{}b'", "%a".repeat(300))).await, [0]);
}

#[tokio::test]
async fn a_question_has_a_budget() {
    let numbers: String = (0..5_000).map(|number| format!("{number}\n")).collect();
    let content = format!("n\n{numbers}");
    let app = TestApp::with(|options| options.api.query.max_rows = Some(1_000)).await;
    app.write("data/n.csv", &content);
    app.settle().await;
    // Pages hold 1,000 rows: one of them is looked at.
    assert_eq!(matching(&app, "n = 4321").await, [4321]);
    assert_snapshot!(refusal(&app, &[("where", "n % 2 = 0")]).await, @"422 QueryBudgetExceeded: The question costs too much: more than 1000 rows would have to be looked at; add a condition that leaves most of them out, on a column that the rows are sorted by.");

    let app = TestApp::with(|options| options.api.query.max_memory_bytes = 10_000).await;
    app.write("data/n.csv", &content);
    app.settle().await;
    assert_eq!(rows(&ask(&app, &[("where", "n < 3")]).await), [0, 1, 2]);
    let told = refusal(&app, &[("orderby", "n"), ("offset", "4000")]).await;
    assert!(told.starts_with("422 QueryBudgetExceeded") && told.contains("ask for rows nearer to the start"), "{told}");

    let app = TestApp::with(|options| options.api.query.max_seconds = 0.0).await;
    app.write("data/n.csv", &content);
    app.settle().await;
    assert_snapshot!(refusal(&app, &[("where", "n > 3")]).await, @"422 QueryBudgetExceeded: The question costs too much: it takes longer than the 0 seconds allowed.");

    let app = TestApp::with(|options| options.api.query.max_answer_rows = 100).await;
    app.write("data/n.csv", &content);
    app.settle().await;
    let told = refusal(&app, &[("where", "n >= 0"), ("format", "csv")]).await;
    assert_snapshot!(told, @"422 QueryBudgetExceeded: These are 5000 rows, more than the 100 of one answer. Ask for parts with 'offset' and 'length'.");
    assert_eq!(
        ask(&app, &[("where", "n >= 0"), ("format", "csv"), ("length", "100")]).await.text().lines().count(),
        101
    );
}

#[tokio::test]
async fn numbers_out_of_range_are_refused() {
    let app = people().await;
    for (name, value) in
        [("offset", "-1"), ("offset", "1.5"), ("offset", "99999999999999999999"), ("length", "-1"), ("length", "x")]
    {
        let told = refusal(&app, &[("where", "age > 1"), (name, value)]).await;
        assert!(told.starts_with("422 InvalidParameter"), "{name}={value}: {told}");
    }
    assert_eq!(rows(&ask(&app, &[("where", "age > 1"), ("offset", "1000000000000000000")]).await), Vec::<u64>::new());
    assert_eq!(rows(&ask(&app, &[("where", "age > 1"), ("length", "0")]).await), Vec::<u64>::new());
}

#[tokio::test]
async fn compat_accepts_what_the_reference_accepts() {
    let app = TestApp::with(|options| options.api.compat = true).await;
    app.write("data/people.csv", PEOPLE);
    app.settle().await;
    assert_eq!(matching(&app, r#""age">=31 and "city"='Oslo'"#).await, [0]);
    let mut told = Vec::new();
    for condition in ["age > 30", r#""age" in (31)"#, r#""age" > -5"#, r#"not "age" = 3"#, r#""city" = 'a;b'"#] {
        told.push(refusal(&app, &[("where", condition)]).await);
    }
    told.dedup();
    assert_snapshot!(told.join("\n"), @"422 InvalidParameter: Parameter where contains errors or invalid symbols");
    assert!(refusal(&app, &[("orderby", r#""age", "name""#)]).await.starts_with("422 InvalidParameter"));
    // The reference does not know `limit`.
    assert_eq!(rows(&ask(&app, &[("where", r#""age">1"#), ("limit", "1")]).await).len(), 4);
}

#[tokio::test]
async fn classes_are_found_by_number_and_by_name() {
    let app = TestApp::new().await;
    app.write(
        "data/README.md",
        "---\ndataset_info:\n  features:\n  - name: text\n    dtype: string\n  - name: label\n    dtype:\n      class_label:\n        names:\n          '0': cat\n          '1': dog\n---\n",
    );
    app.write("data/a.csv", "text,label\na,0\nb,1\nc,1\n");
    app.settle().await;
    for (condition, expected) in [
        (r#""label"=1"#, vec![1, 2]),
        ("label = 'dog'", vec![1, 2]),
        ("label in ('cat', 'dog')", vec![0, 1, 2]),
        ("label > 0", vec![1, 2]),
    ] {
        assert_eq!(matching(&app, condition).await, expected, "{condition}");
    }
    let told = refusal(&app, &[("where", "label = 'dgo'")]).await;
    assert!(told.contains("there is no class 'dgo'; did you mean 'dog'?"), "{told}");
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let app = people().await;
    for (query, expected) in [
        ("dataset=local/nope&config=default&split=train&where=a=1", 401),
        ("dataset=local/data&config=nope&split=train&where=a=1", 404),
        ("dataset=local/data&config=default&split=nope&where=a=1", 404),
        ("dataset=local/data&config=default&where=a=1", 422),
        // What is wrong with the parameters comes first.
        ("dataset=local/nope&config=default&split=train&where=a==", 422),
    ] {
        assert_eq!(app.get(&format!("/filter?{query}")).await.status, expected, "{query}");
    }
}

#[tokio::test]
async fn nested_values_are_reached() {
    let lines = [
        json!({"meta": {"lang": "fr", "score": 1.5}, "tags": ["a", "b"], "mixed": {"k": 1}}),
        json!({"meta": {"lang": "en", "score": null}, "tags": [], "mixed": {"k": "x", "l": [1, 2]}}),
        json!({"meta": null, "tags": null, "mixed": null}),
    ];
    let content: String = lines.iter().map(|line: &Value| format!("{line}\n")).collect();
    let app = TestApp::with_file("a.jsonl", content).await;
    for (condition, expected) in [
        (r#""meta"."lang"='fr'"#, vec![0]),
        ("meta.score > 1", vec![0]),
        ("meta.lang is null", vec![2]),
        (r#""tags"[1] = 'a'"#, vec![0]),
        (r#""tags.length" = 0"#, vec![1]),
        ("tags.list_contains('b')", vec![0]),
    ] {
        assert_eq!(matching(&app, condition).await, expected, "{condition}");
    }
}

//! Files of datasets, for clusters that fetch them.

use belvedere_tasks::stage::input_path;

use super::*;

/// e093 | somebody asks for the input of a task with another's address, an old one, one that they have made up | there is no such task, or a login is needed
#[tokio::test]
async fn e093_an_address_is_good_for_one_file_of_one_task_for_minutes() {
    let tasks = Tasks::new().await;
    let (id, other) = (tasks.submit(&tasks.ana).await, tasks.submit(&tasks.ana).await);
    let task = tasks.get(&format!("/v1/tasks/{id}"), &tasks.ana).await.json();
    let sha256 = task["dataset"]["files"][0]["sha256"].as_str().unwrap().to_owned();
    let path = input_path(id, &sha256);
    let links = InputLinks::shared(&tasks.app.services).await.unwrap();
    let now = chrono::Utc::now().timestamp();
    let ask = async |path: &str, headers: &[(&str, &str)]| {
        let all = [&[("host", "viewer.test")], headers].concat();
        ask_with(&tasks.router, "GET", path, &all, Vec::new()).await
    };
    let good = format!("{path}?{}", links.sign(&path, now));
    let answer = ask(&good, &[]).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "alcohol,class\n13.2,1\n"));
    assert_eq!(
        (answer.header("cache-control"), answer.header("content-disposition")),
        (Some("no-store"), Some("attachment"))
    );
    let part = ask(&good, &[("range", "bytes=0-6")]).await;
    assert_eq!((part.status, part.text().as_str()), (206, "alcohol"));
    // Its owner needs no address, others have none.
    assert_eq!(tasks.get(&path, &tasks.ana).await.status, 200);
    assert_eq!(tasks.get(&path, &tasks.bob).await.status, 404);
    assert_eq!(ask(&path, &[]).await.status, 401);
    let query = links.sign(&path, now);
    for (path, query) in [
        (input_path(other, &sha256), query.clone()),
        (input_path(id, &"00".repeat(32)), query.clone()),
        (path.clone(), links.sign(&path, now - 3600)),
        (path.clone(), query.replace("expires=1", "expires=2")),
        (path.clone(), "expires=9999999999&signature=AAAA".to_owned()),
    ] {
        assert_eq!(ask(&format!("{path}?{query}"), &[]).await.status, 401, "{path}?{query}");
    }
    let missing = input_path(id, &"00".repeat(32));
    let signed = format!("{missing}?{}", links.sign(&missing, now));
    assert_eq!(ask(&signed, &[]).await.status, 404);
    // When the task has ended nobody needs it any more.
    tasks.ask("POST", &format!("/v1/tasks/{id}/cancel"), &tasks.ana, &[], Vec::new()).await;
    assert_eq!(ask(&good, &[]).await.status, 401);
}

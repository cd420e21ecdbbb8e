//! Pages of filtered rows: what the recording does not settle is taken from it before the comparison.
//!
//! Rows with equal keys of order may come in any order, and where the page begins or ends among them, any of them may be on
//! it. And the reference shows some cells of filtered rows otherwise than its own `/rows` shows them (it copies the rows
//! through another engine): such a row may be as `/rows` was recorded.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::Value;

use crate::same;
use crate::sets::Recorded;

/// The received body with the recorded choice wherever both are right. `rows` are the recorded rows of the split by
/// number.
pub(super) fn settled(recorded: &Recorded, got: &Value, rows: &HashMap<u64, Value>) -> Value {
    let mut body = got.clone();
    let (Some(expected), Some(items)) =
        (recorded.body["rows"].as_array(), body.get_mut("rows").and_then(Value::as_array_mut))
    else {
        return body;
    };
    if let Some(column) = order_column(&recorded.request.param("orderby")) {
        let offset: u64 = recorded.request.param("offset").parse().unwrap_or(0);
        let total = recorded.body["num_rows_total"].as_u64().unwrap_or(0);
        let is_cut = |run: &Range<usize>| {
            (run.start == 0 && offset > 0) || (run.end == expected.len() && offset + (expected.len() as u64) < total)
        };
        for run in runs(expected, &column) {
            if run.end > items.len() {
                break;
            }
            align(&expected[run.clone()], &mut items[run.clone()], &column, is_cut(&run));
        }
    }
    for (item, wanted) in items.iter_mut().zip(expected) {
        let number = item["row_idx"].as_u64();
        let plain = number.and_then(|number| rows.get(&number));
        let is_plain = plain.is_some_and(|plain| same::differences(plain, &item["row"], ".row").is_empty());
        if is_plain && item["row_idx"] == wanted["row_idx"] {
            item["row"] = wanted["row"].clone();
        }
    }
    body
}

/// The column of an order by one column.
fn order_column(order: &str) -> Option<String> {
    let (name, direction) = order.strip_prefix('"')?.rsplit_once('"')?;
    let is_plain = !name.replace("\"\"", "").contains('"');
    let known = matches!(direction.trim().to_ascii_lowercase().as_str(), "" | "asc" | "desc");
    (is_plain && known).then(|| name.replace("\"\"", "\""))
}

/// Positions of rows with equal keys.
fn runs(rows: &[Value], column: &str) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (position, row) in rows.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if rows[run.start]["row"][column] == row["row"][column] => run.end = position + 1,
            _ => runs.push(position..position + 1),
        }
    }
    runs
}

/// Puts rows with the same key in the recorded order. Of a run that the page cuts, others may have been left out.
fn align(expected: &[Value], got: &mut [Value], column: &str, is_cut: bool) {
    let key = &expected[0]["row"][column];
    if got.iter().any(|row| row["row"][column] != *key) {
        return;
    }
    let place = |row: &Value| expected.iter().position(|wanted| wanted["row_idx"] == row["row_idx"]);
    if !is_cut && got.iter().any(|row| place(row).is_none()) {
        return;
    }
    let mut left: Vec<Value> = got.to_vec();
    for (position, wanted) in expected.iter().enumerate() {
        let found = left.iter().position(|row| row["row_idx"] == wanted["row_idx"]);
        got[position] = match found {
            Some(found) => left.swap_remove(found),
            None => wanted.clone(),
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::sets::Request;

    fn page(rows: &[(u64, i64)], total: u64) -> Value {
        let row = |(number, key): &(u64, i64)| json!({"row_idx": number, "row": {"k": key, "n": number}});
        json!({"rows": rows.iter().map(row).collect::<Vec<_>>(), "num_rows_total": total})
    }

    fn is_settled(order: &str, offset: u64, expected: &Value, got: &Value) -> bool {
        let params: Map<String, Value> =
            [("orderby".to_owned(), json!(order)), ("offset".to_owned(), json!(offset))].into_iter().collect();
        let request = Request { path: "/filter".into(), params };
        let recorded = Recorded { request, status_code: 200, error_code: None, revision: None, body: expected.clone() };
        settled(&recorded, got, &HashMap::new()) == *expected
    }

    #[test]
    fn equal_keys_come_in_any_order() {
        let expected = page(&[(4, 1), (2, 2), (3, 2), (9, 5)], 4);
        assert!(is_settled("\"k\"", 0, &expected, &page(&[(4, 1), (3, 2), (2, 2), (9, 5)], 4)));
        assert!(!is_settled("\"k\"", 0, &expected, &page(&[(2, 2), (4, 1), (3, 2), (9, 5)], 4)));
        assert!(!is_settled("\"k\"", 0, &expected, &page(&[(4, 1), (3, 2), (7, 2), (9, 5)], 4)));
        assert!(!is_settled("", 0, &expected, &page(&[(4, 1), (3, 2), (2, 2), (9, 5)], 4)));
    }

    #[test]
    fn a_page_may_end_with_any_of_the_equal_rows() {
        let expected = page(&[(4, 1), (2, 2), (3, 2)], 9);
        assert!(is_settled("\"k\" desc", 0, &expected, &page(&[(4, 1), (7, 2), (2, 2)], 9)));
        assert!(
            !is_settled("\"k\"", 0, &expected, &page(&[(5, 1), (2, 2), (3, 2)], 9)),
            "a run that begins the split is whole"
        );
        assert!(is_settled("\"k\"", 3, &expected, &page(&[(5, 1), (2, 2), (3, 2)], 9)));
        assert!(!is_settled("\"k\"", 3, &expected, &page(&[(5, 0), (2, 2), (3, 2)], 9)));
    }

    #[test]
    fn cells_may_be_as_rows_shows_them() {
        let recorded = |row: Value| Recorded {
            request: Request { path: "/filter".into(), params: Map::new() },
            status_code: 200,
            error_code: None,
            revision: None,
            body: json!({"rows": [{"row_idx": 3, "row": row}]}),
        };
        let recorded = recorded(json!({"t": "05:00Z"}));
        let ours = json!({"rows": [{"row_idx": 3, "row": {"t": "07:00+02:00"}}]});
        let rows = |text: &str| HashMap::from([(3, json!({"t": text}))]);
        assert_eq!(settled(&recorded, &ours, &rows("07:00+02:00")), recorded.body);
        assert_eq!(settled(&recorded, &ours, &rows("08:00+03:00")), ours);
    }
}

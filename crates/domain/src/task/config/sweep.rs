//! Sweeps: the parameters of many tasks, as a grid or as a list, or as a grid around each item of a list.

use serde_json::{Map, Value};

use super::Reader;
use crate::task::strict_json;

/// Most tasks of a sweep.
pub const MAX_POINTS: usize = 10_000;

/// What `sweep` says.
#[derive(Clone, PartialEq, Debug)]
pub struct Sweep {
    /// The parameters of each task, which stand in place of those of the same name in `model_params`.
    pub points: Vec<Map<String, Value>>,
    /// How many of them may be active at a time; `None`: what the server thinks right.
    pub max_parallel: Option<u32>,
}

impl Reader {
    pub(super) fn sweep(&mut self, fields: &Map<String, Value>) -> Option<Sweep> {
        let sweep = self.object(fields, "", "sweep")?;
        let known = ["grid", "list", "max_parallel"];
        for key in sweep.keys().filter(|key| !known.contains(&key.as_str())) {
            let place = format!("/sweep/{}", strict_json::escape(key));
            self.wrong::<()>(place, format!("there is no such field; known are {}", known.join(", ")));
        }
        let max_parallel = match sweep.get("max_parallel") {
            None | Some(Value::Null) => None,
            Some(value) => match value.as_u64().and_then(|number| u32::try_from(number).ok()) {
                Some(number) if number >= 1 => Some(number),
                _ => return self.wrong("/sweep/max_parallel", "expected a whole number from 1"),
            },
        };
        let mut points = match sweep.get("list") {
            None | Some(Value::Null) => vec![Map::new()],
            Some(Value::Array(list)) => self.list(list)?,
            Some(_) => return self.wrong("/sweep/list", "expected a list of objects of parameters"),
        };
        if let Some(grid) = self.object(sweep, "/sweep", "grid") {
            points = self.grid(points, grid)?;
        }
        if points.is_empty() || points.iter().any(Map::is_empty) {
            return self.wrong("/sweep", "expected parameters in `grid` or `list`");
        }
        Some(Sweep { points, max_parallel })
    }

    fn list(&mut self, list: &[Value]) -> Option<Vec<Map<String, Value>>> {
        if list.len() > MAX_POINTS {
            return self.wrong("/sweep/list", format!("a sweep has at most {MAX_POINTS} tasks"));
        }
        let mut points = Vec::with_capacity(list.len());
        for (index, item) in list.iter().enumerate() {
            match item {
                Value::Object(point) => points.push(point.clone()),
                _ => return self.wrong(format!("/sweep/list/{index}"), "expected an object of parameters"),
            }
        }
        Some(points)
    }

    /// Every point with every combination of values; the last name changes fastest.
    fn grid(
        &mut self,
        mut points: Vec<Map<String, Value>>,
        grid: &Map<String, Value>,
    ) -> Option<Vec<Map<String, Value>>> {
        for (name, values) in grid {
            let place = format!("/sweep/grid/{}", strict_json::escape(name));
            let Value::Array(values) = values else { return self.wrong(place, "expected a list of values") };
            if values.is_empty() {
                return self.wrong(place, "expected at least one value");
            }
            if points.len().saturating_mul(values.len()) > MAX_POINTS {
                return self.wrong("/sweep/grid", format!("a sweep has at most {MAX_POINTS} tasks"));
            }
            let with = |point: &Map<String, Value>| {
                let point = point.clone();
                values
                    .iter()
                    .map(move |value| {
                        let mut point = point.clone();
                        point.insert(name.clone(), value.clone());
                        point
                    })
                    .collect::<Vec<_>>()
            };
            points = points.iter().flat_map(with).collect();
        }
        Some(points)
    }
}

#[cfg(test)]
mod tests {
    use crate::task::{State, TaskConfig};

    fn parsed(more: &str) -> Result<TaskConfig, String> {
        let text = format!(r#"{{"runner_location": "local", "model_params": {{"n": 1, "kept": true}}, {more}}}"#);
        TaskConfig::parse(text.as_bytes()).map_err(|errors| errors[0].to_string())
    }

    fn points(sweep: &str) -> Vec<String> {
        let sweep = parsed(&format!(r#""sweep": {sweep}"#)).unwrap().sweep.unwrap();
        sweep.points.into_iter().map(|point| serde_json::Value::Object(point).to_string()).collect()
    }

    #[test]
    fn a_sweep_is_a_grid_or_a_list_or_both() {
        let grid = points(r#"{"grid": {"lr": [0.1, 0.2], "n": [2, "auto"]}}"#);
        assert_eq!(
            grid,
            [r#"{"lr":0.1,"n":2}"#, r#"{"lr":0.1,"n":"auto"}"#, r#"{"lr":0.2,"n":2}"#, r#"{"lr":0.2,"n":"auto"}"#]
        );
        assert_eq!(points(r#"{"list": [{"a": 1}, {"b": [2]}]}"#), [r#"{"a":1}"#, r#"{"b":[2]}"#]);
        assert_eq!(points(r#"{"list": [{"a": 1}], "grid": {"n": [3, 4]}}"#), [r#"{"a":1,"n":3}"#, r#"{"a":1,"n":4}"#]);
    }

    #[test]
    fn a_task_of_a_sweep_has_its_own_parameters_beside_the_shared_ones() {
        let text =
            r#"{"runner_location": "local", "model_params": {"n": 1, "kept": true}, "sweep": {"list": [{"n": 2}]}}"#;
        let config = TaskConfig::stored(text, Some(r#"{"n": 2}"#)).unwrap();
        assert_eq!((config.params_json().as_str(), config.sweep), (r#"{"n":2,"kept":true}"#, None));
    }

    #[test]
    fn sweeps_have_bounds() {
        let wrong = |sweep: &str| parsed(&format!(r#""sweep": {sweep}"#)).unwrap_err();
        let values = (0..1000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        let huge = format!(r#"{{"grid": {{"a": [{values}], "b": [{values}], "c": [{values}]}}}}"#);
        assert!(wrong(&huge).contains("at most 10000 tasks (at `/sweep/grid`)"));
        for (sweep, place) in [
            (r#"{}"#, "/sweep"),
            (r#"{"list": []}"#, "/sweep"),
            (r#"{"list": [{}]}"#, "/sweep"),
            (r#"{"list": [1]}"#, "/sweep/list/0"),
            (r#"{"grid": {"a": 1}}"#, "/sweep/grid/a"),
            (r#"{"grid": {"a/b": []}}"#, "/sweep/grid/a~1b"),
            (r#"{"grid": {"a": [1]}, "max_parallel": 0}"#, "/sweep/max_parallel"),
            (r#"{"gird": {"a": [1]}}"#, "/sweep/gird"),
            (r#"[1]"#, "/sweep"),
        ] {
            let error = wrong(sweep);
            assert!(error.contains(&format!("`{place}`")), "{sweep}: {error}");
        }
    }

    #[test]
    fn only_ends_that_are_not_the_programs_are_retried_unless_asked() {
        let retry = |more: &str| parsed(more).unwrap().retry;
        let none = retry(r#""experiment_name": "x""#);
        assert!(!none.wants_another(1, State::Lost));
        let two = retry(r#""max_retries": 2"#);
        assert!(two.wants_another(2, State::NodeFailed) && !two.wants_another(3, State::NodeFailed));
        for ended in [State::Failed, State::Timeout, State::OutOfMemory, State::Cancelled, State::Succeeded] {
            assert!(!two.wants_another(1, ended), "{ended}");
        }
        let asked = retry(r#""max_retries": 1, "retry_on": ["failed"]"#);
        assert!(asked.wants_another(1, State::Failed) && !asked.wants_another(1, State::Lost));
        for wrong in
            [r#""max_retries": 21"#, r#""max_retries": -1"#, r#""retry_on": ["cancelled"]"#, r#""retry_on": "x""#]
        {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}

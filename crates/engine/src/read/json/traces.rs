//! Logs of coding agents: a row per file (of Hermes, which logs whole sessions, a row per line).
//!
//! A file of JSON Lines is one if its first batch has the columns of a log ([`is_log`]). The row tells which program
//! wrote it, what the user asked first and when, how often they spoke and tools were called, the messages, and the
//! whole log. The reference makes `messages`, `tools` and `metadata` with a library of its own; here messages are those
//! of the log with their role and content, and the other two are there for Hermes alone.

use arrow::array::{RecordBatch, RecordBatchOptions};
use belvedere_domain::features::Dtype;
use belvedere_domain::{Feature, Features};
use serde_json::Value as JsonValue;

use super::{Context, failure};
use crate::error::{EngineError, ErrorKind};
use crate::features_arrow::to_schema;
use crate::read::TableStream;
use crate::read::input::Input;
use crate::read::json::cursor::Fault;
use crate::read::loose::{self, Value};

/// The columns of every log.
pub(super) fn features() -> Features {
    let text = || Feature::Value(Dtype::String);
    let number = || Feature::Value(Dtype::Int64);
    let columns = [
        ("harness", text()),
        ("session_id", text()),
        ("prompt", text()),
        ("messages", Feature::list(Feature::Json)),
        ("tools", Feature::list(Feature::Json)),
        ("metadata", Feature::Json),
        ("sent_at", text()),
        ("num_user_messages", number()),
        ("num_tool_calls", number()),
        ("trace", Feature::Json),
        ("file_path", text()),
    ];
    Features::new(columns.map(|(name, feature)| (name.to_owned(), feature)))
}

/// True for the columns of a log of Claude Code, pi, OpenClaw, Codex, Hermes or Droid, read line by line.
pub(super) fn is_log(columns: &Features) -> bool {
    let is = |name: &str, dtype: &Dtype| matches!(columns.get(name), Some(Feature::Value(found)) if found == dtype);
    let text = |name: &str| is(name, &Dtype::String);
    let json = |name: &str| columns.get(name) == Some(&Feature::Json);
    let list = |name: &str| matches!(columns.get(name), Some(Feature::List { .. } | Feature::Json));
    (text("type") && (json("message") || json("payload")))
        || (["id", "source", "model", "system_prompt"].into_iter().all(text) && list("messages"))
        || (["type", "id", "cwd"].into_iter().all(text) && is("version", &Dtype::Int64))
}

/// The rows of one log.
pub(super) struct TraceStream {
    context: Context,
    input: Input,
    done: bool,
}

/// What the events of a log add up to.
#[derive(Default)]
struct Trace {
    harness: Option<String>,
    session_id: Option<String>,
    prompt: Option<String>,
    messages: Vec<Value>,
    sent_at: Option<String>,
    num_user_messages: i64,
    num_tool_calls: i64,
}

impl TraceStream {
    pub(super) fn new(context: Context) -> Result<Self, EngineError> {
        let input = context.input()?;
        Ok(Self { context, input, done: false })
    }

    fn read_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        // A log is a cell; it has to be in memory as a whole.
        while self.input.more_of_record(0)? {}
        let text = String::from_utf8_lossy(self.input.text()).into_owned();
        let path = self.context.place.path();
        let mut trace = Trace::default();
        let mut rows = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let blank = line.trim().is_empty();
            if !blank {
                let event: JsonValue = serde_json::from_str(line)
                    .map_err(|error| failure(&self.input, start, Fault::At(start, error.to_string())))?;
                match session(&event, line.trim(), &path) {
                    Some(row) => rows.push(row),
                    None => trace.add(&event),
                }
            }
            start += line.len();
        }
        if rows.is_empty() && !text.trim().is_empty() {
            rows.push(trace.into_row(&text, &path));
        }
        table(&rows).map(Some)
    }
}

impl TableStream for TraceStream {
    fn next_table(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        self.read_table().map_err(|error| error.in_file(&self.context.place.path()))
    }

    fn bytes_consumed(&self) -> u64 {
        self.input.bytes_consumed()
    }
}

fn table(rows: &[Vec<Value>]) -> Result<RecordBatch, EngineError> {
    let features = features();
    let column = |(place, (name, feature)): (usize, &(String, Feature))| {
        let values: Vec<&Value> = rows.iter().map(|row| &row[place]).collect();
        loose::column(feature, &values).map_err(|error| error.in_column(name))
    };
    let columns = features.iter().enumerate().map(column).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(to_schema(&features, false), columns, &options)
        .map_err(|error| EngineError::new(ErrorKind::Internal, error))
}

fn text(value: &JsonValue, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn or_null(text: Option<String>) -> Value {
    text.map_or(Value::Null, Value::Text)
}

/// The row of a whole session on one line, as Hermes writes it.
fn session(event: &JsonValue, line: &str, path: &str) -> Option<Vec<Value>> {
    let messages = event.get("messages")?.as_array()?;
    event.get("system_prompt")?.as_str()?;
    let by = |role: &str| messages.iter().filter(|message| text(message, "role").as_deref() == Some(role)).count();
    let calls: usize = messages.iter().filter_map(|message| message.get("tool_calls")?.as_array()).map(Vec::len).sum();
    let prompt = messages.iter().find(|message| text(message, "role").as_deref() == Some("user"));
    let tools = event.get("tools").cloned().map_or(Value::Null, Value::from);
    Some(vec![
        Value::Text("hermes".to_owned()),
        or_null(text(event, "id")),
        or_null(prompt.and_then(|message| content(message.get("content")?))),
        Value::List(messages.iter().cloned().map(Value::from).collect()),
        if matches!(tools, Value::List(_)) { tools } else { Value::Null },
        event.get("metadata").cloned().map_or(Value::Null, Value::from),
        or_null(event.get("started_at").and_then(moment)),
        Value::Int(i64::try_from(by("user")).unwrap_or(i64::MAX)),
        Value::Int(i64::try_from(calls).unwrap_or(i64::MAX)),
        serde_json::from_str::<JsonValue>(line).map_or(Value::Null, Value::from),
        Value::Text(path.to_owned()),
    ])
}

/// Seconds since 1970 as a text in UTC.
fn moment(seconds: &JsonValue) -> Option<String> {
    let micros = seconds.as_f64()? * 1e6;
    let time = chrono::DateTime::from_timestamp_micros(micros as i64)?;
    Some(time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// The text of a message: a text, or the texts of its parts.
fn content(content: &JsonValue) -> Option<String> {
    match content {
        JsonValue::String(text) => Some(text.clone()),
        JsonValue::Array(parts) => {
            let parts: Vec<String> = parts
                .iter()
                .filter_map(|part| part.as_str().map(str::to_owned).or_else(|| text(part, "text")))
                .collect();
            (!parts.is_empty()).then(|| parts.join("\n"))
        }
        _ => None,
    }
}

impl Trace {
    fn add(&mut self, event: &JsonValue) {
        let kind = text(event, "type").unwrap_or_default();
        if self.harness.is_none() {
            self.harness = harness(&kind).map(str::to_owned);
        }
        if self.session_id.is_none() {
            self.session_id = session_id(event, &kind);
            let inside = text(event, "cwd").is_some_and(|folder| folder.contains("/.openclaw/"));
            if self.session_id.is_some() && kind == "session" && inside {
                self.harness = Some("openclaw".to_owned());
            }
        }
        if let Some(prompt) = user_prompt(event, &kind) {
            self.num_user_messages += 1;
            if self.prompt.is_none() {
                self.prompt = Some(prompt);
                self.sent_at = text(event, "timestamp");
            }
        }
        self.num_tool_calls += tool_calls(event, &kind);
        self.messages.extend(message(event, &kind));
    }

    fn into_row(self, log: &str, path: &str) -> Vec<Value> {
        // A log of one event is that event; a longer one is no JSON, and so a text.
        let whole = serde_json::from_str::<JsonValue>(log).map_or_else(|_| Value::Text(log.to_owned()), Value::from);
        vec![
            or_null(self.harness),
            or_null(self.session_id),
            or_null(self.prompt),
            Value::List(self.messages),
            Value::Null,
            Value::Null,
            or_null(self.sent_at),
            Value::Int(self.num_user_messages),
            Value::Int(self.num_tool_calls),
            whole,
            Value::Text(path.to_owned()),
        ]
    }
}

/// The program that writes events of this type.
fn harness(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "user" | "assistant" | "system" => "claude_code",
        "session" | "message" => "pi",
        "session_meta" | "turn_context" | "response_item" | "event_msg" => "codex",
        "session_start" => "droid",
        _ => return None,
    })
}

fn session_id(event: &JsonValue, kind: &str) -> Option<String> {
    let named = text(event, "sessionId").or_else(|| text(event, "session_id"));
    named.or_else(|| text(event.get("payload")?, "id")).or_else(|| {
        let starts = matches!(kind, "session" | "session_start");
        if starts { text(event, "id") } else { None }
    })
}

/// What the user said, in events that say so.
fn user_prompt(event: &JsonValue, kind: &str) -> Option<String> {
    let message = event.get("message").filter(|message| message.is_object());
    match (kind, message) {
        ("user", Some(message)) if text(message, "role").as_deref() == Some("user") => content(message.get("content")?),
        // Context that programs put in, and notes that nobody sends, are no prompts.
        ("message", Some(message))
            if text(message, "role").as_deref() == Some("user")
                && !matches!(text(message, "visibility").as_deref(), Some("llm_only" | "user_only")) =>
        {
            content(message.get("content")?)
        }
        ("message", _) if text(event, "role").as_deref() == Some("user") => content(event.get("content")?),
        // Other messages of users in these logs may hold files.
        ("event_msg", _) => {
            let payload = event.get("payload")?;
            let said = text(payload, "type").as_deref() == Some("user_message");
            if said { content(payload.get("message")?) } else { None }
        }
        _ => None,
    }
}

fn tool_calls(event: &JsonValue, kind: &str) -> i64 {
    if kind == "response_item" {
        let called = event.get("payload").and_then(|payload| text(payload, "type"));
        return i64::from(called.as_deref() == Some("function_call"));
    }
    let message = event.get("message").filter(|_| matches!(kind, "assistant" | "message"));
    let parts = message
        .filter(|message| text(message, "role").as_deref() == Some("assistant"))
        .and_then(|message| message.get("content")?.as_array());
    let is_call = |part: &&JsonValue| matches!(text(part, "type").as_deref(), Some("tool_use" | "toolCall"));
    parts.map_or(0, |parts| i64::try_from(parts.iter().filter(is_call).count()).unwrap_or(i64::MAX))
}

/// The message of an event, with its role and content.
fn message(event: &JsonValue, kind: &str) -> Option<Value> {
    let message = match kind {
        "user" | "assistant" => event.get("message")?,
        "message" => event.get("message").unwrap_or(event),
        "response_item" => {
            let payload = event.get("payload")?;
            if text(payload, "type").as_deref() != Some("message") {
                return None;
            }
            payload
        }
        _ => return None,
    };
    let role = text(message, "role")?;
    let content = message.get("content").cloned().map_or(Value::Null, Value::from);
    Some(Value::Object(vec![("role".to_owned(), Value::Text(role)), ("content".to_owned(), content)]))
}

#[cfg(test)]
mod tests {
    use belvedere_domain::data_files::Reader;
    use serde_json::json;

    use crate::read::testing::read;

    const CLAUDE: &str = concat!(
        r#"{"type":"user","sessionId":"s1","timestamp":"2026-01-02T03:04:05Z","message":{"role":"user","content":"fix it"}}"#,
        "\n",
        r#"{"type":"assistant","sessionId":"s1","message":{"role":"assistant","content":[{"type":"tool_use","name":"ls"}],"id":1}}"#,
        "\n"
    );

    #[test]
    fn a_log_is_one_row() {
        insta::assert_snapshot!(read(Reader::Json, &json!({}), "a.jsonl", CLAUDE), @r#"
        harness: string, session_id: string, prompt: string, messages: [Json], tools: [Json], metadata: Json, sent_at: string, num_user_messages: int64, num_tool_calls: int64, trace: Json, file_path: string
        claude_code | s1 | fix it | [{"role":"user","content":"fix it"}, {"role":"assistant","content":[{"type":"tool_use","name":"ls"}]}] | null | null | 2026-01-02T03:04:05Z | 1 | 1 | "{\"type\":\"user\",\"sessionId\":\"s1\",\"timestamp\":\"2026-01-02T03:04:05Z\",\"message\":{\"role\":\"user\",\"content\":\"fix it\"}}\n{\"type\":\"assistant\",\"sessionId\":\"s1\",\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"name\":\"ls\"}],\"id\":1}}\n" | a.jsonl
        "#);
    }

    #[test]
    fn logs_of_codex_tell_prompts_and_calls() {
        let log = concat!(
            r#"{"type":"session_meta","payload":{"id":"c1"}}"#,
            "\n",
            r#"{"type":"event_msg","payload":{"type":"user_message","message":"hello"}}"#,
            "\n",
            r#"{"type":"response_item","payload":{"type":"function_call","name":"sh"}}"#,
            "\n",
            r#"{"type":"response_item","payload":{"type":"message","role":"assistant","content":[{"type":"text","text":"hi"}]}}"#,
            "\n"
        );
        let shown = read(Reader::Json, &json!({}), "a.jsonl", log);
        let row = shown.lines().nth(1).unwrap();
        assert!(row.starts_with("codex | c1 | hello | [") && row.contains(" | 1 | 1 | "), "{row}");
    }

    #[test]
    fn a_session_on_a_line_is_a_row() {
        let line = |id: &str| {
            let line = json!({"id": id, "source": "cli", "model": "m", "system_prompt": "be kind", "started_at": 1.5e9,
                "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": [1, 2]}]});
            format!("{line}\n")
        };
        let shown = read(Reader::Json, &json!({}), "a.jsonl", line("a") + &line("b"));
        let rows: Vec<&str> = shown.lines().skip(1).collect();
        assert_eq!(rows.len(), 2, "{shown}");
        assert!(
            rows[1].starts_with("hermes | b | hi | ") && rows[1].contains(" | 2017-07-14T02:40:00.000Z | 1 | 2 | "),
            "{shown}"
        );
    }

    #[test]
    fn logs_are_lines_when_the_card_says_so() {
        let lines = read(Reader::Json, &json!({"parse_agent_traces": false}), "a.jsonl", CLAUDE);
        assert!(lines.starts_with("type: string, sessionId: string, timestamp: "), "{lines}");
        let plain = read(Reader::Json, &json!({}), "a.jsonl", "{\"type\":\"user\",\"message\":\"hi\"}\n");
        assert!(plain.starts_with("type: string, message: string"), "{plain}");
    }

    #[test]
    fn a_line_that_is_no_json_is_told() {
        let broken = read(Reader::Json, &json!({}), "a.jsonl", format!("{CLAUDE}{{\"type\":"));
        assert!(broken.contains("a.jsonl, line 3: "), "{broken}");
    }
}

//! YAML text → a tree that remembers lines.
//!
//! Front matter comes from strangers, so depth, nodes and text are budgeted *after* aliases are expanded: a
//! "billion laughs" document fails at once. Plain scalars follow YAML 1.1 (see `scalar`).

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Number, Value as JsonValue};

use super::CardError;
use super::scalar;

/// Deepest nesting of lists and mappings.
const MAX_DEPTH: usize = 64;
/// Most nodes after expansion of aliases.
const MAX_NODES: usize = 1_000_000;
/// Most bytes of text after expansion of aliases.
const MAX_TEXT_BYTES: usize = 32 << 20;

/// A value and the line where it starts.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Line in the file, from 1.
    pub line: usize,
    /// The value.
    pub value: Yaml,
}

/// A YAML value.
#[derive(Clone, PartialEq, Debug)]
pub enum Yaml {
    /// `null`, `~` or nothing.
    Null,
    /// `true`, `yes`, `on`, ….
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number with a decimal point.
    Float(f64),
    /// An unquoted date or time, kept as written. YAML 1.1 does not take it as text.
    Timestamp(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping in order; keys are unique.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Yaml::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn list(&self) -> Option<&[Self]> {
        match &self.value {
            Yaml::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if it is a mapping.
    pub fn map(&self) -> Option<&[(Self, Self)]> {
        match &self.value {
            Yaml::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a text key of a mapping; `None` also when it is null.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let (_, value) = self.map()?.iter().find(|(name, _)| name.text() == Some(key))?;
        (value.value != Yaml::Null).then_some(value)
    }

    /// False for null, false, zero, and everything empty: how Python would judge it.
    pub fn is_truthy(&self) -> bool {
        match &self.value {
            Yaml::Null => false,
            Yaml::Bool(value) => *value,
            Yaml::Int(value) => *value != 0,
            Yaml::Float(value) => *value != 0.0,
            Yaml::Timestamp(_) => true,
            Yaml::Text(text) => !text.is_empty(),
            Yaml::List(items) => !items.is_empty(),
            Yaml::Map(entries) => !entries.is_empty(),
        }
    }

    /// A scalar as text; booleans as `True` and `False`. `None` for null, lists and mappings.
    pub fn scalar_text(&self) -> Option<String> {
        match &self.value {
            Yaml::Bool(true) => Some("True".to_owned()),
            Yaml::Bool(false) => Some("False".to_owned()),
            Yaml::Int(value) => Some(value.to_string()),
            Yaml::Float(value) => Some(value.to_string()),
            Yaml::Timestamp(text) | Yaml::Text(text) => Some(text.clone()),
            Yaml::Null | Yaml::List(_) | Yaml::Map(_) => None,
        }
    }

    /// The value as JSON. Dates become texts, `.nan` and `.inf` null, keys texts.
    pub fn to_json(&self) -> JsonValue {
        match &self.value {
            Yaml::Null => JsonValue::Null,
            Yaml::Bool(value) => (*value).into(),
            Yaml::Int(value) => json_integer(*value),
            Yaml::Float(value) => Number::from_f64(*value).map_or(JsonValue::Null, JsonValue::Number),
            Yaml::Timestamp(text) | Yaml::Text(text) => text.clone().into(),
            Yaml::List(items) => items.iter().map(Self::to_json).collect(),
            Yaml::Map(entries) => JsonValue::Object(
                entries
                    .iter()
                    .map(|(key, value)| {
                        (key.scalar_text().unwrap_or_else(|| key.to_json().to_string()), value.to_json())
                    })
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// What kind of value it is, for messages.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Yaml::Null => "nothing",
            Yaml::Bool(_) => "a yes/no value (write it in quotes if it is meant as text)",
            Yaml::Int(_) | Yaml::Float(_) => "a number (write it in quotes if it is meant as text)",
            Yaml::Timestamp(_) => "a date (write it in quotes if it is meant as text)",
            Yaml::Text(_) => "text",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a mapping",
        }
    }
}

fn json_integer(value: i128) -> JsonValue {
    if let Ok(value) = i64::try_from(value) {
        value.into()
    } else if let Ok(value) = u64::try_from(value) {
        value.into()
    } else {
        Number::from_f64(value as f64).map_or(JsonValue::Null, JsonValue::Number)
    }
}

/// Reads one YAML document. `first_line` is the line of the file where `text` begins, from 1.
///
/// # Errors
/// [`CardError`] with the line, when the text is not YAML or exceeds a budget.
pub fn parse(text: &str, first_line: usize) -> Result<Node, CardError> {
    let mut builder = Builder { offset: first_line - 1, ..Builder::default() };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            CardError::new(format!("not valid YAML: {}", error.info())).at(error.marker().line() + builder.offset)
        })?;
        builder.event(event, span.start.line() + builder.offset)?;
    }
    Ok(builder.root.unwrap_or(Node { line: first_line, value: Yaml::Null }))
}

/// A collection under construction.
struct Open {
    line: usize,
    anchor: usize,
    nodes_before: usize,
    text_before: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(Vec<(Node, Node)>, Option<Node>),
}

/// A finished anchored value, with what its expansion costs.
struct Anchored {
    node: Node,
    nodes: usize,
    text_bytes: usize,
}

#[derive(Default)]
struct Builder {
    offset: usize,
    documents: usize,
    nodes: usize,
    text_bytes: usize,
    stack: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    root: Option<Node>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, line: usize) -> Result<(), CardError> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(CardError::new("a second YAML document begins here, expected only one").at(line));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(1, text.len(), line)?;
                let value = scalar_value(&text, style, tag.as_deref(), line)?;
                let node = Node { line, value };
                if anchor != 0 {
                    let anchored = Anchored { node: node.clone(), nodes: 1, text_bytes: text.len() };
                    self.anchors.insert(anchor, anchored);
                }
                self.add(node)?;
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_deref(), "seq", line)?;
                self.open(anchor, Content::List(Vec::new()), line)?;
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_deref(), "map", line)?;
                self.open(anchor, Content::Map(Vec::new(), None), line)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(anchor) => {
                let Some(anchored) = self.anchors.get(&anchor) else {
                    return Err(CardError::new("an alias refers to a value that contains it").at(line));
                };
                let (nodes, text_bytes) = (anchored.nodes, anchored.text_bytes);
                self.spend(nodes, text_bytes, line)?;
                let node = self.anchors[&anchor].node.clone();
                if self.stack.len() + depth(&node) > MAX_DEPTH {
                    return Err(too_deep(line));
                }
                self.add(node)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn spend(&mut self, nodes: usize, text_bytes: usize, line: usize) -> Result<(), CardError> {
        self.nodes += nodes;
        self.text_bytes += text_bytes;
        if self.nodes > MAX_NODES || self.text_bytes > MAX_TEXT_BYTES {
            return Err(CardError::new(format!(
                "the YAML is too large: more than {MAX_NODES} values or {} MB of text after its aliases are expanded",
                MAX_TEXT_BYTES >> 20
            ))
            .at(line));
        }
        Ok(())
    }

    fn open(&mut self, anchor: usize, content: Content, line: usize) -> Result<(), CardError> {
        let (nodes_before, text_before) = (self.nodes, self.text_bytes);
        self.spend(1, 0, line)?;
        if self.stack.len() >= MAX_DEPTH {
            return Err(too_deep(line));
        }
        self.stack.push(Open { line, anchor, nodes_before, text_before, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), CardError> {
        let open = self.stack.pop().expect("the parser closes only what it opened");
        let value = match open.content {
            Content::List(items) => Yaml::List(items),
            Content::Map(entries, _) => Yaml::Map(unique(merge(entries)?)),
        };
        let node = Node { line: open.line, value };
        if open.anchor != 0 {
            let (nodes, text_bytes) = (self.nodes - open.nodes_before, self.text_bytes - open.text_before);
            self.anchors.insert(open.anchor, Anchored { node: node.clone(), nodes, text_bytes });
        }
        self.add(node)
    }

    fn add(&mut self, node: Node) -> Result<(), CardError> {
        match self.stack.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map(entries, key)) => match key.take() {
                None if matches!(node.value, Yaml::List(_) | Yaml::Map(_)) => {
                    return Err(CardError::new("a key must be a plain value").at(node.line));
                }
                None => *key = Some(node),
                Some(name) => entries.push((name, node)),
            },
        }
        Ok(())
    }
}

fn too_deep(line: usize) -> CardError {
    CardError::new(format!("the YAML is nested deeper than {MAX_DEPTH} levels")).at(line)
}

fn depth(node: &Node) -> usize {
    match &node.value {
        Yaml::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Yaml::Map(entries) => 1 + entries.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
        _ => 0,
    }
}

/// Replaces `<<: *defaults` by the entries it names; own entries win. What it copies was paid for by the alias.
fn merge(entries: Vec<(Node, Node)>) -> Result<Vec<(Node, Node)>, CardError> {
    if !entries.iter().any(|(key, _)| key.text() == Some("<<")) {
        return Ok(entries);
    }
    let (merges, own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| key.text() == Some("<<"));
    let mut merged = Vec::new();
    for (key, value) in merges {
        let sources = match value.value {
            // In a list, earlier mappings win over later ones.
            Yaml::List(items) => items.into_iter().rev().collect(),
            _ => vec![value],
        };
        for source in sources {
            let Yaml::Map(source) = source.value else {
                return Err(CardError::new("`<<` must be followed by a mapping or a list of mappings").at(key.line));
            };
            merged.extend(source);
        }
    }
    merged.extend(own);
    Ok(merged)
}

/// Of equal keys, the first keeps its place and the last its value.
fn unique(entries: Vec<(Node, Node)>) -> Vec<(Node, Node)> {
    let mut places: HashMap<String, usize> = HashMap::with_capacity(entries.len());
    let mut unique: Vec<(Node, Node)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let identity = format!("{:?}", key.value);
        match places.get(&identity) {
            Some(&place) => unique[place].1 = value,
            None => {
                places.insert(identity, unique.len());
                unique.push((key, value));
            }
        }
    }
    unique
}

fn scalar_value(text: &str, style: ScalarStyle, tag: Option<&Tag>, line: usize) -> Result<Yaml, CardError> {
    let Some(tag) = tag else {
        return Ok(if style == ScalarStyle::Plain { scalar::resolve(text) } else { Yaml::Text(text.to_owned()) });
    };
    if !tag.is_yaml_core_schema() {
        // A lone `!` means "do not guess".
        return if is_lone_bang(tag) { Ok(Yaml::Text(text.to_owned())) } else { Err(unknown_tag(tag, line)) };
    }
    let resolved = scalar::resolve(text);
    match (tag.suffix.as_str(), resolved) {
        ("str", _) => Ok(Yaml::Text(text.to_owned())),
        ("null", _) => Ok(Yaml::Null),
        ("bool", value @ Yaml::Bool(_))
        | ("int", value @ Yaml::Int(_))
        | ("float", value @ Yaml::Float(_))
        | ("timestamp", value @ Yaml::Timestamp(_)) => Ok(value),
        ("float", Yaml::Int(value)) => Ok(Yaml::Float(value as f64)),
        ("bool" | "int" | "float" | "timestamp", _) => {
            Err(CardError::new(format!("`{text}` is not of the type `!!{}`", tag.suffix)).at(line))
        }
        _ => Err(unknown_tag(tag, line)),
    }
}

fn is_lone_bang(tag: &Tag) -> bool {
    matches!((tag.handle.as_str(), tag.suffix.as_str()), ("", "!") | ("!", ""))
}

fn check_tag(tag: Option<&Tag>, expected: &str, line: usize) -> Result<(), CardError> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == expected || is_lone_bang(tag)) => {
            Err(unknown_tag(tag, line))
        }
        _ => Ok(()),
    }
}

fn unknown_tag(tag: &Tag, line: usize) -> CardError {
    CardError::new(format!("the YAML tag `{tag}` is not supported; remove it")).at(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        parse(text, 1).expect("valid").to_json().to_string()
    }

    fn error(text: &str) -> String {
        parse(text, 1).expect_err("invalid").to_string()
    }

    #[test]
    fn aliases_and_merge_keys_are_expanded() {
        assert_eq!(json("a: &x [1, 2]\nb: *x"), r#"{"a":[1,2],"b":[1,2]}"#);
        assert_eq!(
            json("base: &b {sep: ';', n: 1}\nuse:\n  <<: *b\n  n: 2"),
            r#"{"base":{"sep":";","n":1},"use":{"sep":";","n":2}}"#
        );
    }

    #[test]
    fn a_repeated_key_keeps_its_first_place_and_takes_the_last_value() {
        assert_eq!(json("a: 1\nb: 2\na: 3"), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn quotes_and_tags_make_texts() {
        assert_eq!(json("['yes', \"1\", !!str 1, ! no, yes]"), r#"["yes","1","1","no",true]"#);
    }

    /// e103 | the card of a dataset multiplies itself through aliases | it is refused as too large when it would exceed its budget
    #[test]
    fn e103_a_billion_laughs_are_refused() {
        let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
        for level in 1..10 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(error(&text).contains("too large"), "{}", error(&text));
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(error(&"[".repeat(100)).contains("nested deeper"));
        let blocks: String = (0..100).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        assert!(error(&blocks).contains("nested deeper"));
    }

    /// e103 | the card refers to a value inside itself | it is refused with the line
    #[test]
    fn e103_an_alias_inside_its_own_value_is_refused() {
        assert!(error("a: &a [*a]").contains("line 1"), "{}", error("a: &a [*a]"));
    }

    /// e103 | the card is malformed, asks for objects of Python, or holds several documents | it is refused with the line, and no tag does anything
    #[test]
    fn e103_errors_tell_the_line_of_the_file() {
        let text = "configs:\n- config_name: [unclosed\n";
        let error = parse(text, 2).expect_err("invalid").to_string();
        assert!(error.contains("line 4") || error.contains("line 3"), "{error}");
        assert!(parse("a: !python/object:os.system x", 1).is_err());
        assert!(parse("a: 1\n---\nb: 2", 1).is_err());
    }

    #[test]
    fn nothing_is_null() {
        assert_eq!(json(""), "null");
        assert_eq!(json("# only a comment"), "null");
    }
}

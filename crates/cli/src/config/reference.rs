//! The reference of all settings as a Markdown page, `docs/configuration.md`, and as JSON.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::table::Described;
use super::{Fate, RETIRED, RetiredFate, SECTIONS, Section, Setting, settings};

const HEAD: &str = "\
# Configuration

<!-- Generated from the table of settings in crates/cli/src/config: `UPDATE_DOCS=1 cargo test -p belvedere`. -->

Nothing has to be configured: `belvedere serve FOLDER` works with the defaults. Every setting has a name in a TOML file
and a variable; most variables are those of the dataset viewer of the Hugging Face Hub, with the same meaning.
`belvedere config show` prints the values that hold and where each comes from.

## Where values come from

In rising precedence:

1. the default;
2. the configuration file: the one named by `--config FILE`, else `belvedere.toml` in the current directory;
3. the environment;
4. the secrets directory, see [`secrets`](#secrets);
5. a flag: `--set section.key=VALUE`, or the flag named at the setting.

```toml
# belvedere.toml
[worker]
slots = 4
job_types_blocked = [\"split-first-rows\"]
```

is the same as `WORKER_SLOTS=4 WORKER_JOB_TYPES_BLOCKED=split-first-rows`.

Whatever is wrong stops the start with a message that names the setting, where its value came from, and the bound.

## How values are written

- Integers and numbers may contain underscores between digits: `10_000_000`. An empty text is an error. A number without
  which a setting works may be unset again by `none`.
- Booleans: `1`, `t`, `true`, `on`, `y`, `yes` and `0`, `f`, `false`, `off`, `n`, `no`, in any case.
- Lists: items separated by commas and trimmed, or a list of strings in TOML. An empty text is an empty list.
- Paths, secrets and optional texts: an empty variable is the same as none.
- In variables, `$NAME`, `${NAME}` and `${NAME:-default}` stand for other variables; `\\$` is a dollar sign. Files, secrets
  and flags are taken as they are.
- In the file, keys that are no settings are refused. Older names are understood in the environment only.
";

/// The page.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    differences(&mut page);
    page.push_str(
        "\n## Settings\n\n\
         \"Named by\" tells which descriptions of the original services have the variable, by its current or an older name.\n",
    );
    for section in SECTIONS {
        write_section(&mut page, section);
    }
    older_names(&mut page);
    secret_files(&mut page);
    retired(&mut page);
    page
}

/// The table as JSON: `settings` and `not_settings`.
pub fn json() -> Json {
    let rows: Vec<Json> = settings().map(setting_json).collect();
    let retired: Vec<Json> = RETIRED
        .iter()
        .map(|retired| {
            let kind = match retired.fate {
                RetiredFate::NoEffect(_) => "no_effect",
                RetiredFate::Ambient(_) => "not_read",
                RetiredFate::Refused(_) => "refused",
            };
            json!({"variable": retired.variable, "fate": kind, "reason": retired.fate.reason()})
        })
        .collect();
    json!({"settings": rows, "not_settings": retired})
}

fn setting_json(setting: &Setting) -> Json {
    let (fate, part) = match setting.fate {
        Fate::Read(part) => ("read", part),
        Fate::Built(_, part) => ("built", part),
        Fate::Later(part) => ("later", part),
    };
    json!({
        "name": setting.path(),
        "variable": setting.variable(),
        "older_names": setting.aliases,
        "type": setting.kind,
        "unit": or_null(setting.unit),
        "default": or_null(setting.default),
        "default_in_serve": setting.serve.unwrap_or(setting.default),
        "default_in_reference": setting.reference.or(setting.serve).unwrap_or(setting.default),
        "min": setting.min,
        "max": setting.max,
        "secret": setting.secret,
        "flag": or_null(setting.flag),
        "fate": fate,
        "part": part,
        "doc": paragraph(setting.doc),
    })
}

fn or_null(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn differences(page: &mut String) {
    page.push_str(
        "\n## Where our defaults differ\n\n\
         The defaults suit one machine. `COMPAT=reference` puts the limits and rules of the reference back as far as they\n\
         show in answers, whatever the command; when jobs are started is left to the machine at hand. A setting with a\n\
         value of its own keeps it.\n\n\
         | setting | in `serve` and `check` | in `api` and `worker` | `COMPAT=reference` | why |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for setting in settings().filter(|setting| setting.serve.is_some() || setting.reference.is_some()) {
        let serve = setting.serve.unwrap_or(setting.default);
        // Where the reference has no value of its own, the preset changes nothing.
        let reference = setting.reference.unwrap_or("unchanged");
        line(
            page,
            &[
                format!("`{}`", setting.path()),
                format!("`{serve}`"),
                format!("`{}`", setting.default),
                if reference == "unchanged" { reference.to_owned() } else { format!("`{reference}`") },
                setting.why.to_owned(),
            ],
        );
    }
}

fn write_section(page: &mut String, section: &Section) {
    let title = if section.name.is_empty() { "general" } else { section.name };
    let _ = write!(page, "\n### {title}\n\n{}\n", paragraph(section.doc));
    for setting in section.settings {
        let _ = write!(page, "\n#### `{}`\n\n{}\n\n", setting.variable(), paragraph(setting.doc));
        let _ = writeln!(page, "- in TOML: `{}`{}", setting.path(), with(" · flag: `", setting.flag, "`"));
        let _ = writeln!(page, "- type: {}{}{}", setting.kind, with(", in ", setting.unit, ""), bounds(setting));
        let _ = writeln!(page, "- default: {}", defaults(setting));
        if !setting.why.is_empty() && setting.serve.is_none() && setting.reference.is_none() {
            let _ = writeln!(page, "- differs because {}", setting.why);
        }
        let _ = match setting.fate {
            Fate::Read(part) => writeln!(page, "- read by: {part}"),
            Fate::Built(feature, part) => writeln!(
                page,
                "- read by: {part}, in programs built with the cargo feature `{feature}`; in others a value is noted in the log"
            ),
            Fate::Later(part) => {
                writeln!(page, "- **no effect yet**: this version comes without {part}; a value is noted in the log")
            }
        };
        if !setting.described.is_empty() {
            let _ = writeln!(page, "- named by: {}", described(setting.described));
        }
    }
}

fn bounds(setting: &Setting) -> String {
    // An unset bound of the type itself, such as 65535 for a port, is told by the error.
    match (setting.min, setting.max) {
        (Some(min), Some(max)) => format!(", from {min} to {max}"),
        (Some(min), None) => format!(", at least {min}"),
        (None, Some(max)) => format!(", at most {max}"),
        (None, None) => String::new(),
    }
}

/// The defaults of a setting in words.
pub(crate) fn defaults(setting: &Setting) -> String {
    let show = |text: &str| if text.is_empty() { "none".to_owned() } else { format!("`{text}`") };
    let mut text = show(setting.default);
    if let Some(serve) = setting.serve {
        let _ = write!(text, "; in `serve` and `check` {}", show(serve));
    }
    if let Some(reference) = setting.reference {
        let _ = write!(text, "; with `COMPAT=reference` {}", show(reference));
    }
    text
}

fn described(documents: &[Described]) -> String {
    let name = |document: &Described| match document {
        Described::Admin2022 => "the admin service of 2022",
        Described::Admin2024 => "the admin service of 2024",
        Described::Worker2022 => "the worker of 2022",
        Described::Worker2023 => "the worker of 2023",
    };
    documents.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn older_names(page: &mut String) {
    page.push_str(
        "\n## Older names\n\n\
         Understood in the environment, with one warning in the log. When both names are set, the current one holds.\n\n\
         | older name | current name |\n| --- | --- |\n",
    );
    for setting in settings() {
        for alias in setting.aliases {
            line(page, &[format!("`{alias}`"), format!("`{}`", setting.variable())]);
        }
    }
}

fn secret_files(page: &mut String) {
    page.push_str(
        "\n## Secrets from files\n\n\
         A file in the secrets directory may be named like any variable above, or like this:\n\n\
         | file | setting |\n| --- | --- |\n",
    );
    for setting in settings() {
        for file in setting.secret_files {
            line(page, &[format!("`{file}`"), format!("`{}`", setting.variable())]);
        }
    }
}

fn retired(page: &mut String) {
    page.push_str(
        "\n## Variables of the reference that are no settings here\n\n\
         | variable | when it is set | reason |\n| --- | --- | --- |\n",
    );
    for retired in RETIRED {
        let effect = match retired.fate {
            RetiredFate::NoEffect(_) => "noted in the log",
            RetiredFate::Ambient(_) => "not read",
            RetiredFate::Refused(_) => "the start is refused",
        };
        line(page, &[format!("`{}`", retired.variable), effect.to_owned(), retired.fate.reason().to_owned()]);
    }
}

fn line(page: &mut String, cells: &[String]) {
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

fn with(before: &str, text: &str, after: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{before}{text}{after}") }
}

/// A doc comment as running text.
pub(crate) fn paragraph(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

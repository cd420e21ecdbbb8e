//! What a Hub says about a dataset: its commit, who may read it, and its files.

use belvedere_domain::{DatasetName, FileEntry, Manifest, Revision};
use serde::Deserialize;
use serde_json::Value as Json;
use ureq::http::HeaderMap;

use super::address::segment;
use super::http::{Call, Client, HttpError};

/// Most files of a dataset: the limit of the Hub itself.
const MAX_FILES: usize = 1_000_000;

/// What is known about a revision of a dataset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Info {
    pub(super) revision: Revision,
    pub(super) private: bool,
    pub(super) gated: bool,
    pub(super) disabled: bool,
    /// `None` when the Hub does not tell.
    pub(super) tags: Option<Vec<String>>,
    pub(super) author: Option<String>,
}

/// What asking for a dataset led to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    Found(Info),
    /// There is none, or none that the token may know of, or it has another name now.
    Missing,
    /// Turned off by the Hub.
    Disabled,
}

#[derive(Deserialize)]
struct InfoJson {
    id: String,
    sha: Option<String>,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    gated: Json,
    #[serde(default)]
    disabled: bool,
    tags: Option<Vec<String>>,
    author: Option<String>,
}

/// Asks for a dataset at a branch.
pub(super) async fn ask(
    client: &Client,
    dataset: &DatasetName,
    branch: &str,
    attempts: usize,
) -> Result<Asked, HttpError> {
    let url = client.endpoint().at(&format!("/api/datasets/{dataset}/revision/{}", segment(branch)));
    let info: InfoJson = match client.json(Call::get(url), attempts).await {
        Ok((_, info)) => info,
        Err(error) => return what_failed(error),
    };
    if info.id != dataset.as_str() {
        tracing::debug!(dataset.name = %dataset, now = info.id, "the dataset has another name");
        return Ok(Asked::Missing);
    }
    let Some(revision) = info.sha.and_then(|sha| Revision::new(sha).ok()) else {
        return Err(HttpError::Unexpected("a dataset without a commit".to_owned()));
    };
    Ok(Asked::Found(Info {
        revision,
        private: info.private,
        gated: !matches!(info.gated, Json::Null | Json::Bool(false)),
        disabled: info.disabled,
        tags: info.tags,
        author: info.author,
    }))
}

fn what_failed(error: HttpError) -> Result<Asked, HttpError> {
    match &error {
        HttpError::Status { message, .. } if is_disabled(message) => Ok(Asked::Disabled),
        // Without a token, what is private looks like what is missing. Another revision does not exist: the branch is
        // missing, and with it all that could be shown.
        HttpError::Status { status: 401 | 404, code, .. } if code.as_deref() != Some("GatedRepo") => Ok(Asked::Missing),
        _ => Err(error),
    }
}

/// Whether the words of an error say that the dataset is turned off.
pub(super) fn is_disabled(message: &str) -> bool {
    message.contains("is disabled")
}

/// Whether the owner of a private dataset pays for having it shown.
pub(super) async fn is_paying(client: &Client, owner: &str, attempts: usize) -> Result<bool, HttpError> {
    let url = client.endpoint().at(&format!("/api/whoisthis?name={}", segment(owner)));
    let (_, who): (_, Json) = client.json(Call::get(url), attempts).await?;
    Ok(who["isPro"] == Json::Bool(true) || !who["plan"].is_null())
}

#[derive(Deserialize)]
pub(super) struct TreeItem {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) path: String,
    oid: String,
    #[serde(default)]
    size: u64,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

/// The files of a revision.
pub(super) async fn files(client: &Client, dataset: &DatasetName, revision: &str) -> Result<Manifest, HttpError> {
    let mut files = Vec::new();
    let path = format!("/api/datasets/{dataset}/tree/{}?recursive=true&expand=false", segment(revision));
    let mut next = Some(client.endpoint().at(&path));
    while let Some(url) = next {
        let (headers, items): (HeaderMap, Vec<TreeItem>) = client.json(Call::get(url), client.patient()).await?;
        let is_empty = items.is_empty();
        files.extend(items.into_iter().filter_map(entry));
        if files.len() > MAX_FILES {
            return Err(HttpError::Unexpected(format!("a dataset of more than {MAX_FILES} files")));
        }
        next = next_page(&headers)?;
        // The token goes along, and a list that never ends is none.
        if let Some(url) = &next
            && (is_empty || !client.endpoint().owns(url))
        {
            return Err(HttpError::Unexpected("a list that goes on elsewhere or nowhere".to_owned()));
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    Ok(Manifest::new(files))
}

/// The file of an item; `None` for a directory and for what cannot be the path or the id of a file.
fn entry(item: TreeItem) -> Option<FileEntry> {
    let is_id = |id: &str, digits: usize| id.len() == digits && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if item.kind != "file" || !is_plain(&item.path) {
        return None;
    }
    let (size, content_id) = match item.lfs {
        Some(lfs) => {
            let oid = lfs.oid.strip_prefix("sha256:").unwrap_or(&lfs.oid);
            (lfs.size, is_id(oid, 64).then(|| oid.to_ascii_lowercase())?)
        }
        None => (item.size, is_id(&item.oid, 40).then(|| format!("{GIT_ID}{}", item.oid.to_ascii_lowercase()))?),
    };
    Some(FileEntry { path: item.path, size, content_id })
}

/// What stands before the id of a small file: that of the git object.
pub(super) const GIT_ID: &str = "git:";

fn is_plain(path: &str) -> bool {
    !path.contains(['\0', '\\']) && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// The address of the next page: `Link: <URL>; rel="next"`.
pub(super) fn next_page(headers: &HeaderMap) -> Result<Option<String>, HttpError> {
    for value in headers.get_all("link") {
        let value = value.to_str().map_err(|_| HttpError::Unexpected("a link that is no text".to_owned()))?;
        for link in value.split(',') {
            if let Some((url, rest)) = link.trim().strip_prefix('<').and_then(|link| link.split_once('>'))
                && rest.split(';').any(|part| matches!(part.trim(), "rel=\"next\"" | "rel=next"))
            {
                return Ok(Some(url.to_owned()));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(json: &Json) -> Option<FileEntry> {
        entry(serde_json::from_value(json.clone()).unwrap())
    }

    #[test]
    fn small_files_go_by_their_git_id_and_large_ones_by_their_sha256() {
        let (git, sha) = ("a".repeat(40), "b".repeat(64));
        let small = serde_json::json!({"type": "file", "path": "README.md", "oid": git, "size": 3});
        assert_eq!(item(&small).unwrap().content_id, format!("git:{git}"));
        let large = serde_json::json!({"type": "file", "path": "data/a.bin", "oid": git, "size": 130,
            "lfs": {"oid": sha, "size": 5_000_000_000_u64, "pointerSize": 130}});
        let entry = item(&large).unwrap();
        assert_eq!((entry.size, entry.content_id), (5_000_000_000, sha));
    }

    #[test]
    fn what_is_no_file_is_left_out() {
        let git = "a".repeat(40);
        for (kind, path, oid) in [
            ("directory", "data", git.as_str()),
            ("file", "../etc/passwd", &git),
            ("file", "/etc/passwd", &git),
            ("file", "a//b", &git),
            ("file", "a\u{0}b", &git),
            ("file", "a", "../../x"),
        ] {
            let json = serde_json::json!({"type": kind, "path": path, "oid": oid, "size": 1});
            assert_eq!(item(&json), None, "{json}");
        }
    }

    #[test]
    fn the_next_page_is_the_link_that_says_so() {
        let mut headers = HeaderMap::new();
        assert_eq!(next_page(&headers).unwrap(), None);
        headers.insert("link", "<http://h/a>; rel=\"prev\", <http://h/b?c=1>; rel=\"next\"".parse().unwrap());
        assert_eq!(next_page(&headers).unwrap(), Some("http://h/b?c=1".to_owned()));
    }
}

//! Addresses of a Hub: of its calls and files, and where a redirect may lead.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::Uri;

/// What stays as it is in one segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The address of a Hub.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Without a `/` at the end.
    base: String,
    origin: String,
}

/// An address that cannot be called.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AddressError {
    /// No `http://` or `https://` with a host.
    #[error("`{0}` is no address of a Hub: expected http:// or https://, a host, and no user or query")]
    Endpoint(String),
    /// A redirect to something else than a file of a server, or from https to http.
    #[error("the Hub redirects to an address that is not followed: {0}")]
    Redirect(&'static str),
}

impl Endpoint {
    /// Understands the address of a Hub.
    ///
    /// # Errors
    /// [`AddressError::Endpoint`].
    pub fn new(text: &str) -> Result<Self, AddressError> {
        let base = text.trim().trim_end_matches('/');
        let wrong = || AddressError::Endpoint(text.to_owned());
        if base.contains(['?', '#']) {
            return Err(wrong());
        }
        let origin = origin_of(base).map_err(|_| wrong())?;
        Ok(Self { base: base.to_owned(), origin })
    }

    /// The address, without a `/` at the end.
    pub fn as_str(&self) -> &str {
        &self.base
    }

    /// The address of a path, which begins with `/`.
    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Whether an address is of this Hub, so that credentials may go there.
    pub(super) fn owns(&self, url: &str) -> bool {
        origin_of(url).is_ok_and(|origin| origin == self.origin)
    }
}

/// One segment of a path, quoted: slashes too, as in `refs%2Fconvert%2Fparquet`.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A path, quoted, with its slashes.
pub(super) fn path(text: &str) -> String {
    text.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// Where a redirect from one address leads.
///
/// # Errors
/// [`AddressError::Redirect`].
pub(super) fn redirected(from: &str, location: &str) -> Result<String, AddressError> {
    let refused = |reason| Err(AddressError::Redirect(reason));
    let Ok(from_origin) = origin_of(from) else { return refused("it begins at none") };
    let scheme = from_origin.split(':').next().unwrap_or_default().to_owned();
    let to = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{from_origin}{location}")
    } else {
        location.to_owned()
    };
    match origin_of(&to) {
        Err(reason) => refused(reason),
        Ok(origin) if scheme == "https" && !origin.starts_with("https:") => refused("it would no longer be encrypted"),
        Ok(_) => Ok(to),
    }
}

/// `https://host:port` of an address, the port told only where it is not that of the scheme.
fn origin_of(url: &str) -> Result<String, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "it is malformed")?;
    let Some(scheme @ ("http" | "https")) = uri.scheme_str() else { return Err("it is neither http nor https") };
    let authority = uri.authority().ok_or("it has no host")?;
    if authority.as_str().contains('@') {
        return Err("it holds a user");
    }
    if authority.host().is_empty() {
        return Err("it has no host");
    }
    let usual = if scheme == "http" { 80 } else { 443 };
    let host = authority.host().to_ascii_lowercase();
    Ok(match authority.port_u16().filter(|port| *port != usual) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_one_segment_and_paths_keep_their_slashes() {
        assert_eq!(segment("refs/convert/parquet"), "refs%2Fconvert%2Fparquet");
        assert_eq!(path("a b/é+%.csv"), "a%20b/%C3%A9%2B%25.csv");
    }

    #[test]
    fn credentials_stay_with_the_origin_of_the_hub() {
        let hub = Endpoint::new("https://hub.example/base/").unwrap();
        assert_eq!(hub.at("/api"), "https://hub.example/base/api");
        for (url, owned) in [
            ("https://hub.example/x", true),
            ("https://HUB.example:443/x", true),
            ("https://hub.example:444/x", false),
            ("http://hub.example/x", false),
            ("https://hub.example.evil/x", false),
            ("https://hub.example@evil/x", false),
        ] {
            assert_eq!(hub.owns(url), owned, "{url}");
        }
        for wrong in ["hub.example", "ftp://hub.example", "https://a@hub.example", "https://hub.example/?q", "https://"]
        {
            assert_eq!(Endpoint::new(wrong), Err(AddressError::Endpoint(wrong.to_owned())));
        }
    }

    #[test]
    fn redirects_lead_to_http_only_and_never_out_of_encryption() {
        let from = "https://hub.example/datasets/a";
        for (location, to) in [
            ("/b?c", Ok("https://hub.example/b?c")),
            ("//cdn.example/b", Ok("https://cdn.example/b")),
            ("https://cdn.example/b", Ok("https://cdn.example/b")),
            ("http://cdn.example/b", Err("it would no longer be encrypted")),
            ("file:///etc/passwd", Err("it is malformed")),
            ("gopher://cdn.example/b", Err("it is neither http nor https")),
            ("https://user@cdn.example/b", Err("it holds a user")),
            ("b", Err("it is neither http nor https")),
        ] {
            let expected = to.map(str::to_owned).map_err(AddressError::Redirect);
            assert_eq!(redirected(from, location), expected, "{location}");
        }
        assert!(redirected("http://hub.example/a", "http://other.example/").is_ok());
    }
}

//! The revision of a set of files: a commit id made of what the files contain.

use belvedere_domain::{Manifest, Revision};
use sha1::{Digest, Sha1};

/// The revision of a manifest: SHA-1 over its files sorted by path; for each, the UTF-8 path, a NUL byte and the
/// content id, which is the hexadecimal SHA-256 once the file was hashed. 40 hexadecimal digits.
pub fn revision_of(manifest: &Manifest) -> Revision {
    let mut digest = Sha1::new();
    for file in &manifest.files {
        digest.update(file.path.as_bytes());
        digest.update([0]);
        digest.update(file.content_id.as_bytes());
    }
    Revision::new(hex::encode(digest.finalize())).expect("40 hexadecimal digits are a revision")
}

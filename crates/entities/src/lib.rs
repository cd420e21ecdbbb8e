//! Personal data in texts: what looks like a card number, an address of e-mail, a passport, and passes the checks that
//! such numbers carry.
//!
//! Functions of a text, in time that grows with its length alone. What a text means is not understood: names of people
//! and places need a language model, see [`EntityType::is_recognized`].
//!
//! To add a recognizer: a `Rule` in the file of its subject under `rules/`, its type in [`EntityType`],
//! examples that are published, and a row in `docs/privacy.md`. Raise [`VERSION`] then.

mod checksums;
mod entity_type;
mod mask;
mod recognize;
mod rules;
mod words;

pub use entity_type::EntityType;
pub use mask::mask;
pub use recognize::{Entity, recognize};
pub use words::Context;

/// Version of what is recognized. Counts that another version made are out of date.
pub const VERSION: u32 = 1;

//! Names → columns, fields of them, and what is computed from them.

use std::sync::Arc;

use arrow::array::StringArray;
use belvedere_domain::Feature;

use super::super::frame::{Column, Derived, Place};
use super::super::functions;
use super::super::node::{Kind, Node, internal};
use super::super::parse::shortened;
use super::super::suggest::{listed, nearest};
use super::super::types::Type;
use super::super::wrong;
use super::Binder;
use crate::error::EngineError;
use crate::scan::FieldPath;

/// The reference's name for the number of a row.
const ROW_NUMBER: &str = "__hf_index_id";

impl Binder<'_> {
    pub(super) fn column(&mut self, path: &[String], at: usize) -> Result<Node, EngineError> {
        let (name, rest) = path.split_first().ok_or_else(|| internal("a column without a name"))?;
        let (column, rest) = match self.find(name) {
            Some(feature) => self.field(feature, rest, at)?,
            None => match self.derived(path) {
                Some(column) => (column, &[][..]),
                None => return Err(self.unknown(path, at)),
            },
        };
        let of = column.of.clone();
        let position = self.columns.iter().position(|known| *known == column).unwrap_or_else(|| {
            self.columns.push(column);
            self.columns.len() - 1
        });
        let mut node = Node { kind: Kind::Column(position), of, at };
        for key in rest {
            let key = Node::constant(Arc::new(StringArray::from(vec![key.as_str()])), Type::Text, true, at);
            node = functions::index(self, node, key, at)?;
        }
        Ok(node)
    }

    /// A column by its name, else by its name in another case if that is unique.
    fn find(&self, name: &str) -> Option<usize> {
        let exact = self.features.iter().position(|(known, _)| known == name);
        exact.or_else(|| {
            let mut alike = (0..self.features.len()).filter(|&index| alike(&self.features[index].0, name));
            alike.next().filter(|_| alike.next().is_none())
        })
    }

    /// A field of a feature, and the keys that are left for JSON.
    fn field<'p>(&self, feature: usize, path: &'p [String], at: usize) -> Result<(Column, &'p [String]), EngineError> {
        let (name, mut here) = (&self.features[feature].0, Some(&self.features[feature].1));
        let mut column = Column {
            name: name.clone(),
            of: self.features.iter().nth(feature).map_or(Type::Null, |(_, feature)| Type::of(feature)),
            place: Place::Field { path: FieldPath { feature, names: Vec::new() }, derived: None },
            labels: None,
        };
        let mut rest = path;
        while let (Type::Struct(fields), Some((key, after))) = (&column.of, rest.split_first()) {
            let position = fields
                .iter()
                .position(|(name, _)| name == key)
                .or_else(|| fields.iter().position(|(name, _)| alike(name, key)));
            let Some(position) = position else {
                let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
                let hint = nearest(key, names.iter().copied()).map(|name| format!("; did you mean \"{name}\"?"));
                let hint = hint.unwrap_or_else(|| format!("; it has {}", listed(&names)));
                return Err(wrong(at, format!("column \"{}\" has no field \"{}\"{hint}", column.name, shortened(key))));
            };
            let (field, of) = fields[position].clone();
            here = match here {
                Some(Feature::Struct(children)) => Some(&children[position].1),
                _ => None,
            };
            column.name = format!("{}.{field}", column.name);
            column.of = of;
            if let Place::Field { path, .. } = &mut column.place {
                path.names.push(field);
            }
            rest = after;
        }
        if let Some(Feature::ClassLabel { names }) = here {
            column.labels = Some(names.clone());
        }
        // `"text".length` is what others write `"text.length"`.
        if let ([key], Place::Field { derived, .. }) = (rest, &mut column.place)
            && let Some((_, kind)) = Derived::ALL.into_iter().find(|(name, _)| name == key)
            && let Some(of) = derived_type(&column.of, here, kind)
        {
            *derived = Some(kind);
            column.of = of;
            column.name = format!("{}.{key}", column.name);
            return Ok((column, &[]));
        }
        if !rest.is_empty() && column.of != Type::Json {
            let how =
                if matches!(column.of, Type::List(_)) { "; take an item of it first, as in \"list\"[1]" } else { "" };
            return Err(wrong(at, format!("column \"{}\" ({}) has no fields{how}", column.name, column.of)));
        }
        Ok((column, rest))
    }

    /// `"text.length"` and the like, and the number of the row.
    fn derived(&self, path: &[String]) -> Option<Column> {
        let name = path.join(".");
        if name == ROW_NUMBER {
            return Some(Column { name, place: Place::RowNumber, of: Type::Integer, labels: None });
        }
        let (base, kind) = Derived::ALL
            .into_iter()
            .find_map(|(end, kind)| Some((name.strip_suffix(end)?.strip_suffix('.')?.to_owned(), kind)))?;
        let feature = self.find(&base)?;
        let stored = &self.features[feature].1;
        let of = derived_type(&Type::of(stored), Some(stored), kind)?;
        let path = FieldPath { feature, names: Vec::new() };
        Some(Column { name, place: Place::Field { path, derived: Some(kind) }, of, labels: None })
    }

    fn unknown(&self, path: &[String], at: usize) -> EngineError {
        let name = path.join(".");
        let names: Vec<_> = self.features.iter().map(|(name, _)| name.as_str()).collect();
        let hint = match nearest(&name, names.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("columns are {}", listed(&names)),
        };
        wrong(at, format!("there is no column \"{}\"; {hint}", shortened(&name)))
    }
}

fn alike(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

fn derived_type(of: &Type, feature: Option<&Feature>, kind: Derived) -> Option<Type> {
    match (kind, feature) {
        (Derived::Length, _) => matches!(of, Type::Text | Type::List(_)).then_some(Type::Integer),
        (Derived::Duration, Some(Feature::Audio(_) | Feature::Video(_))) => Some(Type::Double),
        (Derived::Width | Derived::Height, Some(Feature::Image(_))) => Some(Type::Integer),
        _ => None,
    }
}

//! Names of types, after `CAST … AS` and `::` and in front of texts.

use super::super::expr::TypeName;
use super::super::lexer::Token;
use super::cursor::Parser;
use super::{Parsed, shortened, wrong};

impl Parser {
    pub(super) fn type_name(&mut self) -> Parsed<TypeName> {
        let at = self.at();
        let (Token::Word(word) | Token::Name(word)) = self.advance() else {
            return Err(wrong(at, "expected a type such as INTEGER, DOUBLE, VARCHAR, DATE or TIMESTAMP"));
        };
        let lower = word.to_ascii_lowercase();
        let unknown = || {
            let known = "BOOLEAN, INTEGER, BIGINT, FLOAT, DOUBLE, DECIMAL(p, s), VARCHAR, DATE, TIME, TIMESTAMP";
            wrong(at, format!("the type `{}` is not known; types are {known}", shortened(&word)))
        };
        match lower.as_str() {
            "decimal" | "numeric" => {
                let (mut precision, mut scale) = (18, 3);
                if self.take("(") {
                    precision = self.small_number()?;
                    scale = if self.take(",") { self.small_number()? } else { 0 };
                    self.expect(")")?;
                }
                match (u8::try_from(precision), i8::try_from(scale)) {
                    (Ok(precision @ 1..=38), Ok(scale)) if i16::from(scale) <= i16::from(precision) => {
                        Ok(TypeName::Decimal { precision, scale })
                    }
                    _ => Err(wrong(at, "a DECIMAL has 1 to 38 digits, and not more of them after the point")),
                }
            }
            "timestamp" | "time" if self.take_word("with") => {
                if self.take_word("time") && self.take_word("zone") && lower == "timestamp" {
                    return Ok(TypeName::Zoned);
                }
                Err(unknown())
            }
            "double" => {
                self.take_word("precision");
                Ok(TypeName::Double)
            }
            "varchar" | "char" if self.take("(") => {
                self.small_number()?;
                self.expect(")")?;
                Ok(TypeName::Text)
            }
            _ => simple_type(&lower).ok_or_else(unknown),
        }
    }

    fn small_number(&mut self) -> Parsed<u32> {
        match self.peek().clone() {
            Token::Number(number) if number.parse::<u32>().is_ok() => {
                self.advance();
                Ok(number.parse().unwrap_or_default())
            }
            _ => Err(self.unexpected("a number")),
        }
    }
}

/// The type of one word.
pub(super) fn simple_type(lower: &str) -> Option<TypeName> {
    let integer = |bits: u32, signed: bool| match signed {
        true => TypeName::Integer { min: -(1_i128 << (bits - 1)), max: (1_i128 << (bits - 1)) - 1 },
        false => TypeName::Integer { min: 0, max: (1_i128 << bits) - 1 },
    };
    Some(match lower {
        "boolean" | "bool" | "logical" => TypeName::Boolean,
        "tinyint" | "int1" => integer(8, true),
        "smallint" | "int2" | "short" => integer(16, true),
        "integer" | "int" | "int4" | "signed" => integer(32, true),
        "bigint" | "int8" | "long" => integer(64, true),
        "utinyint" => integer(8, false),
        "usmallint" => integer(16, false),
        "uinteger" => integer(32, false),
        "ubigint" => integer(64, false),
        "hugeint" => TypeName::Integer { min: -(10_i128.pow(38) - 1), max: 10_i128.pow(38) - 1 },
        "float" | "real" | "float4" => TypeName::Float,
        "double" | "float8" => TypeName::Double,
        "decimal" | "numeric" => TypeName::Decimal { precision: 18, scale: 3 },
        "varchar" | "text" | "string" | "char" | "bpchar" => TypeName::Text,
        "date" => TypeName::Date,
        "time" => TypeName::Time,
        "timestamp" | "datetime" | "timestamp_us" | "timestamp_ms" | "timestamp_s" => TypeName::Timestamp,
        "timestamptz" => TypeName::Zoned,
        "interval" => TypeName::Duration,
        "json" => TypeName::Json,
        _ => return None,
    })
}

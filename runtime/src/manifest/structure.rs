//! What every JSON text must keep to before it becomes a manifest: no object has a key twice, and there is only so much.
//!
//! Derived types refuse a field that comes twice, but neither a field they do not know nor a key of a free-form map. Of two
//! values with one key some readers take the first and some the last: who reviewed one would ship the other.
//!
//! And a value in memory is larger than its text, seventy times where it is `{"":0}`.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::check::MAX_CLASSES;
use crate::text::quoted;

/// Most keys and values besides the labels: 2^16, a hundred times those of a bundle with a variant for each kind of device.
const MAX_VALUES: usize = 1 << 16;

/// Reads `bytes` once, and keeps nothing.
pub(super) fn check(bytes: &[u8]) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Values {
        outermost: true,
        left: &mut Left::new(MAX_VALUES, "keys and values besides the labels"),
    }
    .deserialize(&mut deserializer)?;
    deserializer.end()
}

/// A value with all that is in it.
struct Values<'a> {
    outermost: bool,
    left: &'a mut Left,
}

/// How many more there may be.
struct Left {
    most: usize,
    left: usize,
    what: &'static str,
}

impl Left {
    fn new(most: usize, what: &'static str) -> Self {
        Self { most, left: most, what }
    }

    fn take<E: Error>(&mut self) -> Result<(), E> {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => return Err(E::custom(format_args!("more than {} {}", self.most, self.what))),
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        // serde_json ends at 128 levels.
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            self.left.take()?;
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!("duplicate key {}", quoted(&key))));
            }
            let mut labels = Left::new(MAX_CLASSES, "labels");
            let left = match self.outermost && key == "labels" {
                true => &mut labels,
                false => &mut *self.left,
            };
            keys.insert(key);
            map.next_value_seed(Values { outermost: false, left })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        loop {
            let (outermost, left) = (false, &mut *self.left);
            if values.next_element_seed(Values { outermost, left })?.is_none() {
                return Ok(());
            }
            self.left.take()?;
        }
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        check(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_key_may_come_again_in_another_object_only() {
        check(br#"{"a": {"a": [{"a": null}, {"a": -1}]}, "A": true, "b": 1.5, "": "a"}"#).unwrap();
        for text in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"a": 1, "b": 2, "\u0061": 3}"#,
            r#"[[{"x": {"a": [], "a": {}}}]]"#,
        ] {
            assert!(refusal(text).starts_with("duplicate key \"a\""), "{}", refusal(text));
        }
    }

    #[test]
    fn what_is_no_json_or_too_deep_is_an_error() {
        for text in [
            "",
            "{",
            r#"{"a"}"#,
            "[1,]",
            "nul",
            "1e999",
            "{} {}",
            &"[".repeat(1 << 20),
        ] {
            check(text.as_bytes()).unwrap_err();
        }
        check(format!("{}{}", "[".repeat(100), "]".repeat(100)).as_bytes()).unwrap();
    }

    #[test]
    fn there_are_many_labels_and_few_of_all_else() {
        let of = |unit: &str, count: usize| vec![unit; count].join(",");
        check(format!(r#"{{"a": [{}]}}"#, of("1", MAX_VALUES - 1)).as_bytes()).unwrap();
        for unit in ["1", "[]", r#"{"":0}"#] {
            let message = refusal(&format!(r#"{{"a": [{}]}}"#, of(unit, MAX_VALUES)));
            assert!(
                message.starts_with("more than 65536 keys and values besides the labels at line 1"),
                "{message}"
            );
        }
        check(format!(r#"{{"labels": [{}]}}"#, of("\"\"", MAX_CLASSES)).as_bytes()).unwrap();
        let message = refusal(&format!(r#"{{"labels": [{}]}}"#, of("\"\"", MAX_CLASSES + 1)));
        assert!(message.starts_with("more than 1048576 labels"), "{message}");
        // Only the outermost ones are the labels.
        refusal(&format!(r#"{{"a": {{"labels": [{}]}}}}"#, of("1", MAX_VALUES)));
    }
}

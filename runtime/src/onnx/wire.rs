//! The protobuf wire format, read in place: nothing is copied, and nothing reserved for a length that a file declares.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

/// The fields of one message, in the order of the bytes. Ends after the first fault.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// A field's value, by wire type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64,
    Fixed32,
    /// Text, bytes, a message or packed numbers.
    Bytes(&'a [u8]),
}

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) expected: &'static str,
    pub(super) found: String,
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Result<(u32, Value<'a>), Fault> {
        let tag = varint(&mut self.rest)?;
        let tag = u32::try_from(tag).map_err(|_| fault("the tag of a field", tag))?;
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut self.rest)?),
            1 => fixed(&mut self.rest, 8).map(|_| Value::Fixed64)?,
            2 => {
                let length = varint(&mut self.rest)?;
                Value::Bytes(fixed(&mut self.rest, length)?)
            }
            5 => fixed(&mut self.rest, 4).map(|_| Value::Fixed32)?,
            other => return Err(fault("wire type 0, 1, 2 or 5", other)),
        };
        Ok((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    /// Field number and value.
    type Item = Result<(u32, Value<'a>), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl Value<'_> {
    /// What the wire type can hold.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Varint(_) => "a varint",
            Self::Fixed64 => "8 bytes of fixed length",
            Self::Fixed32 => "4 bytes of fixed length",
            Self::Bytes(_) => "bytes with a length",
        }
    }
}

/// The varints packed in `bytes`, to the first fault.
pub(super) fn packed_varints(mut bytes: &[u8]) -> impl Iterator<Item = Result<u64, Fault>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let value = varint(&mut bytes);
        if value.is_err() {
            bytes = &[];
        }
        Some(value)
    })
}

/// Takes a varint off `rest`: seven bits a byte, lowest first, the last byte below 128.
fn varint(rest: &mut &[u8]) -> Result<u64, Fault> {
    const EXPECTED: &str = "a varint of at most 64 bits";
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let Some((&byte, tail)) = rest.split_first() else {
            return Err(fault(EXPECTED, "the end of the bytes"));
        };
        *rest = tail;
        // The tenth byte has room for one bit.
        if shift == 63 && byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(fault(EXPECTED, "a longer one"))
}

/// Takes `length` bytes off `rest`.
fn fixed<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], Fault> {
    let split = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length));
    let Some((taken, tail)) = split else {
        let found = format!("a length of {length}, where {} are left", rest.len());
        return Err(fault("a length within the bytes", found));
    };
    *rest = tail;
    Ok(taken)
}

pub(super) fn fault(expected: &'static str, found: impl ToString) -> Fault {
    Fault {
        expected,
        found: found.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_specification() {
        // field 1 = 150, field 2 = "testing", field 4 = packed 3, 270, 86942
        let bytes = b"\x08\x96\x01\x12\x07testing\x22\x06\x03\x8e\x02\x9e\xa7\x05";
        let fields: Vec<_> = Fields::of(bytes).map(Result::unwrap).collect();
        assert_eq!(fields[0], (1, Value::Varint(150)));
        assert_eq!(fields[1], (2, Value::Bytes(b"testing")));
        let (4, Value::Bytes(packed)) = fields[2] else {
            panic!("unexpected {:?}", fields[2])
        };
        let numbers: Result<Vec<_>, _> = packed_varints(packed).collect();
        assert_eq!(numbers.unwrap(), [3, 270, 86942]);
        assert_eq!(fields.len(), 3);
    }

    #[test]
    fn numbers_of_fixed_length_are_stepped_over() {
        let fields: Vec<_> = Fields::of(b"\x0d1234\x1112345678\x18\0").map(Result::unwrap).collect();
        assert_eq!(
            fields,
            [(1, Value::Fixed32), (2, Value::Fixed64), (3, Value::Varint(0))]
        );
    }

    #[test]
    fn the_largest_varint_has_ten_bytes() {
        let largest = [&[0xff; 9][..], &[1]].concat();
        assert_eq!(varint(&mut largest.as_slice()), Ok(u64::MAX));
        for bytes in [[&[0xff; 9][..], &[2]].concat(), vec![0x80; 11], vec![0x80; 9], vec![]] {
            varint(&mut bytes.as_slice()).unwrap_err();
        }
    }

    #[test]
    fn a_giant_length_is_no_reason_to_reserve_memory() {
        for length in [&b"\x05"[..], b"\xff\xff\xff\xff\x0f", &[&[0xff; 9][..], &[1]].concat()] {
            let bytes = [b"\x0a", length, b"four"].concat();
            let faults: Vec<_> = Fields::of(&bytes).collect();
            assert_eq!(faults.len(), 1, "nothing follows a fault");
            assert_eq!(faults[0].clone().unwrap_err().expected, "a length within the bytes");
        }
    }

    #[test]
    fn groups_and_unknown_wire_types_are_faults() {
        for wire in [3, 4, 6, 7] {
            let fault = Fields::of(&[0x08 | wire, 0]).next().unwrap().unwrap_err();
            assert_eq!(fault.expected, "wire type 0, 1, 2 or 5");
        }
        Fields::of(b"\xff\xff\xff\xff\x7f\0").next().unwrap().unwrap_err();
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_end_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(Fields::of(&bytes).count() <= bytes.len());
        }
    }
}

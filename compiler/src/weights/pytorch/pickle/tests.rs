//! Pickles written by hand.

use super::machine::MAX_VALUES;
use super::*;

fn read(mut bytes: &[u8]) -> Result<Pickle<'_>> {
    Pickle::read(&mut bytes)
}

#[test]
fn integers_of_every_length_are_read() {
    let cases: [(&[u8], Option<i64>); 8] = [
        (b"K\xff.", Some(255)),
        (b"M\xe9\x03.", Some(1001)),
        (b"J\xfe\xff\xff\xff.", Some(-2)),
        (b"\x8a\x00.", Some(0)),
        (b"\x8a\x01\xff.", Some(-1)),
        (b"\x8a\x05\x00\x00\x00\x00\x01.", Some(1 << 32)),
        (b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.", Some(i64::MAX)),
        (b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", None),
    ];
    for (bytes, want) in cases {
        match (read(bytes).unwrap().top(), want) {
            (Value::Int(got), Some(want)) => assert_eq!(*got, want),
            (Value::Other, None) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Python: `pickle.dumps(OrderedDict(a=[1, (2, 3)], b=f), 2)`, the memo's operations in part left out.
#[test]
fn containers_hold_what_python_puts_into_them() {
    let bytes =
        b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\x00\x00\x00aq\x01](K\x01K\x02K\x03\x86eU\x01bcm\nf\nu.rest";
    let mut rest = &bytes[..];
    let pickle = Pickle::read(&mut rest).unwrap();
    assert_eq!(rest, b"rest");
    let Value::Dict(items) = pickle.top() else {
        panic!("{pickle:?}")
    };
    let names: Vec<_> = items.iter().map(|(key, _)| pickle.text(*key).unwrap()).collect();
    assert_eq!(names, ["a", "b"]);
    let Value::List(list) = pickle.value(items[0].1) else {
        panic!("{pickle:?}")
    };
    assert_eq!(pickle.size(list[0]), Some(1));
    let pair = pickle.tuple(list[1]).unwrap();
    assert_eq!([pair[0], pair[1]].map(|id| pickle.size(id)), [Some(2), Some(3)]);
    assert!(matches!(pickle.value(items[1].1), Value::Global("m", "f")));
}

/// Python 2.7: `pickle.dumps(OrderedDict(a=1), 2)` without the memo's operations.
#[test]
fn a_dictionary_of_python_2_is_made_of_pairs() {
    let pickle = read(b"\x80\x02ccollections\nOrderedDict\n]](U\x01aK\x01ea\x85R.").unwrap();
    let Value::Dict(items) = pickle.top() else {
        panic!("{pickle:?}")
    };
    let [(key, value)] = items.as_slice() else {
        panic!("{items:?}")
    };
    assert_eq!((pickle.text(*key), pickle.size(*value)), (Some("a"), Some(1)));
}

/// `os.system("true")`: a value that names the call.
#[test]
fn a_call_is_not_made() {
    let pickle = read(b"cos\nsystem\n(U\x04truetR.").unwrap();
    let Value::Call { callee, arguments } = pickle.top() else {
        panic!("{pickle:?}")
    };
    assert!(matches!(pickle.value(*callee), Value::Global("os", "system")));
    assert_eq!(pickle.text(pickle.tuple(*arguments).unwrap()[0]), Some("true"));
}

#[test]
fn hostile_pickles_are_errors() {
    let cases: [(&[u8], &str); 14] = [
        (b"", "cut short"),
        (b"K\x01", "cut short"),
        (b"X\xff\xff\xff\xffshort.", "cut short"),
        (b"cmodule", "cut short"),
        (b".", "not there"),
        (b"K\x01\x87.", "not there"),
        (b"K\x01(\x85.", "not there"),
        (b"t.", "lacks a mark"),
        (b"h\x07.", "slot 7"),
        (b"K\x01K\x02a.", "no list"),
        (b"}(K\x01u.", "no dictionary"),
        (b"K\x01K\x02K\x03s.", "no dictionary"),
        (b"U\x01\xff.", "no UTF-8"),
        (b"i.", "0x69"),
    ];
    for (bytes, want) in cases {
        let got = read(bytes).unwrap_err();
        assert!(got.contains(want), "{bytes:?}: {got}");
    }
}

/// Tuples in tuples, a list in itself, a value doubled forty times: none costs more than its bytes.
#[test]
fn nesting_and_sharing_are_cheap() {
    let deep = [b"N".to_vec(), vec![0x85; 1_000_000], b".".to_vec()].concat();
    assert_eq!(read(&deep).unwrap().values().len(), 1_000_001);
    let many = [vec![b'N'; MAX_VALUES + 1], b".".to_vec()].concat();
    assert!(read(&many).unwrap_err().contains("more than"));
    assert!(read(b"]q\x00h\x00a.").is_ok());
    let doubled = [b"Nq\x00".to_vec(), b"h\x00h\x00\x86q\x00".repeat(40), b".".to_vec()].concat();
    assert_eq!(read(&doubled).unwrap().values().len(), 41);
}

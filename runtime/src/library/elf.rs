//! A look at an ELF shared library before the dynamic loader maps it.
//!
//! The loader kills the process when a truncated library's pages are touched, and says little about an architecture
//! that does not fit; both are read off the headers here.
//!
//! Source: System V ABI, generic part, chapters 4 and 5; `elf(5)`.

use std::io::{self, Read, Seek, SeekFrom};

/// What the headers say of a library that this process can load.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// From the symbol version `VERS_x.y.z` that ONNX Runtime's linker script defines; `None` without one.
    pub(super) version: Option<String>,
}

/// Why a file is no library for this process.
#[derive(Debug)]
pub(super) enum Fault {
    Read(io::Error),
    Format(&'static str),
    Architecture(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Format(TRUNCATED),
            _ => Self::Read(error),
        }
    }
}

const TRUNCATED: &str = "the file is truncated";
const MALFORMED: &str = "its ELF headers are malformed";

const ET_DYN: u16 = 3;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
/// Most of the dynamic section and of its string table that is read, in bytes; ONNX Runtime's are below 32 KiB.
const MAX_READ: u64 = 1 << 22;
/// ONNX Runtime's linker script names its one symbol version so (`tools/ci_build/gen_def.py`).
const VERSION_PREFIX: &[u8] = b"VERS_";

/// The ELF machine number of the processor this program is built for, where it is one that is checked.
pub(super) const MACHINE: Option<u16> = if cfg!(target_arch = "x86_64") {
    Some(62)
} else if cfg!(target_arch = "aarch64") {
    Some(183)
} else if cfg!(target_arch = "arm") {
    Some(40)
} else if cfg!(target_arch = "x86") {
    Some(3)
} else if cfg!(target_arch = "riscv64") {
    Some(243)
} else {
    None
};

struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    file_size: u64,
}

/// Checks that `file` is a complete shared library for this processor.
pub(super) fn inspect(mut file: impl Read + Seek) -> Result<Summary, Fault> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut ident = [0; 20];
    file.seek(SeekFrom::Start(0))?;
    let magic_length = ident.len().min(usize::try_from(length).unwrap_or(usize::MAX));
    file.read_exact(&mut ident[..magic_length])?;
    if !ident.starts_with(b"\x7fELF") {
        return Err(Fault::Format("it is no ELF file"));
    }
    if magic_length < ident.len() {
        return Err(Fault::Format(TRUNCATED));
    }
    let wide = match ident[4] {
        1 => false,
        2 => true,
        _ => return Err(Fault::Format(MALFORMED)),
    };
    let big_endian = ident[5] == 2;
    let [.., kind_0, kind_1, machine_0, machine_1] = ident;
    let half = |bytes| {
        if big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    };
    let machine = half([machine_0, machine_1]);
    if big_endian != cfg!(target_endian = "big")
        || wide != cfg!(target_pointer_width = "64")
        || MACHINE.is_some_and(|own| own != machine)
    {
        let endian = if big_endian { ", big-endian" } else { "" };
        return Err(Fault::Architecture(format!("{}{endian}", machine_name(machine, wide))));
    }
    if half([kind_0, kind_1]) != ET_DYN {
        return Err(Fault::Format("it is an ELF file but no shared library"));
    }
    let segments = segments(&mut file, length)?;
    Ok(Summary {
        version: version(&mut file, &segments)?,
    })
}

/// The program headers, after checking that everything they name lies inside the file.
fn segments(file: &mut (impl Read + Seek), length: u64) -> Result<Vec<Segment>, Fault> {
    let (header_size, entry_size) = if cfg!(target_pointer_width = "64") {
        (64, 56)
    } else {
        (52, 32)
    };
    let header = Fields(read_at(file, 0, header_size)?);
    let (program_at, section_at) = if WIDE {
        (header.word(32)?, header.word(40)?)
    } else {
        (header.word(28)?, header.word(32)?)
    };
    let tail = if WIDE { 54 } else { 42 };
    let (entry, count) = (header.half(tail)?, header.half(tail + 2)?);
    let (section_entry, sections) = (header.half(tail + 4)?, header.half(tail + 6)?);
    if u64::from(entry) != entry_size || count == 0 {
        return Err(Fault::Format(MALFORMED));
    }
    // The section headers stand last in a file, and are what a broken-off download loses.
    let sections_end = section_at.checked_add(u64::from(section_entry) * u64::from(sections));
    if sections_end.is_none_or(|end| end > length) {
        return Err(Fault::Format(TRUNCATED));
    }
    let table = read_at(file, program_at, entry_size * u64::from(count))?;
    let mut segments = Vec::with_capacity(usize::from(count));
    for entry in table.chunks_exact(if WIDE { 56 } else { 32 }) {
        let entry = Fields(entry.to_vec());
        let [offset, address, file_size] = if WIDE { [8, 16, 32] } else { [4, 8, 16] };
        let segment = Segment {
            kind: entry.int(0)?,
            offset: entry.word(offset)?,
            address: entry.word(address)?,
            file_size: entry.word(file_size)?,
        };
        if segment
            .offset
            .checked_add(segment.file_size)
            .is_none_or(|end| end > length)
        {
            return Err(Fault::Format(TRUNCATED));
        }
        segments.push(segment);
    }
    Ok(segments)
}

/// ONNX Runtime's version, out of the string table of the dynamic section.
fn version(file: &mut (impl Read + Seek), segments: &[Segment]) -> Result<Option<String>, Fault> {
    let Some(dynamic) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) else {
        return Err(Fault::Format("it is an ELF file but no shared library"));
    };
    let table = Fields(read_at(file, dynamic.offset, dynamic.file_size.min(MAX_READ))?);
    let word = if WIDE { 8 } else { 4 };
    let entries = (0..table.0.len() / (2 * word)).map(|index| index * 2 * word);
    let value = |tag| {
        entries
            .clone()
            .find(|&at| table.word(at).ok() == Some(tag))
            .and_then(|at| table.word(at + word).ok())
    };
    let (Some(address), Some(size)) = (value(DT_STRTAB), value(DT_STRSZ)) else {
        return Ok(None);
    };
    let home = segments
        .iter()
        .filter(|segment| segment.kind == PT_LOAD)
        .find_map(|segment| {
            let inside = address
                .checked_sub(segment.address)
                .filter(|inside| *inside < segment.file_size)?;
            Some((segment.offset + inside, segment.file_size - inside))
        });
    let Some((offset, room)) = home else { return Ok(None) };
    let strings = read_at(file, offset, size.min(room).min(MAX_READ))?;
    Ok(strings.split(|byte| *byte == 0).find_map(|string| {
        let version = std::str::from_utf8(string.strip_prefix(VERSION_PREFIX)?).ok()?;
        // All three numbers: other libraries have symbol versions such as `VERS_1.0`.
        let complete = version.split('.').count() == 3 && super::parse_version(version).is_some();
        complete.then(|| version.to_owned())
    }))
}

fn read_at(file: &mut (impl Read + Seek), offset: u64, length: u64) -> Result<Vec<u8>, Fault> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length {
        Ok(bytes)
    } else {
        Err(Fault::Format(TRUNCATED))
    }
}

const WIDE: bool = cfg!(target_pointer_width = "64");

/// A header in this processor's own width and byte order, read by byte offset.
struct Fields(Vec<u8>);

impl Fields {
    fn bytes<const N: usize>(&self, at: usize) -> Result<[u8; N], Fault> {
        self.0
            .get(at..)
            .and_then(|rest| rest.first_chunk())
            .copied()
            .ok_or(Fault::Format(TRUNCATED))
    }

    fn half(&self, at: usize) -> Result<u16, Fault> {
        self.bytes(at).map(u16::from_ne_bytes)
    }

    fn int(&self, at: usize) -> Result<u32, Fault> {
        self.bytes(at).map(u32::from_ne_bytes)
    }

    fn word(&self, at: usize) -> Result<u64, Fault> {
        if WIDE {
            self.bytes(at).map(u64::from_ne_bytes)
        } else {
            self.int(at).map(u64::from)
        }
    }
}

fn machine_name(machine: u16, wide: bool) -> String {
    match (machine, wide) {
        (3, _) => "x86".into(),
        (40, _) => "arm".into(),
        (62, _) => "x86_64".into(),
        (183, _) => "aarch64".into(),
        (243, true) => "riscv64".into(),
        (243, false) => "riscv32".into(),
        (other, _) => format!("ELF machine {other}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// This test program is itself a position-independent ELF file with a dynamic section.
    fn own_program() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn a_whole_file_passes_and_every_cut_is_noticed() {
        let bytes = own_program();
        assert_eq!(inspect(Cursor::new(&bytes)).unwrap(), Summary { version: None });
        for length in [4, 19, 20, 63, 64, 200, 4096, bytes.len() / 2, bytes.len() - 1] {
            let fault = inspect(Cursor::new(&bytes[..length])).unwrap_err();
            assert!(matches!(fault, Fault::Format(TRUNCATED)), "{length}: {fault:?}");
        }
    }

    #[test]
    fn text_and_nothing_are_no_elf_file() {
        for bytes in [&b""[..], b"\x7fEL", b"hello, world, this is no library\n"] {
            assert!(matches!(
                inspect(Cursor::new(bytes)).unwrap_err(),
                Fault::Format("it is no ELF file")
            ));
        }
    }

    #[test]
    fn another_processor_is_named() {
        let mut bytes = own_program();
        let other = if MACHINE == Some(183) { 62u16 } else { 183 };
        bytes[18..20].copy_from_slice(&other.to_ne_bytes());
        let expected = if other == 183 { "aarch64" } else { "x86_64" };
        assert!(matches!(inspect(Cursor::new(&bytes)).unwrap_err(), Fault::Architecture(name) if name == expected));
        bytes[5] = if cfg!(target_endian = "little") { 2 } else { 1 };
        assert!(matches!(
            inspect(Cursor::new(&bytes)).unwrap_err(),
            Fault::Architecture(_)
        ));
    }

    proptest::proptest! {
        #[test]
        fn damaged_headers_never_panic(changes in proptest::collection::vec((0usize..1024, proptest::num::u8::ANY), 1..16)) {
            static PROGRAM: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(own_program);
            let mut bytes = PROGRAM[..PROGRAM.len().min(1 << 16)].to_vec();
            for (at, value) in changes {
                bytes[at] = value;
            }
            let _ = inspect(Cursor::new(&bytes));
        }
    }
}

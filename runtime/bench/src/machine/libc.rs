//! The C library that this process runs on, which decides what engine libraries load.
//!
//! glibc tells its version by a function, which would need `unsafe` to call. The same version stands as text in the
//! library's file (what the program prints that `libc.so.6` also is), and `/proc/self/maps` tells which file this
//! process has mapped.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde::Serialize;

use super::root::Root;

/// Most bytes read of the library; glibc's has about 2 MiB.
const MAX_LIBRARY: u64 = 32 << 20;
/// How glibc introduces itself: `csu/version.c`.
const BANNER: &[u8] = b"GNU C Library ";

/// A C library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Libc {
    /// Which one.
    pub kind: LibcKind,
    /// Its version, such as `2.36`; musl's is not told.
    pub version: Option<String>,
}

/// Makers of C libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LibcKind {
    /// The GNU C library.
    Glibc,
    /// musl.
    Musl,
}

impl Libc {
    /// `None` if neither is mapped, as in a program linked statically.
    pub(super) fn read(root: &Root) -> Option<Self> {
        let maps = root.text("proc/self/maps")?;
        let paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
        paths.filter_map(|path| Self::of(root, path)).next()
    }

    /// The C library that `path` is.
    fn of(root: &Root, path: &str) -> Option<Self> {
        let name = path.rsplit('/').next()?;
        // Before glibc 2.34 the file was named by version.
        if name == "libc.so.6" || name.starts_with("libc-2.") && name.ends_with(".so") {
            return Some(Self {
                kind: LibcKind::Glibc,
                version: version_in(&root.path(path)),
            });
        }
        (name.starts_with("ld-musl-") || name.starts_with("libc.musl-")).then_some(Self {
            kind: LibcKind::Musl,
            version: None,
        })
    }
}

fn version_in(path: &Path) -> Option<String> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_LIBRARY).read_to_end(&mut bytes).ok()?;
    version(&bytes)
}

/// The version in a banner such as `GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36.`
fn version(bytes: &[u8]) -> Option<String> {
    let at = bytes.windows(BANNER.len()).position(|window| window == BANNER)?;
    let line = bytes[at..].split(|byte| matches!(byte, b'\n' | 0)).next()?;
    let line = std::str::from_utf8(line).ok()?;
    let (_, version) = line.rsplit_once(" release version ")?;
    let version: String = version
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    let version = version.trim_end_matches('.');
    (!version.is_empty()).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::root::tests::tree;
    use super::*;

    const MAP: &str = "7fec91241000-7fec91267000 r--p 00000000 fe:00 326279                     ";

    #[test]
    fn the_banner_has_the_version() {
        let banner = b"\x01\0GNU C Library (Ubuntu GLIBC 2.35-0ubuntu3.8) stable release version 2.35.\nCopyright\0";
        assert_eq!(version(banner).unwrap(), "2.35");
        assert_eq!(
            version(b"GNU C Library (x) development release version 2.37.9000.\n").unwrap(),
            "2.37.9000"
        );
        for bytes in [
            &b""[..],
            b"GNU C Library",
            b"GNU C Library (x) release",
            b"GNU C Library \xff release version 2.1",
        ] {
            assert_eq!(version(bytes), None);
        }
    }

    #[test]
    fn the_mapped_file_is_looked_into() {
        for name in ["usr/lib/libc.so.6", "lib/libc-2.31.so"] {
            let maps = format!("{MAP}/bin/x y\n{MAP}/{name}\n");
            let (_folder, root) = tree(&[
                ("proc/self/maps", &maps),
                (name, "GNU C Library (x) stable release version 2.31.\n"),
            ]);
            let found = Libc::read(&root).unwrap();
            assert_eq!((found.kind, found.version.as_deref()), (LibcKind::Glibc, Some("2.31")));
            let (_folder, root) = tree(&[("proc/self/maps", &maps)]);
            assert_eq!(Libc::read(&root).unwrap().version, None);
        }
        let (_folder, root) = tree(&[("proc/self/maps", &format!("{MAP}/lib/ld-musl-aarch64.so.1\n"))]);
        assert_eq!(Libc::read(&root).unwrap().kind, LibcKind::Musl);
        let (_folder, root) = tree(&[(
            "proc/self/maps",
            &format!("{MAP}\n{MAP}[heap]\n{MAP}/lib/libcrypt.so\n"),
        )]);
        assert_eq!(Libc::read(&root), None);
    }

    #[test]
    fn this_process_has_one() {
        if cfg!(all(target_os = "linux", target_env = "gnu")) {
            let found = Libc::read(&Root::new(Path::new("/"))).unwrap();
            assert_eq!(found.kind, LibcKind::Glibc);
            assert!(found.version.unwrap().starts_with("2."));
        }
    }
}

//! Memory of this process, from `/proc/self/status`.

use std::path::Path;

use crate::machine::{Root, bytes_of};

/// Bytes that this process holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Resident now (`VmRSS`).
    pub(super) resident: Option<u64>,
    /// Most that was ever resident (`VmHWM`).
    pub(super) peak: Option<u64>,
}

impl Held {
    pub(super) fn now() -> Self {
        let root = Root::new(Path::new("/"));
        Self::parse(&root.text("proc/self/status").unwrap_or_default())
    }

    /// Source: `proc_pid_status(5)`.
    fn parse(status: &str) -> Self {
        Self {
            resident: bytes_of(status, "VmRSS:"),
            peak: bytes_of(status, "VmHWM:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_told_is_not_zero() {
        let held = Held::parse("Name:\tx\nVmHWM:\t    12 kB\nVmRSS:\t  8 kB\n");
        assert_eq!((held.resident, held.peak), (Some(8192), Some(12_288)));
        assert_eq!(Held::parse("VmRSS: x kB\nVmHWM: 3"), Held::default());
    }
}

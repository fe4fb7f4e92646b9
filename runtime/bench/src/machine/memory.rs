//! The machine's memory, from `/proc/meminfo`.

use serde::Serialize;

use super::root::Root;

/// The machine's memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// All that the kernel manages.
    pub total_bytes: Option<u64>,
    /// What new programs could get without swapping, by the kernel's estimate (`MemAvailable`).
    pub available_bytes: Option<u64>,
}

impl Memory {
    pub(crate) fn read(root: &Root) -> Self {
        let text = root.text("proc/meminfo").unwrap_or_default();
        Self {
            total_bytes: bytes_of(&text, "MemTotal:"),
            available_bytes: bytes_of(&text, "MemAvailable:"),
        }
    }
}

/// The bytes behind `key` in a text such as `/proc/meminfo` or `/proc/self/status`: the kernel writes `kB` and means 1024
/// bytes (`proc_meminfo(5)`).
pub(crate) fn bytes_of(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_become_bytes() {
        let text = "MemTotal:        8 kB\nMemFree: 1 kB\nMemAvailable:      3 kB\nHugePages_Total:       0\n";
        assert_eq!(bytes_of(text, "MemTotal:"), Some(8192));
        assert_eq!(bytes_of(text, "MemAvailable:"), Some(3072));
        assert_eq!(
            (bytes_of(text, "HugePages_Total:"), bytes_of(text, "Swap:")),
            (None, None)
        );
        assert_eq!(bytes_of("MemTotal: 99999999999999999999 kB", "MemTotal:"), None);
        assert_eq!(bytes_of("MemTotal: 18446744073709551615 kB", "MemTotal:"), None);
    }
}

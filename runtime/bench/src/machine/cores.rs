//! Which logical processors there are, and which of them this process may use.

use serde::Serialize;

use super::root::Root;

/// Logical processors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cores {
    /// Those that are switched on.
    pub online: Option<CpuSet>,
    /// Those that this process may run on (its affinity, and its cpuset).
    pub allowed: Option<CpuSet>,
}

/// A set of logical processors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CpuSet {
    /// How many.
    pub count: u64,
    /// Which, as the kernel lists them: `0-3,6`.
    pub list: String,
}

impl Cores {
    pub(crate) fn read(root: &Root) -> Self {
        let status = root.text("proc/self/status").unwrap_or_default();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        Self {
            online: root
                .line("sys/devices/system/cpu/online")
                .and_then(|list| CpuSet::parse(&list)),
            allowed: allowed.and_then(CpuSet::parse),
        }
    }
}

impl CpuSet {
    /// The processors' numbers, in the order of the list; none beyond 65,535, which no Linux has.
    pub fn numbers(&self) -> Vec<u32> {
        const END: u32 = 1 << 16;
        let ranges = self.list.split(',').filter_map(range);
        ranges.flat_map(|(first, last)| first..=last.min(END - 1)).collect()
    }

    fn parse(list: &str) -> Option<Self> {
        let list = list.trim();
        let mut count = 0u64;
        for part in list.split(',') {
            let (first, last) = range(part)?;
            count += u64::from(last.checked_sub(first)?) + 1;
        }
        Some(Self {
            count,
            list: list.to_owned(),
        })
    }
}

/// `2-5`, or `2` for `2-2`.
fn range(text: &str) -> Option<(u32, u32)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::root::tests::tree;
    use super::*;

    #[test]
    fn lists_are_counted() {
        for (list, count) in [("0", 1), ("0-3", 4), (" 0-1,4,6-7\n", 5), ("0-4294967295", 1 << 32)] {
            assert_eq!(CpuSet::parse(list).map(|set| set.count), Some(count), "{list}");
        }
        assert_eq!(CpuSet::parse("0-1,4,6-7").unwrap().numbers(), [0, 1, 4, 6, 7]);
        assert_eq!(CpuSet::parse("65534-4294967295").unwrap().numbers(), [65534, 65535]);
        for list in ["", "a", "3-1", "0-", "0,,1", "99999999999"] {
            assert_eq!(CpuSet::parse(list), None, "{list}");
        }
    }

    #[test]
    fn the_affinity_is_read_from_the_process() {
        let (_folder, root) = tree(&[(
            "proc/self/status",
            "Name:\tx\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\n",
        )]);
        let cores = Cores::read(&root);
        assert_eq!(cores.online, None);
        assert_eq!(cores.allowed.unwrap().list, "0-1");
    }
}

//! What the control group of this process leaves it: processor time and memory.
//!
//! A limit may be set on the group itself or on any group around it, so all of them are asked, up to the mount point.
//!
//! Source: `cgroups(7)`; Linux, `Documentation/admin-guide/cgroup-v2.rst` (`cpu.max`, `memory.max`),
//! `Documentation/scheduler/sched-bwc.rst` and `Documentation/admin-guide/cgroup-v1/memory.rst`.

use serde::{Serialize, Serializer};

use super::root::Root;

/// Version 1 writes "no limit" as the largest number of whole pages; nothing real comes near 4 EiB.
const NO_LIMIT: u64 = 1 << 62;

/// Limits of a control group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cgroup {
    /// Version of the hierarchy that governs memory: 1 or 2.
    pub version: u8,
    /// Processor time, in processors: 1.5 is one and a half of them.
    pub cpus: Option<Bound<f64>>,
    /// Memory, in bytes.
    pub memory_limit_bytes: Option<Bound<u64>>,
    /// Bytes still left under the limit, page cache that can be dropped not counted as used; `None` without a limit.
    pub memory_room_bytes: Option<u64>,
}

/// A limit that may be none; in JSON the value, or `"unlimited"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound<T> {
    /// No limit.
    Unlimited,
    /// This limit.
    At(T),
}

impl<T: Serialize> Serialize for Bound<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unlimited => serializer.serialize_str("unlimited"),
            Self::At(value) => value.serialize(serializer),
        }
    }
}

impl<T: PartialOrd + Copy> Bound<T> {
    /// The lowest of several limits.
    fn lowest(limits: impl IntoIterator<Item = T>) -> Self {
        let lower = |a: T, b: T| if b < a { b } else { a };
        limits.into_iter().reduce(lower).map_or(Self::Unlimited, Self::At)
    }
}

impl Cgroup {
    pub(super) fn read(root: &Root) -> Option<Self> {
        let groups = root.text("proc/self/cgroup")?;
        let mounts = root.text("proc/self/mountinfo").unwrap_or_default();
        let processor = Hierarchy::of("cpu", &groups, &mounts)?;
        let memory = Hierarchy::of("memory", &groups, &mounts)?;
        let limits = memory
            .folders(root)
            .map(|folders| MemoryLimit::read_all(root, &memory, &folders));
        Some(Self {
            version: memory.version,
            cpus: processor
                .folders(root)
                .map(|folders| Bound::lowest(folders.iter().filter_map(|folder| quota(root, &processor, folder)))),
            memory_limit_bytes: limits
                .as_ref()
                .map(|limits| Bound::lowest(limits.iter().map(|limit| limit.bytes))),
            memory_room_bytes: limits.and_then(|limits| limits.iter().filter_map(|limit| limit.room).min()),
        })
    }
}

/// Where the groups of one controller lie, and the group of this process in it.
struct Hierarchy {
    version: u8,
    /// Mount point.
    mount: String,
    /// The group below it, without slashes at its ends; empty for the mount point itself.
    group: String,
}

impl Hierarchy {
    /// The hierarchy of `controller`: of version 1 if a line of `/proc/self/cgroup` names it, else of version 2.
    fn of(controller: &str, groups: &str, mounts: &str) -> Option<Self> {
        let lines = || {
            groups
                .lines()
                .filter_map(|line| line.split_once(':')?.1.split_once(':'))
        };
        let named = lines().find(|(names, _)| names.split(',').any(|name| name == controller));
        let (version, path) = match named {
            Some((_, path)) => (1, path),
            None => (2, lines().find(|(names, _)| names.is_empty())?.1),
        };
        let found = mounts.lines().find_map(|line| mount(line, version, controller));
        let (top, mount) = found.unwrap_or(match version {
            1 => ("/", format!("/sys/fs/cgroup/{controller}")),
            _ => ("/", "/sys/fs/cgroup".to_owned()),
        });
        // A container may see a part of the tree only, or a path outside of what it sees.
        let inside = path.strip_prefix(top.trim_end_matches('/')).unwrap_or_default();
        let visible = inside.starts_with('/') && !inside.contains("..");
        let group = if visible { inside.trim_matches('/') } else { "" };
        Some(Self {
            version,
            mount,
            group: group.to_owned(),
        })
    }

    /// The group of this process and those around it that can be seen; `None` if none can.
    fn folders(&self, root: &Root) -> Option<Vec<String>> {
        let mut folders = Vec::new();
        let mut group = self.group.as_str();
        loop {
            let folder = format!("{}/{group}", self.mount);
            if root.is_directory(&folder) {
                folders.push(folder);
            }
            if group.is_empty() {
                break;
            }
            group = group.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
        (!folders.is_empty()).then_some(folders)
    }
}

/// The part of the tree that a line of `/proc/self/mountinfo` mounts, and where, if it is the hierarchy sought.
fn mount<'a>(line: &'a str, version: u8, controller: &str) -> Option<(&'a str, String)> {
    let (place, kind) = line.split_once(" - ")?;
    let mut kind = kind.split(' ');
    let (name, options) = (kind.next()?, kind.nth(1)?);
    let sought = match version {
        1 => name == "cgroup" && options.split(',').any(|option| option == controller),
        _ => name == "cgroup2",
    };
    let mut place = place.split(' ').skip(3);
    let (top, point) = (place.next()?, place.next()?);
    sought.then(|| (top, point.to_owned()))
}

/// Processors' time that one group allows; `None` if it sets no limit.
fn quota(root: &Root, hierarchy: &Hierarchy, folder: &str) -> Option<f64> {
    let (quota, period): (u64, u64) = if hierarchy.version == 1 {
        let file = |name| root.number(&format!("{folder}/cpu.{name}"));
        // No limit is -1, which is no number here.
        (file("cfs_quota_us")?, file("cfs_period_us")?)
    } else {
        let line = root.line(&format!("{folder}/cpu.max"))?;
        let (quota, period) = line.split_once(' ')?;
        (quota.parse().ok()?, period.parse().ok()?)
    };
    (period > 0).then(|| quota as f64 / period as f64)
}

/// The memory limit of one group.
struct MemoryLimit {
    bytes: u64,
    room: Option<u64>,
}

impl MemoryLimit {
    fn read_all(root: &Root, hierarchy: &Hierarchy, folders: &[String]) -> Vec<Self> {
        folders
            .iter()
            .filter_map(|folder| Self::read(root, hierarchy, folder))
            .collect()
    }

    fn read(root: &Root, hierarchy: &Hierarchy, folder: &str) -> Option<Self> {
        let [limit, usage, droppable] = match hierarchy.version {
            1 => ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "],
            _ => ["memory.max", "memory.current", "inactive_file "],
        };
        // `max` is no number here.
        let bytes = root
            .number(&format!("{folder}/{limit}"))
            .filter(|bytes: &u64| *bytes < NO_LIMIT)?;
        let room = root.number(&format!("{folder}/{usage}")).map(|used: u64| {
            let statistics = root.text(&format!("{folder}/memory.stat")).unwrap_or_default();
            let cache = statistics.lines().find_map(|line| line.strip_prefix(droppable));
            let cache: u64 = cache.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or_default();
            bytes.saturating_sub(used.saturating_sub(cache))
        });
        Some(Self { bytes, room })
    }
}

#[cfg(test)]
mod tests {
    use super::super::root::tests::tree;
    use super::*;

    const V2: &str = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw shared:1 - cgroup cgroup rw,memory\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_lowest_limit_around_the_process_holds() {
        let (_folder, root) = tree(&[
            ("proc/self/cgroup", "0::/a.slice/b.service\n"),
            ("proc/self/mountinfo", V2),
            ("sys/fs/cgroup/a.slice/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/a.slice/memory.max", "1000\n"),
            ("sys/fs/cgroup/a.slice/memory.current", "900\n"),
            ("sys/fs/cgroup/a.slice/memory.stat", "anon 5\ninactive_file 200\n"),
            ("sys/fs/cgroup/a.slice/b.service/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/a.slice/b.service/memory.max", "2000\n"),
            ("sys/fs/cgroup/a.slice/b.service/memory.current", "500\n"),
        ]);
        assert_eq!(
            Cgroup::read(&root).unwrap(),
            Cgroup {
                version: 2,
                cpus: Some(Bound::At(1.5)),
                memory_limit_bytes: Some(Bound::At(1000)),
                memory_room_bytes: Some(300),
            }
        );
    }

    #[test]
    fn a_container_of_version_1_sees_its_part_of_the_tree() {
        let (_folder, root) = tree(&[
            (
                "proc/self/cgroup",
                "5:memory:/docker/abcd\n1:cpu,cpuacct:/docker/abc\n0::/\n",
            ),
            ("proc/self/mountinfo", V1),
            ("sys/fs/cgroup/memory/d/memory.limit_in_bytes", "1\n"),
            ("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "4096\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "8192\n"),
        ]);
        let group = Cgroup::read(&root).unwrap();
        assert_eq!((group.version, group.cpus), (1, Some(Bound::Unlimited)));
        assert_eq!(group.memory_limit_bytes, Some(Bound::At(4096)));
        assert_eq!(group.memory_room_bytes, Some(0));
    }

    #[test]
    fn no_limit_is_not_a_missing_limit() {
        let unlimited = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        let (_folder, root) = tree(&[("proc/self/cgroup", "1:memory:/\n2:cpu:/x\n"), unlimited]);
        let group = Cgroup::read(&root).unwrap();
        assert_eq!(
            (group.memory_limit_bytes, group.memory_room_bytes),
            (Some(Bound::Unlimited), None)
        );
        assert_eq!(group.cpus, None);
        let json = serde_json::to_value(&group).unwrap();
        assert_eq!(
            (&json["memory_limit_bytes"], &json["cpus"]),
            (&"unlimited".into(), &serde_json::Value::Null)
        );
        let (_folder, root) = tree(&[("proc/self/cgroup", "")]);
        assert_eq!(Cgroup::read(&root), None);
    }

    #[test]
    fn odd_paths_and_numbers_are_survived() {
        let (_folder, root) = tree(&[
            ("proc/self/cgroup", "0::/../../other\nx\n:\n"),
            (
                "proc/self/mountinfo",
                "1 2\n - \n1 2 3 4 - cgroup2\n1 2 3 4 - cgroup2 x y\n",
            ),
            ("sys/fs/cgroup/cpu.max", "100000 0\n"),
            ("sys/fs/cgroup/memory.max", "many\n"),
        ]);
        let group = Cgroup::read(&root).unwrap();
        assert_eq!(
            (group.cpus, group.memory_limit_bytes),
            (Some(Bound::Unlimited), Some(Bound::Unlimited))
        );
    }
}

//! Which logical processors there are, which of them this process may use, and what each can do.

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

/// The kernel's files about each processor.
const FOLDER: &str = "sys/devices/system/cpu";
/// One more than the highest number that a processor of any Linux has.
const END: u32 = 1 << 16;

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
                .line(&format!("{FOLDER}/online"))
                .and_then(|list| CpuSet::parse(&list)),
            allowed: allowed.and_then(CpuSet::parse),
        }
    }

    /// What each processor can do, as the scheduler takes it (Arm), or else its highest frequency; those that do not tell are
    /// left out.
    ///
    /// Source: Linux, `Documentation/scheduler/sched-capacity.rst`, `Documentation/admin-guide/pm/cpufreq.rst`.
    pub(crate) fn capacities(root: &Root) -> Vec<(u32, u64)> {
        let names = root.names(FOLDER).into_iter();
        let numbers = names.filter_map(|name| name.strip_prefix("cpu")?.parse::<u32>().ok());
        let capacity = |number: u32| {
            let read = |file: &str| root.number(&format!("{FOLDER}/cpu{number}/{file}"));
            read("cpu_capacity").or_else(|| read("cpufreq/cpuinfo_max_freq"))
        };
        numbers.filter_map(|number| Some((number, capacity(number)?))).collect()
    }
}

impl CpuSet {
    /// The processors' numbers, in the order of the list; none beyond 65,535, which no Linux has.
    pub fn numbers(&self) -> Vec<u32> {
        let ranges = self.list.split(',').filter_map(range);
        ranges.flat_map(|(first, last)| first..=last.min(END - 1)).collect()
    }

    /// The set of these numbers, which are in rising order.
    pub(crate) fn of(numbers: &[u32]) -> Self {
        let runs = numbers
            .chunk_by(|a, b| a + 1 == *b)
            .filter_map(|run| Some((*run.first()?, *run.last()?)));
        let texts = runs.map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        });
        Self {
            count: numbers.len() as u64,
            list: texts.collect::<Vec<_>>().join(","),
        }
    }

    /// Reads a list as the kernel writes it; `None` if it is none.
    pub(crate) fn parse(list: &str) -> Option<Self> {
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
        for list in ["", "a", "3-1", "0-", "-1", "0,,1", "99999999999"] {
            assert_eq!(CpuSet::parse(list), None, "{list}");
        }
    }

    #[test]
    fn sets_are_written_as_the_kernel_does() {
        for (numbers, list) in [(vec![0], "0"), (vec![0, 1, 2, 3, 6], "0-3,6"), (vec![1, 3], "1,3")] {
            let set = CpuSet::of(&numbers);
            assert_eq!((set.list.as_str(), set.numbers()), (list, numbers));
            assert_eq!(CpuSet::parse(list), Some(set));
        }
    }

    #[test]
    fn capacity_is_the_schedulers_or_else_the_highest_frequency() {
        let capacities = |files: &[(&str, &str)]| Cores::capacities(&tree(files).1);
        let capacity = ("sys/devices/system/cpu/cpu0/cpu_capacity", "446\n");
        let frequency = ("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "2400000\n");
        let silent = ("sys/devices/system/cpu/cpu1/online", "1\n");
        assert_eq!(capacities(&[capacity, frequency, silent]), [(0, 446)]);
        assert_eq!(capacities(&[frequency, silent]), [(0, 2_400_000)]);
        assert_eq!(capacities(&[silent]), []);
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

//! Confines this process to cores, and sets its priority.

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use super::error::Error;
use super::whole::Target;

/// Which logical processors to run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cores {
    /// Those with the highest capacity of a machine whose cores differ.
    Big,
    /// Those with the lowest.
    Little,
    /// These, in rising order; never none.
    Listed(Vec<usize>),
}

/// As [`FromStr`] takes it.
impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Big => f.write_str("big"),
            Self::Little => f.write_str("little"),
            Self::Listed(cores) => f.write_str(&listed(cores)),
        }
    }
}

impl FromStr for Cores {
    type Err = String;

    /// `big`, `little`, or numbers and ranges as the kernel lists them: `0-3,6`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "big" => return Ok(Self::Big),
            "little" => return Ok(Self::Little),
            _ => {}
        }
        let range = |range: &str| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then_some(usize::from(first)..=usize::from(last))
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        let ranges = ranges.ok_or("expected big, little, or numbers and ranges such as 0-3,6")?;
        let mut cores: Vec<_> = ranges.into_iter().flatten().collect();
        cores.sort_unstable();
        cores.dedup();
        Ok(Self::Listed(cores))
    }
}

impl Cores {
    /// Which these are on the machine whose files lie below `root`.
    fn resolve(&self, root: &Path) -> Result<Vec<usize>, Error> {
        let best: fn(&[(usize, u64)]) -> Option<u64> = match self {
            Self::Listed(cores) => return Ok(cores.clone()),
            Self::Big => |cores| cores.iter().map(|core| core.1).max(),
            Self::Little => |cores| cores.iter().map(|core| core.1).min(),
        };
        let cores = capacities(root);
        let differ = cores.iter().any(|core| core.1 != cores[0].1);
        let wanted = best(&cores).filter(|_| differ).ok_or_else(|| {
            let found = if cores.is_empty() {
                "no capacity that is told"
            } else {
                "cores that are all alike"
            };
            Error::demand(
                format!("--cores {self}"),
                "cores of different capacity, or a list of numbers",
                found,
            )
        })?;
        Ok(cores
            .into_iter()
            .filter(|core| core.1 == wanted)
            .map(|core| core.0)
            .collect())
    }
}

/// Confines this process as `target` says; tells its cores, where it says any.
///
/// # Errors
/// Those of [`to_cores`] and [`to_priority`].
pub(super) fn apply(target: &Target) -> Result<Option<String>, Error> {
    target.priority.map_or(Ok(()), to_priority)?;
    target.cores.as_ref().map(to_cores).transpose()
}

/// Confines this thread, and those that it starts from here on, to `cores`; tells which, as the kernel lists them.
///
/// # Errors
/// [`Error::Demand`] for kinds of cores that this machine has not; [`Error::Confine`] if the system refuses.
fn to_cores(cores: &Cores) -> Result<String, Error> {
    let found = cores.resolve(Path::new("/"))?;
    let list = listed(&found);
    system::set_affinity(&found).map_err(|source| Error::Confine {
        item: format!("--cores {list}"),
        source,
    })?;
    Ok(list)
}

/// Sets this process's niceness, -20 to 19, for this thread and those that it starts from here on.
///
/// # Errors
/// [`Error::Confine`] if the system refuses, as it does below 0 without root.
fn to_priority(niceness: i32) -> Result<(), Error> {
    system::set_priority(niceness).map_err(|source| Error::Confine {
        item: format!("--priority {niceness}"),
        source,
    })
}

/// What each processor can do, as the scheduler takes it (Arm), or else its highest frequency.
///
/// Source: Linux, `Documentation/scheduler/sched-capacity.rst`, `Documentation/admin-guide/pm/cpufreq.rst`.
fn capacities(root: &Path) -> Vec<(usize, u64)> {
    let folder = root.join("sys/devices/system/cpu");
    let numbers = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_prefix("cpu")?.parse::<usize>().ok()
        });
    let capacity = |number: usize| {
        let read = |file: &str| {
            let text = fs::read_to_string(folder.join(format!("cpu{number}/{file}"))).ok()?;
            text.trim().parse().ok()
        };
        read("cpu_capacity").or_else(|| read("cpufreq/cpuinfo_max_freq"))
    };
    let mut found: Vec<_> = numbers.filter_map(|number| Some((number, capacity(number)?))).collect();
    found.sort_unstable();
    found
}

/// Numbers in rising order, as the kernel lists them.
fn listed(cores: &[usize]) -> String {
    let runs = cores
        .chunk_by(|a, b| a + 1 == *b)
        .filter_map(|run| Some((*run.first()?, *run.last()?)));
    let texts = runs.map(|(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    });
    texts.collect::<Vec<_>>().join(",")
}

pub(crate) use system::set_affinity;

#[cfg(target_os = "linux")]
mod system {
    use std::io;

    use rustix::process::setpriority_process;
    use rustix::thread::{CpuSet, sched_setaffinity};

    /// Confines this thread, and those that it starts from here on.
    pub(crate) fn set_affinity(cores: &[usize]) -> io::Result<()> {
        if cores.iter().any(|core| *core >= CpuSet::MAX_CPU) {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let mut set = CpuSet::new();
        cores.iter().for_each(|core| set.set(*core));
        Ok(sched_setaffinity(None, &set)?)
    }

    pub(super) fn set_priority(niceness: i32) -> io::Result<()> {
        Ok(setpriority_process(None, niceness)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;

    pub(crate) fn set_affinity(_: &[usize]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn set_priority(_: i32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_written_as_the_kernel_does() {
        for (text, cores, list) in [
            ("0", vec![0], "0"),
            ("6,0-3", vec![0, 1, 2, 3, 6], "0-3,6"),
            ("1-2,2,3", vec![1, 2, 3], "1-3"),
        ] {
            assert_eq!(text.parse(), Ok(Cores::Listed(cores.clone())));
            assert_eq!(Cores::Listed(cores).to_string(), list);
        }
        for kind in [Cores::Big, Cores::Little] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        for text in ["", "a", "3-1", "0-", "-1", "0,,1", "70000"] {
            assert!(text.parse::<Cores>().is_err(), "{text}");
        }
    }

    /// A machine with these capacities, `file` each.
    fn machine(file: &str, capacities: &[u64]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (number, capacity) in capacities.iter().enumerate() {
            let path = root.path().join(format!("sys/devices/system/cpu/cpu{number}/{file}"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{capacity}\n")).unwrap();
        }
        root
    }

    #[test]
    fn big_and_little_are_told_by_capacity_or_frequency() {
        let capacities = [446, 446, 1024, 1024];
        for file in ["cpu_capacity", "cpufreq/cpuinfo_max_freq"] {
            let root = machine(file, &capacities);
            assert_eq!(Cores::Big.resolve(root.path()).unwrap(), [2, 3]);
            assert_eq!(Cores::Little.resolve(root.path()).unwrap(), [0, 1]);
        }
        let error = |root: &tempfile::TempDir| Cores::Big.resolve(root.path()).unwrap_err().to_string();
        let alike = error(&machine("cpu_capacity", &[1024, 1024]));
        assert!(
            alike.starts_with("--cores big: ") && alike.ends_with("all alike"),
            "{alike}"
        );
        assert!(error(&machine("x", &[1])).ends_with("no capacity that is told"));
    }

    #[test]
    fn a_core_that_is_not_there_is_refused() {
        let error = to_cores(&Cores::Listed(vec![65_535])).unwrap_err().to_string();
        assert!(error.starts_with("--cores 65535: the system refuses it: "), "{error}");
    }
}

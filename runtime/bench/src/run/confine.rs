//! Confines this process to cores, and sets its priority.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::error::Error;
use super::whole::Target;
use crate::machine::{self, CpuSet, Root};

/// Which logical processors to run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cores {
    /// Those with the highest capacity, of a machine whose cores differ; of those that are on and allowed.
    Big,
    /// Those with the lowest.
    Little,
    /// These, in rising order; never none.
    Listed(Vec<u32>),
}

/// As [`FromStr`] takes it.
impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Big => f.write_str("big"),
            Self::Little => f.write_str("little"),
            Self::Listed(cores) => f.write_str(&CpuSet::of(cores).list),
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
        let set = CpuSet::parse(text).map(|set| (set.numbers(), set.count));
        // fewer numbers than are counted: some are beyond what any Linux has
        let numbers = set.filter(|(numbers, count)| numbers.len() as u64 == *count);
        let (mut cores, _) = numbers.ok_or("expected big, little, or numbers and ranges such as 0-3,6")?;
        cores.sort_unstable();
        cores.dedup();
        Ok(Self::Listed(cores))
    }
}

impl Cores {
    /// Which these are on the machine whose files lie below `root`, in rising order.
    fn resolve(&self, root: &Root) -> Result<Vec<u32>, Error> {
        let best: fn(&[(u32, u64)]) -> Option<u64> = match self {
            Self::Listed(cores) => return Ok(cores.clone()),
            Self::Big => |cores| cores.iter().map(|core| core.1).max(),
            Self::Little => |cores| cores.iter().map(|core| core.1).min(),
        };
        let usable = machine::Cores::read(root);
        let told = [&usable.online, &usable.allowed].into_iter().flatten();
        let told: Vec<_> = told.map(CpuSet::numbers).collect();
        let mut cores = machine::Cores::capacities(root);
        cores.retain(|core| told.iter().all(|numbers| numbers.contains(&core.0)));
        cores.sort_unstable();
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
/// [`Error::Demand`] for kinds of cores that this machine has not, or if the system gives fewer; [`Error::Confine`] if it
/// refuses.
fn to_cores(cores: &Cores) -> Result<String, Error> {
    let wanted = cores.resolve(&Root::new(Path::new("/")))?;
    let list = CpuSet::of(&wanted).list;
    let given = system::set_affinity(&wanted).map_err(|source| Error::Confine {
        item: format!("--cores {list}"),
        source,
    })?;
    if given != wanted {
        let expected = "processors that are switched on and that this process may use";
        let given = format!("{} alone", CpuSet::of(&given).list);
        return Err(Error::demand(format!("--cores {list}"), expected, given));
    }
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

pub(crate) use system::set_affinity;

#[cfg(target_os = "linux")]
mod system {
    use std::io;

    use rustix::process::setpriority_process;
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    /// Confines this thread, and those that it starts from here on. Tells to which cores, in rising order: the kernel leaves
    /// out those that are switched off or not in the control group's set, and says nothing (`sched_setaffinity(2)`).
    pub(crate) fn set_affinity(cores: &[u32]) -> io::Result<Vec<u32>> {
        let mut set = CpuSet::new();
        for core in cores.iter().map(|core| *core as usize) {
            if core >= CpuSet::MAX_CPU {
                return Err(io::Error::from(io::ErrorKind::InvalidInput));
            }
            set.set(core);
        }
        sched_setaffinity(None, &set)?;
        let given = sched_getaffinity(None)?;
        let numbers = (0..).take(CpuSet::MAX_CPU);
        Ok(numbers.filter(|core: &u32| given.is_set(*core as usize)).collect())
    }

    pub(super) fn set_priority(niceness: i32) -> io::Result<()> {
        Ok(setpriority_process(None, niceness)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;

    pub(crate) fn set_affinity(_: &[u32]) -> io::Result<Vec<u32>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn set_priority(_: i32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tree;

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

    #[test]
    fn big_and_little_are_told_by_capacity() {
        const FOLDER: &str = "sys/devices/system/cpu";
        let resolved = |cores: Cores, file: &str, capacities: &[&str], online: &str| {
            let names: Vec<_> = (0..capacities.len())
                .map(|core| format!("{FOLDER}/cpu{core}/{file}"))
                .collect();
            let mut files: Vec<_> = names
                .iter()
                .map(String::as_str)
                .zip(capacities.iter().copied())
                .collect();
            let path = format!("{FOLDER}/online");
            files.push((&path, online));
            let (_folder, root) = tree(&files);
            cores.resolve(&root).map_err(|error| error.to_string())
        };
        let four = ["446", "446", "1024", "1024"];
        assert_eq!(resolved(Cores::Big, "cpu_capacity", &four, "0-3"), Ok(vec![2, 3]));
        assert_eq!(resolved(Cores::Little, "cpu_capacity", &four, "0-3"), Ok(vec![0, 1]));
        // one that is switched off is none of them
        assert_eq!(resolved(Cores::Big, "cpu_capacity", &four, "0-2"), Ok(vec![2]));
        for (file, online, told) in [
            ("cpu_capacity", "0-1", "cores that are all alike"),
            ("other", "0-3", "no capacity that is told"),
        ] {
            let error = resolved(Cores::Big, file, &four, online).unwrap_err();
            assert!(error.starts_with("--cores big: ") && error.ends_with(told), "{error}");
        }
    }

    #[test]
    fn a_core_that_is_not_there_is_refused() {
        let error = to_cores(&Cores::Listed(vec![65_535])).unwrap_err().to_string();
        assert!(error.starts_with("--cores 65535: the system refuses it: "), "{error}");
    }

    /// The kernel takes such a set, and confines to that part of it that there is.
    #[test]
    fn fewer_cores_than_were_asked_for_are_refused() {
        let allowed = machine::Cores::read(&Root::new(Path::new("/")))
            .allowed
            .unwrap()
            .numbers();
        // in a thread of its own, which alone is confined
        let confine = move |cores: Vec<u32>| {
            std::thread::spawn(move || to_cores(&Cores::Listed(cores)))
                .join()
                .unwrap()
        };
        let first = allowed[0];
        assert_eq!(confine(vec![first]).unwrap(), first.to_string());
        let error = confine(vec![first, 1023]).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "--cores {first},1023: expected processors that are switched on and that this process may use, got {first} alone"
            )
        );
    }
}

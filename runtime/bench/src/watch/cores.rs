//! Clock and time of each processor that is watched.
//!
//! Source: `proc_stat(5)`; Linux, `Documentation/admin-guide/pm/cpufreq.rst`.

use serde::{Deserialize, Serialize};

use crate::machine::{Root, cpuinfo_fields};

/// The kernel's unit of processor time, as programs see it (`USER_HZ`).
pub(super) const TICKS_PER_SECOND: f64 = 100.0;

/// Where frequencies come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FrequencySource {
    /// `scaling_cur_freq` of cpufreq.
    Cpufreq,
    /// The lines `cpu MHz` of `/proc/cpuinfo`, which on many virtual machines never change.
    Cpuinfo,
}

/// A logical processor's clock, and its time since the system started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CoreReading {
    /// Its number.
    pub core: u32,
    /// Frequency; `None` if it is not told.
    pub mhz: Option<f64>,
    /// Its time; `None` if it is not told.
    pub time: Option<CoreTime>,
}

/// Seconds of a processor since the system started, in steps of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CoreTime {
    /// Spent on any program or on the kernel.
    pub busy_seconds: f64,
    /// Spent idle, or idle while waiting for a disk.
    pub idle_seconds: f64,
    /// Spent by the host on other virtual machines.
    pub steal_seconds: f64,
}

impl CoreTime {
    /// All of it.
    pub(super) fn total(self) -> f64 {
        self.busy_seconds + self.idle_seconds + self.steal_seconds
    }

    /// What passed since `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            busy_seconds: self.busy_seconds - earlier.busy_seconds,
            idle_seconds: self.idle_seconds - earlier.idle_seconds,
            steal_seconds: self.steal_seconds - earlier.steal_seconds,
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            busy_seconds: self.busy_seconds + other.busy_seconds,
            idle_seconds: self.idle_seconds + other.idle_seconds,
            steal_seconds: self.steal_seconds + other.steal_seconds,
        }
    }
}

/// Where the frequencies of these cores are told; `None` if nowhere.
pub(super) fn source(root: &Root, cores: &[u32]) -> Option<FrequencySource> {
    [FrequencySource::Cpufreq, FrequencySource::Cpuinfo]
        .into_iter()
        .find(|source| read(root, Some(*source), cores).iter().any(|core| core.mhz.is_some()))
}

pub(super) fn read(root: &Root, source: Option<FrequencySource>, cores: &[u32]) -> Vec<CoreReading> {
    let stat = root.text("proc/stat").unwrap_or_default();
    let cpuinfo = match source {
        Some(FrequencySource::Cpuinfo) => cpuinfo(root),
        _ => Vec::new(),
    };
    let read = |core: &u32| CoreReading {
        core: *core,
        mhz: mhz(root, source, &cpuinfo, *core),
        time: time(&stat, *core),
    };
    cores.iter().map(read).collect()
}

fn mhz(root: &Root, source: Option<FrequencySource>, cpuinfo: &[(u32, f64)], core: u32) -> Option<f64> {
    match source? {
        FrequencySource::Cpufreq => {
            let path = format!("sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq");
            root.number(&path).map(|khz: f64| khz / 1e3)
        }
        FrequencySource::Cpuinfo => cpuinfo.iter().find(|(found, _)| *found == core).map(|(_, mhz)| *mhz),
    }
}

/// The lines `processor` and `cpu MHz` of `/proc/cpuinfo`, together.
fn cpuinfo(root: &Root) -> Vec<(u32, f64)> {
    let text = root.text("proc/cpuinfo").unwrap_or_default();
    let mut processor = None;
    let mut found = Vec::new();
    for (key, value) in cpuinfo_fields(&text) {
        match key {
            "processor" => processor = value.parse().ok(),
            "cpu MHz" => found.extend(processor.zip(value.parse().ok())),
            _ => {}
        }
    }
    found
}

/// user, nice, system, idle, iowait, irq, softirq, steal; what guests used is a part of user.
fn time(stat: &str, core: u32) -> Option<CoreTime> {
    let head = format!("cpu{core} ");
    let line = stat.lines().find_map(|line| line.strip_prefix(head.as_str()))?;
    let ticks = line.split_whitespace().map(str::parse::<u64>);
    let ticks: Vec<_> = ticks.collect::<Result<_, _>>().ok()?;
    let [user, nice, system, idle, waiting, interrupts, soft, steal]: [u64; 8] = ticks.get(..8)?.try_into().ok()?;
    let seconds = |ticks: &[u64]| ticks.iter().map(|ticks| *ticks as f64).sum::<f64>() / TICKS_PER_SECOND;
    Some(CoreTime {
        busy_seconds: seconds(&[user, nice, system, interrupts, soft]),
        idle_seconds: seconds(&[idle, waiting]),
        steal_seconds: seconds(&[steal]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tree;

    const STAT: &str = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 0 50 200 10 20 30 5 40 0\ncpu10 1 x 1 1 1 1 1 1\n";

    #[test]
    fn cpufreq_comes_before_cpuinfo() {
        let cpuinfo = "processor : 0\ncpu MHz : 2596.122\n\nprocessor : 1\nno colon\ncpu MHz : 1000.5\n";
        let current = "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq";
        let (_folder, root) = tree(&[("proc/cpuinfo", cpuinfo), (current, "1500000\n")]);
        let mhz = |source, cores| {
            read(&root, source, cores)
                .iter()
                .map(|core| core.mhz)
                .collect::<Vec<_>>()
        };
        assert_eq!(source(&root, &[0, 1]), Some(FrequencySource::Cpufreq));
        assert_eq!(mhz(Some(FrequencySource::Cpufreq), &[0, 1]), [None, Some(1500.0)]);
        assert_eq!(source(&root, &[0]), Some(FrequencySource::Cpuinfo));
        assert_eq!(
            mhz(Some(FrequencySource::Cpuinfo), &[0, 1, 2]),
            [Some(2596.122), Some(1000.5), None]
        );
        assert_eq!((source(&root, &[7]), mhz(None, &[0])), (None, vec![None]));
    }

    #[test]
    fn time_is_split_and_guests_are_not_counted_twice() {
        let found = time(STAT, 0).unwrap();
        assert_eq!(
            (found.busy_seconds, found.idle_seconds, found.steal_seconds),
            (2.0, 2.1, 0.05)
        );
        assert_eq!((time(STAT, 1), time(STAT, 10), time("", 0)), (None, None, None));
    }
}

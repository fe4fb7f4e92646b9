//! How long tasks had to wait for processors and memory: Linux's pressure stall information.
//!
//! Source: Linux, `Documentation/accounting/psi.rst`.

use serde::{Deserialize, Serialize};

use crate::machine::Root;

/// Seconds since the system started in which some task of the whole system was waiting.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    /// For a processor.
    pub cpu_seconds: Option<f64>,
    /// For memory.
    pub memory_seconds: Option<f64>,
}

/// `None` where the kernel keeps no such account.
pub(super) fn read(root: &Root) -> Option<Pressure> {
    let seconds = |file| {
        root.text(&format!("proc/pressure/{file}"))
            .and_then(|text| total(&text))
    };
    let pressure = Pressure {
        cpu_seconds: seconds("cpu"),
        memory_seconds: seconds("memory"),
    };
    (pressure.cpu_seconds.is_some() || pressure.memory_seconds.is_some()).then_some(pressure)
}

/// `total`, in microseconds, of the line `some`.
fn total(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let total = line.split(' ').find_map(|word| word.strip_prefix("total="))?;
    Some(total.parse::<u64>().ok()? as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tree;

    #[test]
    fn microseconds_become_seconds() {
        let cpu = "some avg10=7.52 avg60=3.26 avg300=2.31 total=1500000\nfull avg10=0 avg60=0 avg300=0 total=9\n";
        let (_folder, root) = tree(&[("proc/pressure/cpu", cpu), ("proc/pressure/memory", "full total=1\n")]);
        let expected = Pressure {
            cpu_seconds: Some(1.5),
            memory_seconds: None,
        };
        assert_eq!(read(&root), Some(expected));
        let (_folder, root) = tree(&[]);
        assert_eq!(read(&root), None);
    }
}

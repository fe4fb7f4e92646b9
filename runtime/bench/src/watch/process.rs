//! What this process itself used and suffered.
//!
//! Source: `proc_pid_stat(5)`, `proc_pid_status(5)`.

use serde::{Deserialize, Serialize};

use super::cores::TICKS_PER_SECOND;
use crate::machine::Root;

/// This process since its start, all threads together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessReading {
    /// Processor time, in seconds, in steps of 10 ms.
    pub cpu_seconds: f64,
    /// Faults for which a page was read from disk.
    pub major_faults: u64,
    /// How often a thread that lives now was taken off its processor against its will; `None` if it is not told.
    pub involuntary_switches: Option<u64>,
}

pub(super) fn read(root: &Root) -> Option<ProcessReading> {
    let (cpu_seconds, major_faults) = parse(&root.text("proc/self/stat")?)?;
    Some(ProcessReading {
        cpu_seconds,
        major_faults,
        involuntary_switches: involuntary_switches(root),
    })
}

/// Fields 14 and 15 in seconds, and 12. The name, field 2, is in parentheses and may hold anything.
fn parse(stat: &str) -> Option<(f64, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)?.checked_add(field(15)?)?;
    Some((ticks as f64 / TICKS_PER_SECOND, field(12)?))
}

fn involuntary_switches(root: &Root) -> Option<u64> {
    const KEY: &str = "nonvoluntary_ctxt_switches:";
    let threads = root.names("proc/self/task").into_iter();
    let counts = threads.filter_map(|thread| {
        let status = root.text(&format!("proc/self/task/{thread}/status"))?;
        let count = status.lines().find_map(|line| line.strip_prefix(KEY))?;
        count.trim().parse::<u64>().ok()
    });
    counts.reduce(|sum, count| sum.saturating_add(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tree;

    #[test]
    fn threads_are_added_up_and_a_name_is_no_field() {
        let stat = "7 (a) b 1) R 1 1 1 0 -1 4194304 99 0 3 0 150 50 0 0 20 0 1 0\n";
        let (_folder, root) = tree(&[
            ("proc/self/stat", stat),
            ("proc/self/task/7/status", "Name:\ta\nnonvoluntary_ctxt_switches:\t4\n"),
            ("proc/self/task/12/status", "nonvoluntary_ctxt_switches:\t5\n"),
            ("proc/self/task/13/status", "gone\n"),
        ]);
        let expected = ProcessReading {
            cpu_seconds: 2.0,
            major_faults: 3,
            involuntary_switches: Some(9),
        };
        assert_eq!(read(&root), Some(expected));
    }

    #[test]
    fn what_is_not_told_is_none() {
        for stat in ["1 (x) R 1\n", "1 (x) R 1 1 1 0 -1 0 9 0 0 0 18446744073709551615 1\n"] {
            let (_folder, root) = tree(&[("proc/self/stat", stat)]);
            assert_eq!(read(&root), None, "{stat}");
        }
        let (_folder, root) = tree(&[("proc/self/stat", "1 (x) R 1 1 1 0 -1 0 9 0 0 0 1 1\n")]);
        assert_eq!(read(&root).unwrap().involuntary_switches, None);
    }
}

//! What the system tells of itself without root: files below `/proc`, `/sys`, `/etc` and `/var`, read and parsed.
//!
//! Everything is read below a root directory, so that a copy of another machine's files can be looked at as well. What
//! cannot be read is `None`, never zero and never a guess.

mod cgroup;
mod cores;
mod cpu;
mod frequency;
mod jetson;
mod libc;
mod memory;
mod nvidia;
mod root;
mod system;

use std::path::Path;

use serde::Serialize;

pub use cgroup::{Bound, Cgroup};
pub use cores::{Cores, CpuSet};
pub(crate) use cpu::fields as cpuinfo_fields;
pub use cpu::{Cpu, CpuFamily};
pub use frequency::FrequencyPolicy;
pub use jetson::{Jetson, PowerMode};
pub use libc::{Libc, LibcKind};
pub use memory::Memory;
pub(crate) use memory::bytes_of;
pub(crate) use root::Root;
pub use system::System;

#[cfg(test)]
pub(crate) use root::tests::tree;

/// The machine and what this process may use of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Board and operating system.
    pub system: System,
    /// The C library of this process.
    pub libc: Option<Libc>,
    /// The processor.
    pub cpu: Cpu,
    /// Its logical processors.
    pub cores: Cores,
    /// How their frequency is governed, one entry for each policy; `None` if that is not told.
    pub frequency: Option<Vec<FrequencyPolicy>>,
    /// The machine's memory.
    pub memory: Memory,
    /// Limits of the control group that this process is in; `None` if it is not told.
    pub cgroup: Option<Cgroup>,
    /// What only NVIDIA's Jetson boards have; `None` elsewhere.
    pub jetson: Option<Jetson>,
    /// Version of NVIDIA's kernel driver, such as `550.54.14`; `None` if it is not loaded.
    pub nvidia_driver: Option<String>,
}

impl Machine {
    /// Reads the machine whose files lie below `root`: `/` for this one.
    ///
    /// Never fails: what cannot be read is missing in the result.
    pub fn read(root: &Path) -> Self {
        let root = &Root::new(root);
        Self {
            system: System::read(root),
            libc: Libc::read(root),
            cpu: Cpu::read(root),
            cores: Cores::read(root),
            frequency: FrequencyPolicy::read_all(root),
            memory: Memory::read(root),
            cgroup: Cgroup::read(root),
            jetson: Jetson::read(root),
            nvidia_driver: nvidia::driver_version(root),
        }
    }

    /// Bytes that a new allocation could get: the least of what the machine has available and what the control group
    /// leaves; `None` if neither is told.
    pub fn memory_room(&self) -> Option<u64> {
        let in_group = self.cgroup.as_ref().and_then(|group| group.memory_room_bytes);
        [self.memory.available_bytes, in_group].into_iter().flatten().min()
    }

    /// Threads that can run at once: the processors that this process may use, or fewer where its control group has less
    /// time than they have; `None` if neither is told.
    pub fn usable_cores(&self) -> Option<u64> {
        let processors = self.cores.allowed.as_ref().or(self.cores.online.as_ref());
        let quota = match self.cgroup.as_ref().and_then(|group| group.cpus) {
            Some(Bound::At(processors)) => Some(processors.floor().max(1.0) as u64),
            Some(Bound::Unlimited) | None => None,
        };
        [processors.map(|set| set.count), quota].into_iter().flatten().min()
    }
}

//! How the processors' frequency is governed: the policies of Linux's cpufreq.

use serde::Serialize;

use super::root::Root;

const FOLDER: &str = "sys/devices/system/cpu/cpufreq";

/// Processors that share a frequency, and its limits.
///
/// Source: Linux, `Documentation/admin-guide/pm/cpufreq.rst`, "Policy Interface in sysfs". Frequencies in kHz.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FrequencyPolicy {
    /// Its name, such as `policy0`.
    pub name: String,
    /// The processors, such as `0 1 2 3`.
    pub cpus: Option<String>,
    /// What chooses the frequency, such as `schedutil` or `performance`.
    pub governor: Option<String>,
    /// Lowest frequency that may be chosen.
    pub min_khz: Option<u64>,
    /// Highest frequency that may be chosen.
    pub max_khz: Option<u64>,
    /// Lowest frequency of the hardware.
    pub hardware_min_khz: Option<u64>,
    /// Highest frequency of the hardware.
    pub hardware_max_khz: Option<u64>,
}

impl FrequencyPolicy {
    /// All policies; `None` if there are none, as in most virtual machines.
    pub(super) fn read_all(root: &Root) -> Option<Vec<Self>> {
        let names = root.names(FOLDER).into_iter().filter(|name| name.starts_with("policy"));
        let policies: Vec<_> = names.map(|name| Self::read(root, name)).collect();
        (!policies.is_empty()).then_some(policies)
    }

    fn read(root: &Root, name: String) -> Self {
        let path = |file| format!("{FOLDER}/{name}/{file}");
        Self {
            cpus: root.line(&path("affected_cpus")),
            governor: root.line(&path("scaling_governor")),
            min_khz: root.number(&path("scaling_min_freq")),
            max_khz: root.number(&path("scaling_max_freq")),
            hardware_min_khz: root.number(&path("cpuinfo_min_freq")),
            hardware_max_khz: root.number(&path("cpuinfo_max_freq")),
            name,
        }
    }

    /// Whether only one frequency may be chosen; `None` if its limits are not told.
    pub fn is_fixed(&self) -> Option<bool> {
        Some(self.min_khz? == self.max_khz?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::root::tests::tree;
    use super::*;

    #[test]
    fn policies_are_read_as_far_as_they_go() {
        let (_folder, root) = tree(&[
            (
                "sys/devices/system/cpu/cpufreq/policy10/scaling_governor",
                "schedutil\n",
            ),
            (
                "sys/devices/system/cpu/cpufreq/policy2/scaling_governor",
                "performance\n",
            ),
            ("sys/devices/system/cpu/cpufreq/policy2/scaling_min_freq", "600000\n"),
            ("sys/devices/system/cpu/cpufreq/policy2/scaling_max_freq", "600000\n"),
            ("sys/devices/system/cpu/cpufreq/boost", "1\n"),
        ]);
        let policies = FrequencyPolicy::read_all(&root).unwrap();
        let names: Vec<_> = policies.iter().map(|policy| policy.name.as_str()).collect();
        assert_eq!(names, ["policy2", "policy10"]);
        assert_eq!((policies[0].is_fixed(), policies[1].is_fixed()), (Some(true), None));
        assert_eq!(policies[0].hardware_max_khz, None);
    }

    #[test]
    fn a_virtual_machine_has_none() {
        let (_folder, root) = tree(&[("sys/devices/system/cpu/cpufreq/boost", "1\n")]);
        assert_eq!(FrequencyPolicy::read_all(&root), None);
    }
}

//! What the machine's facts mean for inference and for measuring it.
//!
//! What only some boards have is `ok` where it is missing; what every Linux system tells is worth a note.

use crate::machine::{Bound, Cgroup, CpuSet, FrequencyPolicy, Libc, LibcKind, Machine, PowerMode};
use crate::text::bytes;

use super::finding::Finding;

/// Oldest glibc that ONNX Runtime's own packages run on: their platform tag is `manylinux_2_28`.
const GLIBC_OF_PACKAGES: (u32, u32) = (2, 28);

const MOUNT: &str = "run it where /proc and /sys are mounted";

pub(super) fn machine(machine: &Machine) -> Vec<Finding> {
    vec![
        board(machine),
        system(machine),
        libc(machine.libc.as_ref()),
        cpu(machine),
        cores(machine),
        frequency(machine.frequency.as_deref()),
        memory(machine),
        cgroup(machine.cgroup.as_ref(), machine.cores.allowed.as_ref()),
        jetson(machine),
        driver(machine),
    ]
}

fn board(machine: &Machine) -> Finding {
    let missing = "missing (no /proc/device-tree/model, no firmware tables)";
    Finding::ok("board", machine.system.board.as_deref().unwrap_or(missing))
}

fn system(machine: &Machine) -> Finding {
    let os = machine.system.os.as_deref();
    let os = os.unwrap_or("name missing (no /etc/os-release)");
    let kernel = machine.system.kernel.as_deref().unwrap_or("release missing");
    Finding::ok("system", format!("{os}, Linux {kernel}"))
}

fn libc(libc: Option<&Libc>) -> Finding {
    const BUILD: &str = "take the board maker's ONNX Runtime, or build it on this system";
    let Some(libc) = libc else {
        return Finding::note("libc", "missing (not found in /proc/self/maps)", MOUNT);
    };
    let (major, minor) = GLIBC_OF_PACKAGES;
    match (libc.kind, &libc.version) {
        (LibcKind::Musl, _) => Finding::note("libc", "musl; ONNX Runtime's own packages are for glibc", BUILD),
        (LibcKind::Glibc, None) => Finding::note("libc", "glibc, version missing (its file cannot be read)", MOUNT),
        (LibcKind::Glibc, Some(version)) if is_below(version, GLIBC_OF_PACKAGES) => Finding::note(
            "libc",
            format!("glibc {version}; ONNX Runtime's own packages need {major}.{minor} or later"),
            BUILD,
        ),
        (LibcKind::Glibc, Some(version)) => Finding::ok("libc", format!("glibc {version}")),
    }
}

/// Whether `major.minor` is older than `limit`; a version that cannot be read is not.
fn is_below(version: &str, limit: (u32, u32)) -> bool {
    let mut numbers = version.split('.').map(str::parse);
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < limit)
}

fn cpu(machine: &Machine) -> Finding {
    let model = machine.cpu.model.as_deref().unwrap_or("model missing");
    let (Some(family), Some(features)) = (machine.cpu.family, &machine.cpu.features) else {
        return Finding::note("cpu", format!("{model}, features missing (no /proc/cpuinfo)"), MOUNT);
    };
    let names = |wanted| {
        let names = features.iter().filter(move |(_, has)| **has == wanted);
        names.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    };
    let mut text = format!("{model}, {}", family.name());
    for (what, names) in [("with", names(true)), ("without", names(false))] {
        if !names.is_empty() {
            text += &format!(", {what} {names}");
        }
    }
    Finding::ok("cpu", text)
}

fn cores(machine: &Machine) -> Finding {
    let cores = &machine.cores;
    let told = |set: &Option<CpuSet>| match set {
        Some(set) => format!("{} ({})", set.count, set.list),
        None => "missing".to_owned(),
    };
    let text = format!("online {}, allowed {}", told(&cores.online), told(&cores.allowed));
    match (&cores.online, &cores.allowed) {
        (Some(online), Some(allowed)) if allowed.count < online.count => Finding::note(
            "cores",
            text,
            format!(
                "take at most {} threads, or widen the affinity (taskset, cpuset)",
                allowed.count
            ),
        ),
        (Some(_), Some(_)) => Finding::ok("cores", text),
        _ => Finding::note("cores", text, MOUNT),
    }
}

fn frequency(policies: Option<&[FrequencyPolicy]>) -> Finding {
    const HOLD: &str =
        "before measuring: echo performance | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor";
    let Some(policies) = policies else {
        return Finding::note(
            "governor",
            "missing (no /sys/devices/system/cpu/cpufreq/policy*)",
            "the clock cannot be told from here; in a virtual machine, ask the host",
        );
    };
    let text = kinds(policies);
    let held =
        |policy: &FrequencyPolicy| policy.governor.as_deref() == Some("performance") || policy.is_fixed() == Some(true);
    if !policies.iter().all(held) {
        return Finding::note("governor", text, HOLD);
    }
    if policies.iter().any(is_capped) {
        return Finding::note(
            "governor",
            text,
            "raise scaling_max_freq, or the power mode, if the cap is not meant",
        );
    }
    Finding::ok("governor", text)
}

/// The policies, those that are alike once: servers have one for each core.
fn kinds(policies: &[FrequencyPolicy]) -> String {
    let mut kinds: Vec<(String, Vec<&str>)> = Vec::new();
    for policy in policies {
        let text = describe(policy);
        match kinds.iter_mut().find(|(known, _)| *known == text) {
            Some((_, names)) => names.push(&policy.name),
            None => kinds.push((text, vec![&policy.name])),
        }
    }
    let kinds = kinds.iter().map(|(text, names)| match names.as_slice() {
        [first, .., last] => format!("{} policies, {first} to {last}: {text}", names.len()),
        names => format!("{}: {text}", names.concat()),
    });
    kinds.collect::<Vec<_>>().join("; ")
}

fn describe(policy: &FrequencyPolicy) -> String {
    let mhz = |khz: Option<u64>| khz.map_or_else(|| "missing".to_owned(), |khz| (khz / 1000).to_string());
    let governor = policy.governor.as_deref().unwrap_or("governor missing");
    let mut text = match (policy.min_khz, policy.max_khz) {
        (None, None) => format!("{governor}, limits missing"),
        (min, max) => format!("{governor}, {} to {} MHz", mhz(min), mhz(max)),
    };
    if is_capped(policy) {
        text += &format!(" (hardware up to {})", mhz(policy.hardware_max_khz));
    }
    text
}

fn is_capped(policy: &FrequencyPolicy) -> bool {
    matches!((policy.max_khz, policy.hardware_max_khz), (Some(max), Some(hardware)) if max < hardware)
}

fn memory(machine: &Machine) -> Finding {
    let told = |value: Option<u64>| value.map_or_else(|| "missing".to_owned(), bytes);
    let memory = machine.memory;
    let (total, available) = (told(memory.total_bytes), told(memory.available_bytes));
    let text = format!("total {total}, available {available}");
    match memory.available_bytes {
        Some(_) => Finding::ok("memory", text),
        None => Finding::note("memory", text, MOUNT),
    }
}

fn cgroup(group: Option<&Cgroup>, allowed: Option<&CpuSet>) -> Finding {
    let Some(group) = group else {
        return Finding::note("cgroup", "missing (no /proc/self/cgroup)", MOUNT);
    };
    let time = match group.cpus {
        None => "limit on processor time missing".to_owned(),
        Some(Bound::Unlimited) => "no limit on processor time".to_owned(),
        Some(Bound::At(cpus)) => format!("time of {cpus:.2} processors"),
    };
    let memory = match (group.memory_limit_bytes, group.memory_room_bytes) {
        (None, _) => "limit on memory missing".to_owned(),
        (Some(Bound::Unlimited), _) => "no limit on memory".to_owned(),
        (Some(Bound::At(limit)), None) => format!("memory {}, use missing", bytes(limit)),
        (Some(Bound::At(limit)), Some(room)) => format!("memory {}, {} left", bytes(limit), bytes(room)),
    };
    let text = format!("version {}: {time}, {memory}", group.version);
    match (group.cpus, allowed) {
        (Some(Bound::At(cpus)), Some(allowed)) if cpus < allowed.count as f64 => {
            let threads = cpus.floor().max(1.0);
            let advice = format!("take at most {threads} threads: more are stopped to keep the quota; or raise it");
            Finding::note("cgroup", text, advice)
        }
        (Some(_), _) if group.memory_limit_bytes.is_some() => Finding::ok("cgroup", text),
        _ => Finding::note("cgroup", text, MOUNT),
    }
}

fn jetson(machine: &Machine) -> Finding {
    let Some(jetson) = &machine.jetson else {
        return Finding::ok(
            "jetson",
            "missing (no /etc/nv_tegra_release, no package nvidia-jetpack)",
        );
    };
    let l4t = jetson.l4t.as_deref().unwrap_or("missing");
    let jetpack = jetson.jetpack.as_deref().unwrap_or("missing");
    let mode = jetson.power_mode.as_ref();
    let mode = mode.map_or_else(|| "missing".to_owned(), PowerMode::to_string);
    let clock = match jetson.gpu_clock_fixed {
        None => "missing",
        Some(true) => "held",
        Some(false) => "not held",
    };
    let text = format!("L4T {l4t}, JetPack {jetpack}, power mode {mode}, GPU clock {clock}");
    match jetson.gpu_clock_fixed {
        Some(false) => Finding::note("jetson", text, "before measuring: sudo jetson_clocks"),
        _ => Finding::ok("jetson", text),
    }
}

fn driver(machine: &Machine) -> Finding {
    let text = match &machine.nvidia_driver {
        Some(version) => format!("driver {version}"),
        None => "driver missing (no /proc/driver/nvidia/version)".to_owned(),
    };
    Finding::ok("nvidia", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn an_old_or_other_libc_is_noted() {
        let judged = |kind, version: Option<&str>| {
            let version = version.map(str::to_owned);
            libc(Some(&Libc { kind, version })).severity
        };
        assert_eq!(judged(LibcKind::Glibc, Some("2.28")), Severity::Ok);
        assert_eq!(judged(LibcKind::Glibc, Some("2.27")), Severity::Note);
        assert_eq!(judged(LibcKind::Glibc, None), Severity::Note);
        assert_eq!(judged(LibcKind::Musl, None), Severity::Note);
        assert!(!is_below("x", GLIBC_OF_PACKAGES) && !is_below("", GLIBC_OF_PACKAGES));
    }

    fn policy(name: &str, governor: &str, max_khz: u64) -> FrequencyPolicy {
        FrequencyPolicy {
            name: name.into(),
            cpus: None,
            governor: Some(governor.into()),
            min_khz: Some(600_000),
            max_khz: Some(max_khz),
            hardware_min_khz: Some(600_000),
            hardware_max_khz: Some(2_400_000),
        }
    }

    #[test]
    fn only_a_clock_that_is_held_and_not_capped_is_ok() {
        let full = policy("policy0", "performance", 2_400_000);
        assert_eq!(frequency(Some(std::slice::from_ref(&full))).severity, Severity::Ok);

        let moving = frequency(Some(&[full, policy("policy4", "schedutil", 2_400_000)]));
        assert_eq!(moving.severity, Severity::Note);
        assert_eq!(
            moving.text,
            "policy0: performance, 600 to 2400 MHz; policy4: schedutil, 600 to 2400 MHz"
        );

        let capped = frequency(Some(&[
            policy("policy0", "schedutil", 600_000),
            policy("policy1", "schedutil", 600_000),
        ]));
        assert_eq!(capped.severity, Severity::Note);
        assert_eq!(
            capped.text,
            "2 policies, policy0 to policy1: schedutil, 600 to 600 MHz (hardware up to 2400)"
        );
        assert!(capped.advice.unwrap().contains("scaling_max_freq"));
    }

    #[test]
    fn a_quota_below_the_allowed_cores_is_noted() {
        let group = Cgroup {
            version: 2,
            cpus: Some(Bound::At(2.5)),
            memory_limit_bytes: Some(Bound::At(1 << 20)),
            memory_room_bytes: Some(1 << 10),
        };
        let allowed = |count| {
            Some(CpuSet {
                count,
                list: "0".into(),
            })
        };
        let noted = cgroup(Some(&group), allowed(4).as_ref());
        assert_eq!(
            noted.text,
            "version 2: time of 2.50 processors, memory 1.0 MiB, 1.0 KiB left"
        );
        assert!(noted.advice.unwrap().starts_with("take at most 2 threads"));
        assert_eq!(cgroup(Some(&group), allowed(2).as_ref()).severity, Severity::Ok);
    }
}

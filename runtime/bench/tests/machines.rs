//! Machines read from copies of the files that they tell of themselves by, and judged.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::fs;
use std::path::Path;

use askd_bench::doctor::{Demand, Finding, Report, Severity, examine};
use askd_bench::machine::{Bound, CpuFamily, LibcKind, Machine};
use askd_runtime::{Batch, Manifest};
use common::{FIXED, bundle, require_engine};
use tempfile::TempDir;

/// A directory that stands for `/`.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// A policy of cpufreq.
    fn policy(&self, name: &str, governor: &str, [min, max, hardware_max]: [u32; 3]) -> &Self {
        let folder = format!("sys/devices/system/cpu/cpufreq/{name}");
        self.file(&format!("{folder}/scaling_governor"), &format!("{governor}\n"))
            .file(&format!("{folder}/scaling_min_freq"), &format!("{min}\n"))
            .file(&format!("{folder}/scaling_max_freq"), &format!("{max}\n"))
            .file(&format!("{folder}/cpuinfo_max_freq"), &format!("{hardware_max}\n"))
    }

    /// What every 64-bit Arm board here has: processors, glibc, a control group without limits.
    fn arm_board(&self, cores: usize, part: &str, features: &str, glibc: &str) -> &Self {
        let core = format!(
            "BogoMIPS\t: 108.00\nFeatures\t: {features}\nCPU implementer\t: 0x41\nCPU architecture: 8\n\
             CPU variant\t: 0x0\nCPU part\t: {part}\nCPU revision\t: 3\n\n"
        );
        let cpuinfo: String = (0..cores)
            .map(|index| format!("processor\t: {index}\n{core}"))
            .collect();
        let list = format!("0-{}", cores - 1);
        let library = "usr/lib/aarch64-linux-gnu/libc.so.6";
        let banner = format!("\x7fELF\0GNU C Library (x) stable release version {glibc}.\nCopyright\0");
        self.file("proc/cpuinfo", &cpuinfo)
            .file("sys/devices/system/cpu/online", &list)
            .file("proc/self/status", &format!("Name:\tx\nCpus_allowed_list:\t{list}\n"))
            .file(
                "proc/self/maps",
                &format!("7f8000-7f9000 r-xp 0000 b3:02 1 /{library}\n"),
            )
            .file(library, &banner)
            .file("proc/self/cgroup", "0::/user.slice/session-1.scope\n")
            .file("sys/fs/cgroup/user.slice/session-1.scope/memory.max", "max\n")
            .file("sys/fs/cgroup/user.slice/session-1.scope/cpu.max", "max 100000\n")
    }

    fn read(&self) -> Machine {
        Machine::read(self.0.path())
    }
}

fn raspberry_pi_4() -> Machine {
    let tree = Tree::new();
    tree.arm_board(4, "0xd08", "fp asimd evtstrm crc32 cpuid", "2.36")
        .file("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.5\0")
        .file(
            "etc/os-release",
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n",
        )
        .file("proc/sys/kernel/osrelease", "6.6.31+rpt-rpi-v8\n")
        .file(
            "proc/meminfo",
            "MemTotal: 3884360 kB\nMemFree: 1 kB\nMemAvailable: 3400000 kB\n",
        )
        .policy("policy0", "ondemand", [600_000, 1_800_000, 1_800_000]);
    tree.read()
}

fn raspberry_pi_5() -> Machine {
    let features = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp";
    let tree = Tree::new();
    tree.arm_board(4, "0xd0b", features, "2.36")
        .file("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
        .file("proc/meminfo", "MemTotal: 8256320 kB\nMemAvailable: 7000000 kB\n")
        .policy("policy0", "performance", [1_500_000, 2_400_000, 2_400_000]);
    tree.read()
}

fn jetson_orin() -> Machine {
    let features = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp \
                    uscat ilrcpc flagm paca pacg";
    let tree = Tree::new();
    tree.arm_board(6, "0xd42", features, "2.35")
        .file("proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\0")
        .file("etc/os-release", "PRETTY_NAME=\"Ubuntu 22.04.5 LTS\"\n")
        .file("proc/sys/kernel/osrelease", "5.15.148-tegra\n")
        .file("proc/meminfo", "MemTotal: 7802680 kB\nMemAvailable: 6000000 kB\n")
        .policy("policy0", "schedutil", [729_600, 1_510_400, 1_728_000])
        .policy("policy4", "schedutil", [729_600, 1_510_400, 1_728_000])
        .file(
            "etc/nv_tegra_release",
            "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 2025\n",
        )
        .file(
            "var/lib/dpkg/status",
            "Package: nvidia-jetpack\nStatus: install ok installed\nArchitecture: arm64\nVersion: 6.2+b77\n\n",
        )
        .file("var/lib/nvpmodel/status", "pmode:0000")
        .file(
            "etc/nvpmodel.conf",
            "< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=25W >\n",
        )
        .file("sys/class/devfreq/17000000.gpu/min_freq", "306000000\n")
        .file("sys/class/devfreq/17000000.gpu/max_freq", "624750000\n")
        .file(
            "proc/driver/nvidia/version",
            "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build  (x@y)\n",
        );
    tree.read()
}

/// A container on a server: the time of two of 64 processors, and 1 GiB of which 256 MiB are left.
fn container() -> Machine {
    let tree = Tree::new();
    tree.file(
        "proc/cpuinfo",
        "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz\n\
         flags\t\t: fpu sse4_2 fma avx avx2 avx512f avx512dq avx512bw avx512vl avx512_vnni\n",
    )
    .file("sys/devices/system/cpu/online", "0-63\n")
    .file("proc/self/status", "Cpus_allowed_list:\t0-63\n")
    .file("proc/meminfo", "MemTotal: 263000000 kB\nMemAvailable: 200000000 kB\n")
    .file("proc/self/cgroup", "0::/\n")
    .file(
        "proc/self/mountinfo",
        "30 24 0:26 / /sys/fs/cgroup ro,nosuid,nodev - cgroup2 cgroup rw,nsdelegate\n",
    )
    .file("sys/fs/cgroup/cpu.max", "200000 100000\n")
    .file("sys/fs/cgroup/memory.max", "1073741824\n")
    .file("sys/fs/cgroup/memory.current", "805306368\n")
    .file("sys/fs/cgroup/memory.stat", "anon 805306368\ninactive_file 0\n");
    tree.read()
}

/// The machine alone, with no engine to be found.
fn judge(machine: Machine) -> Report {
    let demand = Demand {
        library: Some("/nowhere/libonnxruntime.so".into()),
        ..Demand::default()
    };
    examine(machine, &demand)
}

fn finding<'a>(report: &'a Report, subject: &str) -> &'a Finding {
    let found = report.findings.iter().find(|finding| finding.subject == subject);
    found.unwrap_or_else(|| panic!("no {subject} in {report}"))
}

#[test]
fn a_raspberry_pi_4_has_no_dot_products() {
    let machine = raspberry_pi_4();
    assert_eq!(machine.system.board.as_deref(), Some("Raspberry Pi 4 Model B Rev 1.5"));
    assert_eq!(machine.system.kernel.as_deref(), Some("6.6.31+rpt-rpi-v8"));
    assert_eq!(machine.cpu.family, Some(CpuFamily::Arm64));
    assert_eq!(machine.libc.as_ref().unwrap().version.as_deref(), Some("2.36"));
    assert_eq!(machine.memory.total_bytes, Some(3_884_360 * 1024));
    let group = machine.cgroup.as_ref().unwrap();
    assert_eq!(
        (group.cpus, group.memory_limit_bytes),
        (Some(Bound::Unlimited), Some(Bound::Unlimited))
    );
    assert_eq!(machine.memory_room(), Some(3_400_000 * 1024));
    assert_eq!((&machine.jetson, &machine.nvidia_driver), (&None, &None));

    let report = judge(machine);
    let cpu = finding(&report, "cpu");
    assert_eq!(cpu.text, "Cortex-A72, arm64, with asimd, without dotprod, fp16, i8mm");
    let governor = finding(&report, "governor");
    assert_eq!(governor.severity, Severity::Note);
    assert_eq!(governor.text, "policy0: ondemand, 600 to 1800 MHz");
}

#[test]
fn a_raspberry_pi_5_has_them() {
    let machine = raspberry_pi_5();
    assert_eq!(machine.cores.online.as_ref().unwrap().count, 4);
    let report = judge(machine);
    let cpu = finding(&report, "cpu");
    assert_eq!(cpu.text, "Cortex-A76, arm64, with asimd, dotprod, fp16, without i8mm");
    assert_eq!(finding(&report, "governor").severity, Severity::Ok);
    let system = finding(&report, "system");
    assert_eq!(system.text, "name missing (no /etc/os-release), Linux release missing");
}

#[test]
fn a_jetson_tells_releases_and_power_mode() {
    let machine = jetson_orin();
    assert_eq!(machine.cpu.model.as_deref(), Some("Cortex-A78AE"));
    assert_eq!(machine.nvidia_driver.as_deref(), Some("540.4.0"));
    let report = judge(machine);
    let jetson = finding(&report, "jetson");
    assert_eq!(
        jetson.text,
        "L4T 36.4.3, JetPack 6.2+b77, power mode 0 (15W), GPU clock not held"
    );
    assert!(jetson.advice.as_ref().unwrap().contains("jetson_clocks"));
    assert_eq!(
        finding(&report, "governor").text,
        "2 policies, policy0 to policy4: schedutil, 729 to 1510 MHz (hardware up to 1728)"
    );
}

#[test]
fn a_containers_limits_count_not_the_servers() {
    let machine = container();
    assert_eq!(machine.memory_room(), Some(256 << 20));
    let report = judge(machine);
    let group = finding(&report, "cgroup");
    assert_eq!(
        group.text,
        "version 2: time of 2.00 processors, memory 1.0 GiB, 256.0 MiB left"
    );
    assert!(group.advice.as_ref().unwrap().starts_with("take at most 2 threads"));
    let cpu = &finding(&report, "cpu").text;
    assert!(cpu.ends_with("x86, with avx2, avx512, vnni"), "{cpu}");
}

#[test]
fn usable_cores_are_the_least_that_affinity_and_quota_leave() {
    assert_eq!(raspberry_pi_4().usable_cores(), Some(4));
    assert_eq!(container().usable_cores(), Some(2));
    let board = Tree::new();
    board
        .arm_board(4, "0xd08", "fp asimd", "2.36")
        .file("sys/fs/cgroup/user.slice/session-1.scope/cpu.max", "50000 100000\n");
    // half a processor still runs one thread
    assert_eq!(board.read().usable_cores(), Some(1));
    board.file("proc/self/status", "Cpus_allowed_list:\t0,2\n");
    board.file("sys/fs/cgroup/user.slice/session-1.scope/cpu.max", "300000 100000\n");
    assert_eq!(board.read().usable_cores(), Some(2));
    assert_eq!(Tree::new().read().usable_cores(), None);
}

#[test]
fn an_empty_tree_is_missing_throughout() {
    let machine = Tree::new().read();
    let json = serde_json::to_value(&machine).unwrap();
    for place in [
        "/system/board",
        "/system/os",
        "/system/kernel",
        "/libc",
        "/cpu/model",
        "/cpu/family",
        "/cpu/features",
        "/cores/online",
        "/cores/allowed",
        "/frequency",
        "/memory/total_bytes",
        "/memory/available_bytes",
        "/cgroup",
        "/jetson",
        "/nvidia_driver",
    ] {
        assert_eq!(
            json.pointer(place),
            Some(&serde_json::Value::Null),
            "{place} in {json:#}"
        );
    }
    let report = judge(machine);
    for finding in &report.findings {
        let told = finding.subject == "engine" || finding.text.contains("missing");
        assert!(told, "{finding:?}");
    }
    assert_eq!((report.ready, report.exit_code, report.engine), (false, 4, None));
}

#[test]
fn a_root_that_is_not_there_is_an_empty_one() {
    assert_eq!(Machine::read(Path::new("/nowhere/at/all")), Tree::new().read());
}

#[test]
fn this_machine_tells_something() {
    let machine = Machine::read(Path::new("/"));
    assert!(
        machine.cores.allowed.is_some() && machine.memory_room().is_some(),
        "{machine:?}"
    );
    if cfg!(target_env = "gnu") {
        assert_eq!(machine.libc.unwrap().kind, LibcKind::Glibc);
    }
}

/// What is found of a bundle whose second variant, the same file, is for `target` and demanded.
fn examine_target(machine: Machine, target: &str) -> Report {
    require_engine();
    let folder = bundle(FIXED, Batch::One, |manifest: &mut Manifest, _| {
        let mut other = manifest.variants[0].clone();
        other.name = "other".into();
        other.target = target.into();
        manifest.variants.push(other);
    });
    let demand = Demand {
        bundle: Some(folder.path().to_owned()),
        variant: Some("other".into()),
        ..Demand::default()
    };
    examine(machine, &demand)
}

#[test]
fn a_variant_is_held_against_the_machine() {
    for (machine, target, suits) in [
        (raspberry_pi_4(), "any", Some(true)),
        (raspberry_pi_4(), "arm64", Some(true)),
        (raspberry_pi_4(), "arm64-dotprod", Some(false)),
        (raspberry_pi_5(), "arm64-dotprod", Some(true)),
        (raspberry_pi_5(), "jetson-tensorrt", Some(false)),
        (jetson_orin(), "jetson-tensorrt", Some(true)),
        (raspberry_pi_5(), "x86-vnni", Some(false)),
        (container(), "x86-vnni", Some(true)),
        (container(), "x86-amx", None),
        (container(), "npu", None),
        (Tree::new().read(), "arm64-dotprod", None),
    ] {
        let report = examine_target(machine, target);
        let facts = report.bundle.as_ref().unwrap();
        assert_eq!(facts.variants[1].suits, suits, "{target}\n{report}");
        let mut lines = report.findings.iter().filter(|finding| finding.subject == "variant");
        let severity = match suits {
            Some(true) => Severity::Ok,
            _ => Severity::Note,
        };
        assert_eq!(lines.nth(1).unwrap().severity, severity, "{target}\n{report}");
        // It runs all the same: the self test decides.
        assert!(report.ready && facts.self_test.is_some(), "{report}");
    }
}

/// What is found of a bundle that says it needs so many bytes.
fn examine_size(machine: Machine, peak_memory_bytes: u64) -> Report {
    require_engine();
    let folder = bundle(FIXED, Batch::One, |manifest, _| {
        manifest.variants[0].peak_memory_bytes = peak_memory_bytes;
    });
    let demand = Demand {
        bundle: Some(folder.path().to_owned()),
        ..Demand::default()
    };
    examine(machine, &demand)
}

#[test]
fn a_bundle_that_does_not_fit_is_not_tried() {
    let report = examine_size(container(), 300 << 20);
    assert_eq!((report.ready, report.exit_code), (false, 4), "{report}");
    assert_eq!(
        finding(&report, "fit").text,
        "needs 300.0 MiB beside the engine's own memory; 256.0 MiB left"
    );
    assert_eq!(finding(&report, "session").text, "not tried: too little memory");
    assert_eq!(report.provider_used, None);

    assert!(examine_size(jetson_orin(), 300 << 20).ready);
    assert_eq!(examine_size(raspberry_pi_5(), u64::MAX).exit_code, 4);
}

#[test]
fn little_or_untold_room_is_noted() {
    let report = examine_size(container(), 200 << 20);
    assert_eq!(
        (report.ready, finding(&report, "fit").severity),
        (true, Severity::Note),
        "{report}"
    );
    let report = examine_size(Tree::new().read(), 300 << 20);
    assert_eq!(
        (report.ready, finding(&report, "fit").severity),
        (true, Severity::Note),
        "{report}"
    );
    assert!(finding(&report, "fit").text.contains("missing"));
}

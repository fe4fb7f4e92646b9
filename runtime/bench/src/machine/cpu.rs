//! The processor's model and the instruction sets that inference gains by, from `/proc/cpuinfo`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::root::Root;

/// The processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cpu {
    /// Its model, or those of all its kinds of cores, such as `Cortex-A76`.
    pub model: Option<String>,
    /// Its family of instruction sets.
    pub family: Option<CpuFamily>,
    /// Whether every core has each of the family's instruction sets that matter here, by the name that variants'
    /// targets use: `avx2`, `avx512`, `vnni`; `asimd`, `dotprod`, `fp16`, `i8mm`.
    pub features: Option<BTreeMap<&'static str, bool>>,
}

/// A family of instruction sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CpuFamily {
    /// Intel's and AMD's.
    X86,
    /// Arm's, 64 bits.
    Arm64,
    /// Arm's, 32 bits.
    Arm,
}

impl CpuFamily {
    /// Its name, as variants' targets begin with it.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86 => "x86",
            Self::Arm64 => "arm64",
            Self::Arm => "arm",
        }
    }

    /// The features that matter; each is there if the kernel lists all flags of one of its rows.
    ///
    /// Source: Linux, `arch/x86/include/asm/cpufeatures.h` and `Documentation/arch/arm64/elf_hwcaps.rst`. `avx512` is
    /// the set that ONNX Runtime's kernels ask for (`onnxruntime/core/mlas/lib/platform.cpp`).
    fn features(self) -> &'static [(&'static str, &'static [&'static [&'static str]])] {
        match self {
            Self::X86 => &[
                ("avx2", &[&["avx2", "fma"]]),
                ("avx512", &[&["avx512f", "avx512bw", "avx512dq", "avx512vl"]]),
                ("vnni", &[&["avx512_vnni"], &["avx_vnni"]]),
            ],
            Self::Arm64 => &[
                ("asimd", &[&["asimd"]]),
                ("dotprod", &[&["asimddp"]]),
                ("fp16", &[&["fphp", "asimdhp"]]),
                ("i8mm", &[&["i8mm"]]),
            ],
            Self::Arm => &[("asimd", &[&["neon"]]), ("dotprod", &[&["asimddp"]])],
        }
    }
}

impl Cpu {
    pub(super) fn read(root: &Root) -> Self {
        Self::parse(&root.text("proc/cpuinfo").unwrap_or_default())
    }

    fn parse(cpuinfo: &str) -> Self {
        let values = |key| fields(cpuinfo).filter_map(move |(found, value)| (found == key).then_some(value));
        let x86: Vec<_> = values("flags").collect();
        let arm: Vec<_> = values("Features").collect();
        let (family, lists) = match (x86.first(), arm.first()) {
            (Some(_), _) => (Some(CpuFamily::X86), x86),
            (None, Some(list)) if list.split(' ').any(|flag| flag == "asimd") => (Some(CpuFamily::Arm64), arm),
            (None, Some(_)) => (Some(CpuFamily::Arm), arm),
            (None, None) => (None, Vec::new()),
        };
        let everywhere = |flag: &str| lists.iter().all(|list| list.split(' ').any(|found| found == flag));
        let has = |rows: &[&[&str]]| rows.iter().any(|flags| flags.iter().all(|flag| everywhere(flag)));
        let features = family.map(|family| {
            family
                .features()
                .iter()
                .map(|(name, rows)| (*name, has(rows)))
                .collect()
        });
        let named = || values("model name").next().or_else(|| values("Processor").next());
        Self {
            model: cores(cpuinfo).or_else(|| named().map(str::to_owned)),
            family,
            features,
        }
    }
}

/// The `key : value` lines of `/proc/cpuinfo`.
pub(crate) fn fields(cpuinfo: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(key, value)| (key.trim(), value.trim()))
}

/// The names of an Arm processor's kinds of cores, which `/proc/cpuinfo` tells as numbers.
fn cores(cpuinfo: &str) -> Option<String> {
    let mut names = Vec::new();
    let mut implementer = "";
    for (key, value) in fields(cpuinfo) {
        match key {
            "CPU implementer" => implementer = value,
            "CPU part" => {
                let known = CORES.iter().find(|(by, part, _)| (*by, *part) == (implementer, value));
                let name = match known {
                    Some((_, _, name)) => (*name).to_owned(),
                    None => format!("implementer {implementer} part {value}"),
                };
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            _ => {}
        }
    }
    (!names.is_empty()).then(|| names.join(" + "))
}

/// Implementer, part, name. Source: Linux, `arch/arm64/include/asm/cputype.h`; 32-bit ones: Arm's reference manuals.
const CORES: [(&str, &str, &str); 27] = [
    ("0x41", "0xc07", "Cortex-A7"),
    ("0x41", "0xc09", "Cortex-A9"),
    ("0x41", "0xc0f", "Cortex-A15"),
    ("0x41", "0xd03", "Cortex-A53"),
    ("0x41", "0xd04", "Cortex-A35"),
    ("0x41", "0xd05", "Cortex-A55"),
    ("0x41", "0xd07", "Cortex-A57"),
    ("0x41", "0xd08", "Cortex-A72"),
    ("0x41", "0xd09", "Cortex-A73"),
    ("0x41", "0xd0a", "Cortex-A75"),
    ("0x41", "0xd0b", "Cortex-A76"),
    ("0x41", "0xd0c", "Neoverse-N1"),
    ("0x41", "0xd0d", "Cortex-A77"),
    ("0x41", "0xd40", "Neoverse-V1"),
    ("0x41", "0xd41", "Cortex-A78"),
    ("0x41", "0xd42", "Cortex-A78AE"),
    ("0x41", "0xd44", "Cortex-X1"),
    ("0x41", "0xd46", "Cortex-A510"),
    ("0x41", "0xd47", "Cortex-A710"),
    ("0x41", "0xd49", "Neoverse-N2"),
    ("0x41", "0xd4b", "Cortex-A78C"),
    ("0x41", "0xd4d", "Cortex-A715"),
    ("0x41", "0xd4f", "Neoverse-V2"),
    ("0x41", "0xd80", "Cortex-A520"),
    ("0x41", "0xd81", "Cortex-A720"),
    ("0x4e", "0x003", "NVIDIA Denver 2"),
    ("0x4e", "0x004", "NVIDIA Carmel"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn present(cpu: &Cpu) -> Vec<&str> {
        let features = cpu.features.as_ref().unwrap().iter();
        features.filter(|(_, has)| **has).map(|(name, _)| *name).collect()
    }

    #[test]
    fn x86_flags_make_features() {
        let text =
            "processor\t: 0\nmodel name\t: Example 9000\nflags\t\t: fpu avx2 fma avx512f avx512bw avx512dq avx512vl\n";
        let cpu = Cpu::parse(text);
        assert_eq!(
            (cpu.model.as_deref(), cpu.family),
            (Some("Example 9000"), Some(CpuFamily::X86))
        );
        assert_eq!(present(&cpu), ["avx2", "avx512"]);
        for flag in ["avx_vnni", "avx512_vnni"] {
            let cpu = Cpu::parse(&format!("flags : avx2 fma {flag}"));
            assert_eq!(present(&cpu), ["avx2", "vnni"]);
        }
        assert!(present(&Cpu::parse("flags : avx512f avx2x")).is_empty());
    }

    #[test]
    fn a_feature_is_one_of_every_core() {
        let core = |part, features| format!("Features\t: {features}\nCPU implementer\t: 0x41\nCPU part\t: {part}\n\n");
        let text = core("0xd05", "fp asimd asimddp fphp asimdhp") + &core("0xd0b", "fp asimd asimddp");
        let cpu = Cpu::parse(&text);
        assert_eq!(cpu.model.as_deref(), Some("Cortex-A55 + Cortex-A76"));
        assert_eq!(
            (cpu.family, present(&cpu)),
            (Some(CpuFamily::Arm64), vec!["asimd", "dotprod"])
        );
    }

    #[test]
    fn an_unknown_part_keeps_its_numbers_and_32_bits_are_a_family_of_their_own() {
        let cpu = Cpu::parse("Features : half neon vfpv4\nCPU implementer : 0x41\nCPU part : 0xfff\n");
        assert_eq!(cpu.model.as_deref(), Some("implementer 0x41 part 0xfff"));
        assert_eq!((cpu.family, present(&cpu)), (Some(CpuFamily::Arm), vec!["asimd"]));
    }

    #[test]
    fn nothing_gives_nothing() {
        for text in ["", "no colon\n", ":\n::\n"] {
            let cpu = Cpu::parse(text);
            assert_eq!((cpu.model, cpu.family, cpu.features), (None, None, None));
        }
    }
}

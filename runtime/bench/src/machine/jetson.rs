//! What NVIDIA's Jetson boards tell without root: releases, power mode, whether the clocks are held.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::root::Root;

/// A Jetson's software and power state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jetson {
    /// Release of Jetson Linux (L4T), such as `36.4.3`.
    pub l4t: Option<String>,
    /// Release of JetPack, the package `nvidia-jetpack`, such as `6.2+b77`; `None` if it is not installed.
    pub jetpack: Option<String>,
    /// The power mode that `nvpmodel` set.
    pub power_mode: Option<PowerMode>,
    /// Whether the GPU's lowest frequency is its highest, as `jetson_clocks` sets it.
    pub gpu_clock_fixed: Option<bool>,
}

/// A power mode of `nvpmodel`. Its `Display` is its number, and its name if it has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerMode {
    /// Its number.
    pub id: u32,
    /// Its name, such as `MAXN`.
    pub name: Option<String>,
}

impl Jetson {
    /// `None` where neither Jetson Linux nor JetPack is installed.
    pub(super) fn read(root: &Root) -> Option<Self> {
        let l4t = root.text("etc/nv_tegra_release").and_then(|text| l4t_release(&text));
        let jetpack = root.text("var/lib/dpkg/status").and_then(|text| jetpack_release(&text));
        (l4t.is_some() || jetpack.is_some()).then(|| Self {
            l4t,
            jetpack,
            power_mode: PowerMode::read(root),
            gpu_clock_fixed: gpu_clock_fixed(root),
        })
    }
}

impl fmt::Display for PowerMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{} ({name})", self.id),
            None => self.id.fmt(f),
        }
    }
}

impl PowerMode {
    fn read(root: &Root) -> Option<Self> {
        let id = mode_number(&root.text("var/lib/nvpmodel/status")?)?;
        let name = root.text("etc/nvpmodel.conf").and_then(|text| mode_name(&text, id));
        Some(Self { id, name })
    }
}

/// `# R36 (release), REVISION: 4.3, GCID: ...` as `36.4.3`.
fn l4t_release(text: &str) -> Option<String> {
    let rest = text.trim_start().strip_prefix("# R")?;
    let (major, rest) = rest.split_once(' ')?;
    let (_, rest) = rest.split_once("REVISION: ")?;
    let minor = rest.split([',', ' ', '\n']).next()?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (number(major) && number(minor)).then(|| format!("{major}.{minor}"))
}

/// The version of the installed package `nvidia-jetpack` in dpkg's list.
fn jetpack_release(status: &str) -> Option<String> {
    let mut lines = status
        .lines()
        .skip_while(|line| *line != "Package: nvidia-jetpack")
        .skip(1);
    let package: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let field = |key| package.iter().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let installed = field("Status:")?.ends_with(" installed");
    let version = field("Version:")?;
    installed.then(|| version.to_owned())
}

/// `pmode:0002` as 2.
fn mode_number(status: &str) -> Option<u32> {
    let (_, rest) = status.split_once("pmode:")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The name in the line `< POWER_MODEL ID=2 NAME=15W >`.
fn mode_name(configuration: &str, id: u32) -> Option<String> {
    let id = format!("ID={id}");
    let modes = configuration.lines().filter(|line| line.starts_with("< POWER_MODEL "));
    let mut words = modes.map(|line| line.split_whitespace());
    words.find_map(|words| {
        let words: Vec<_> = words.collect();
        let name = words.iter().find_map(|word| word.strip_prefix("NAME="))?;
        words.contains(&id.as_str()).then(|| name.to_owned())
    })
}

fn gpu_clock_fixed(root: &Root) -> Option<bool> {
    const FOLDER: &str = "sys/class/devfreq";
    // By release and board: `17000000.gpu`, `17000000.ga10b`, `17000000.gv11b`, `57000000.gpu`.
    let is_gpu = |name: &String| {
        ["gpu", "ga10b", "gv11b", "gp10b", "gm20b"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    let name = root.names(FOLDER).into_iter().find(is_gpu)?;
    let lowest: u64 = root.number(&format!("{FOLDER}/{name}/min_freq"))?;
    let highest: u64 = root.number(&format!("{FOLDER}/{name}/max_freq"))?;
    Some(lowest == highest)
}

#[cfg(test)]
mod tests {
    use super::super::root::tests::tree;
    use super::*;

    #[test]
    fn releases_are_read() {
        let line =
            "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n# KERNEL_VARIANT: oot\n";
        assert_eq!(l4t_release(line).unwrap(), "36.4.3");
        assert_eq!(
            l4t_release("# R32 (release), REVISION: 7.1, GCID: 1").unwrap(),
            "32.7.1"
        );
        for text in [
            "",
            "# R36",
            "# Rx (release), REVISION: 4",
            "# R36 (release), REVISION: ,",
        ] {
            assert_eq!(l4t_release(text), None, "{text}");
        }
    }

    #[test]
    fn only_an_installed_package_counts() {
        let package = |status| {
            format!(
                "Package: nvidia-jetpack-dev\nStatus: install ok installed\nVersion: 1\n\n\
                 Package: nvidia-jetpack\nStatus: {status}\nPriority: standard\nVersion: 6.2+b77\n\nPackage: z\nVersion: 2\n"
            )
        };
        assert_eq!(jetpack_release(&package("install ok installed")).unwrap(), "6.2+b77");
        assert_eq!(jetpack_release(&package("deinstall ok config-files")), None);
        assert_eq!(jetpack_release("Package: nvidia-jetpack\n\nVersion: 3\n"), None);
    }

    #[test]
    fn the_power_mode_has_a_name_where_the_configuration_tells() {
        let modes = "< POWER_MODEL ID=0 NAME=MAXN >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=2 NAME=15W >\n< PM_CONFIG DEFAULT=2 >\n";
        assert_eq!(mode_number("pmode:0002 fmode:cool"), Some(2));
        assert_eq!((mode_number("pmode:"), mode_number("")), (None, None));
        assert_eq!(mode_name(modes, 2).unwrap(), "15W");
        assert_eq!(mode_name(modes, 1), None);
    }

    #[test]
    fn other_boards_have_nothing_of_it() {
        let (_folder, root) = tree(&[(
            "var/lib/dpkg/status",
            "Package: bash\nStatus: install ok installed\nVersion: 5\n",
        )]);
        assert_eq!(Jetson::read(&root), None);
    }
}

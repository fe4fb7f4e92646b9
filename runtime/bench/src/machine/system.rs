//! Board, operating system, kernel.

use serde::Serialize;

use super::root::Root;

/// Board and operating system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct System {
    /// The board's model, from the device tree or the firmware's tables, such as `Raspberry Pi 5 Model B Rev 1.0`.
    pub board: Option<String>,
    /// The distribution's name for itself, such as `Ubuntu 22.04.5 LTS`.
    pub os: Option<String>,
    /// Release of the running Linux kernel, such as `5.15.148-tegra`.
    pub kernel: Option<String>,
}

impl System {
    pub(super) fn read(root: &Root) -> Self {
        Self {
            board: root.line("proc/device-tree/model").or_else(|| firmware_board(root)),
            os: root.text("etc/os-release").and_then(|text| pretty_name(&text)),
            kernel: root.line("proc/sys/kernel/osrelease"),
        }
    }
}

/// Maker and product from the firmware's tables, where there is no device tree (x86).
fn firmware_board(root: &Root) -> Option<String> {
    let product = root.line("sys/devices/virtual/dmi/id/product_name")?;
    Some(match root.line("sys/devices/virtual/dmi/id/sys_vendor") {
        Some(vendor) => format!("{vendor} {product}"),
        None => product,
    })
}

/// `PRETTY_NAME` of `os-release(5)`.
fn pretty_name(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    let name = value.trim().trim_matches(['"', '\'']);
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::root::tests::tree;
    use super::*;

    #[test]
    fn the_name_comes_with_or_without_quotes() {
        assert_eq!(pretty_name("ID=x\nPRETTY_NAME=\"A B 1\"\n").unwrap(), "A B 1");
        assert_eq!(pretty_name("PRETTY_NAME=Alpine").unwrap(), "Alpine");
        assert_eq!((pretty_name("PRETTY_NAME=\"\""), pretty_name("NAME=x")), (None, None));
    }

    #[test]
    fn the_device_tree_comes_before_the_firmware() {
        let vendor = ("sys/devices/virtual/dmi/id/sys_vendor", "ACME\n");
        let product = ("sys/devices/virtual/dmi/id/product_name", "Server 1\n");
        let (_folder, root) = tree(&[vendor, product]);
        assert_eq!(System::read(&root).board.unwrap(), "ACME Server 1");
        let (_folder, root) = tree(&[vendor, product, ("proc/device-tree/model", "Board 2\0")]);
        assert_eq!(System::read(&root).board.unwrap(), "Board 2");
    }
}

//! NVIDIA's kernel driver.

use super::root::Root;

/// The version of the loaded driver; `None` if it is not loaded.
pub(super) fn driver_version(root: &Root) -> Option<String> {
    parse(&root.text("proc/driver/nvidia/version")?)
}

/// The first word of the line `NVRM version: ...` that is numbers and dots; words before and behind it have changed.
fn parse(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("NVRM version:"))?;
    let version = line.split_whitespace().find(|word| is_version(word))?;
    Some(version.to_owned())
}

fn is_version(word: &str) -> bool {
    let numbers = word
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    numbers && word.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kernel_modules_tell_their_version() {
        for (line, version) in [
            (
                " NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024",
                "535.183.01",
            ),
            (
                " NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build  (x@y)",
                "540.4.0",
            ),
        ] {
            assert_eq!(
                parse(&format!("NVRM version:{line}\nGCC version: 12.3.0\n")).unwrap(),
                version
            );
        }
        assert_eq!(
            (parse("GCC version: 12.3.0"), parse("NVRM version: x86_64 7 . .")),
            (None, None)
        );
    }
}

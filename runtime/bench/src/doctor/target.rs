//! Does this machine suit what a variant was made for?

use crate::machine::{CpuFamily, Machine};

/// Whether `machine` is what `target` names: `any`, a family of processors (`x86`, `arm64`) with or without one of its
/// features (`arm64-dotprod`), or a Jetson (`jetson`, `jetson-tensorrt`). `None` if the target is unknown or the machine
/// does not tell.
pub(crate) fn suits(target: &str, machine: &Machine) -> Option<bool> {
    let (kind, feature) = match target.split_once('-') {
        Some((kind, feature)) => (kind, Some(feature)),
        None => (target, None),
    };
    let family = match kind {
        "any" if feature.is_none() => return Some(true),
        "jetson" => return Some(machine.jetson.is_some()),
        "x86" => CpuFamily::X86,
        "arm64" => CpuFamily::Arm64,
        "arm" => CpuFamily::Arm,
        _ => return None,
    };
    if machine.cpu.family? != family {
        return Some(false);
    }
    match feature {
        None => Some(true),
        Some(feature) => machine.cpu.features.as_ref()?.get(feature).copied(),
    }
}

//! Whether something held the clock down: heat, too low a voltage, too high a current.
//!
//! Source: Linux, `arch/x86/kernel/cpu/mce/therm_throt.c` (x86), `Documentation/driver-api/thermal/sysfs-api.rst`;
//! Raspberry Pi's documentation of `vcgencmd get_throttled`, and its kernel's `drivers/firmware/raspberrypi.c` and
//! `drivers/hwmon/raspberrypi-hwmon.c`; NVIDIA's Jetson Linux Developer Guide, "Over-Current Events".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::hwmon::Device;
use crate::machine::Root;

/// Parts of the types of cooling devices that slow a processor down; fans do not.
const SLOWING: [&str; 6] = ["cpu", "gpu", "processor", "devfreq", "throttle", "balanced"];
/// What a Raspberry Pi's firmware told the kernel last; the path is the same on all its models.
const FIRMWARE: &str = "sys/devices/platform/soc/soc:firmware/get_throttled";

/// The name of the events of an x86's whole package.
const PACKAGE: &str = "package";

/// What the sensors of throttling tell.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Throttle {
    /// Events since the system started, by name: `core` and `package` of x86, `oc1` and on of a Jetson; `None` if none is
    /// counted here.
    pub events: Option<BTreeMap<String, u64>>,
    /// How far the kernel holds processors down at this moment, by cooling device: 0 is not at all; `None` if there is
    /// no such device.
    pub held_down: Option<BTreeMap<String, u64>>,
    /// A Raspberry Pi's bits, see [`RaspberryPi`]; `None` elsewhere.
    pub raspberry_pi: Option<RaspberryPi>,
}

/// What a Raspberry Pi's firmware told when the kernel's driver asked it last, as it does every 2 s: bits 0 to 3 of
/// that moment, bits 16 to 19 of the time since it had asked before, when it cleared them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaspberryPi(pub u32);

impl RaspberryPi {
    /// What the bits of the moment at which it was asked mean.
    pub fn now(self) -> Vec<&'static str> {
        Self::meanings(self.0)
    }

    /// What happened since it had been asked before.
    pub fn lately(self) -> Vec<&'static str> {
        Self::meanings(self.0 >> 16)
    }

    fn meanings(bits: u32) -> Vec<&'static str> {
        const MEANINGS: [&str; 4] = [
            "the supply's voltage is too low",
            "the frequency is capped",
            "the processor is throttled",
            "the soft limit of temperature is reached",
        ];
        let set = MEANINGS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
        set.map(|(_, meaning)| *meaning).collect()
    }
}

/// What there is on a machine, and where it is read.
pub(super) struct Sensors {
    /// Names and files; several of one name are taken together.
    events: Vec<(String, String)>,
    held_down: Vec<(String, String)>,
}

impl Sensors {
    /// Those of the watched `cores` and of the whole machine.
    pub(super) fn find(root: &Root, devices: &[Device], cores: &[u32]) -> Self {
        let of_core = |core: &u32| {
            let folder = format!("sys/devices/system/cpu/cpu{core}/thermal_throttle");
            ["core", PACKAGE].map(|name| (name.to_owned(), format!("{folder}/{name}_throttle_count")))
        };
        let over_current = devices.iter().flat_map(|device| {
            let channels = device.channels("oc", "_event_cnt").into_iter();
            channels.map(|channel| (channel.to_owned(), device.path(&format!("{channel}_event_cnt"))))
        });
        let cooling = root.names("sys/class/thermal").into_iter().filter_map(|name| {
            let folder = format!("sys/class/thermal/{name}");
            let kind = name
                .starts_with("cooling_device")
                .then(|| root.line(&format!("{folder}/type")))??;
            let slows = SLOWING.iter().any(|part| kind.to_lowercase().contains(part));
            slows.then(|| (format!("{kind} ({name})"), format!("{folder}/cur_state")))
        });
        Self {
            events: cores.iter().flat_map(of_core).chain(over_current).collect(),
            held_down: cooling.collect(),
        }
    }

    pub(super) fn read(&self, root: &Root) -> Throttle {
        Throttle {
            events: counts(root, &self.events),
            held_down: counts(root, &self.held_down),
            raspberry_pi: root.line(FIRMWARE).and_then(|text| {
                let digits = text.trim_start_matches("0x");
                u32::from_str_radix(digits, 16).ok().map(RaspberryPi)
            }),
        }
    }
}

/// By name: the sum of several files, but of the package's the largest, since each core counts the same events.
fn counts(root: &Root, files: &[(String, String)]) -> Option<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for (name, path) in files {
        if let Some(found) = root.number::<u64>(path) {
            let count: &mut u64 = counts.entry(name.clone()).or_default();
            *count = match name.as_str() {
                PACKAGE => found.max(*count),
                _ => count.saturating_add(found),
            };
        }
    }
    (!counts.is_empty()).then_some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tree;

    fn read(files: &[(&str, &str)], cores: &[u32]) -> Throttle {
        let (_folder, root) = tree(files);
        Sensors::find(&root, &Device::find_all(&root), cores).read(&root)
    }

    #[test]
    fn x86_counts_each_watched_core_and_their_package_once() {
        let file = |core, name| format!("sys/devices/system/cpu/cpu{core}/thermal_throttle/{name}_throttle_count");
        let names = [
            file(0, "core"),
            file(1, "core"),
            file(2, "core"),
            file(0, "package"),
            file(1, "package"),
        ];
        let counts = ["3\n", "4\n", "100\n", "5\n", "6\n"];
        let files: Vec<_> = names.iter().map(String::as_str).zip(counts).collect();
        let events = read(&files, &[0, 1]).events.unwrap();
        assert_eq!(
            events,
            BTreeMap::from([("core".to_owned(), 7), ("package".to_owned(), 6)])
        );
    }

    #[test]
    fn a_raspberry_pi_tells_by_bits() {
        let bits = read(&[(FIRMWARE, "50005\n")], &[]).raspberry_pi.unwrap();
        let meanings = vec!["the supply's voltage is too low", "the processor is throttled"];
        assert_eq!(
            (bits.0, bits.now(), bits.lately()),
            (0x50005, meanings.clone(), meanings)
        );
        assert!(read(&[(FIRMWARE, "0\n")], &[]).raspberry_pi.unwrap().now().is_empty());
        assert_eq!(read(&[(FIRMWARE, "off\n")], &[]).raspberry_pi, None);
    }

    #[test]
    fn a_jetson_counts_over_current_and_fans_hold_nothing_down() {
        let throttle = read(
            &[
                ("sys/class/hwmon/hwmon3/name", "soctherm_oc\n"),
                ("sys/class/hwmon/hwmon3/oc1_event_cnt", "2\n"),
                ("sys/class/hwmon/hwmon3/oc1_throt_en", "1\n"),
                ("sys/class/thermal/cooling_device0/type", "pwm-fan\n"),
                ("sys/class/thermal/cooling_device0/cur_state", "4\n"),
                ("sys/class/thermal/cooling_device1/type", "thermal-cpufreq-0\n"),
                ("sys/class/thermal/cooling_device1/cur_state", "2\n"),
            ],
            &[0],
        );
        assert_eq!(throttle.events.unwrap(), BTreeMap::from([("oc1".to_owned(), 2)]));
        let held = BTreeMap::from([("thermal-cpufreq-0 (cooling_device1)".to_owned(), 2)]);
        assert_eq!((throttle.held_down.unwrap(), throttle.raspberry_pi), (held, None));
    }

    #[test]
    fn a_virtual_machine_tells_nothing() {
        assert_eq!(read(&[], &[0]), Throttle::default());
    }
}

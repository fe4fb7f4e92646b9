//! Power and energy, where a sensor exists that needs no root.
//!
//! Source: Linux, `Documentation/power/powercap/powercap.rst` (RAPL), `Documentation/hwmon/sysfs-interface.rst` and
//! `ina3221.rst`; NVIDIA's Jetson Linux Developer Guide, "Software-Based Power Consumption Modeling" (INA3221, by hwmon
//! and formerly by iio).

use serde::{Deserialize, Serialize};

use super::hwmon::{Device, unique};
use crate::machine::Root;

const RAPL: &str = "sys/class/powercap";
const IIO: &str = "sys/bus/i2c/drivers/ina3221x";

/// What one sensor tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PowerReading {
    /// Its name, such as `package-0` or `ina3221 VDD_IN`; a number follows where several have the same.
    pub sensor: String,
    /// Power: at this moment, or of a counter of energy the mean since the reading before; `None` in the first one then.
    pub watts: Option<f64>,
    /// Energy since the first reading; `None` of a sensor that tells power alone.
    pub joules: Option<f64>,
}

/// All sensors that can be read, with what the counters among them told last.
pub(super) struct Sensors {
    found: Vec<(String, Source)>,
    /// Counters that are there, but for root alone.
    pub(super) not_readable: Vec<String>,
}

enum Source {
    Energy(Counter),
    /// A file, and what a watt is in it.
    Power(String, f64),
    /// Files of millivolts and milliamperes.
    Product(String, String),
}

/// A counter of microjoules.
struct Counter {
    path: String,
    /// Where it begins again at 0, if it does.
    range: Option<u64>,
    /// What it told last, and when, in seconds.
    last: Option<(u64, f64)>,
    joules: f64,
}

impl Sensors {
    /// Finds the sensors; their counters start at the first reading.
    pub(super) fn find(root: &Root, devices: &[Device]) -> Self {
        let mut sensors = Self {
            found: Vec::new(),
            not_readable: Vec::new(),
        };
        for zone in root.names(RAPL).into_iter().filter(|zone| zone.contains(':')) {
            let path = |file| format!("{RAPL}/{zone}/{file}");
            let name = root.line(&path("name")).unwrap_or_else(|| zone.clone());
            let range = root.number(&path("max_energy_range_uj"));
            sensors.add_energy(root, name, path("energy_uj"), range);
        }
        for device in devices {
            sensors.add_device(root, device);
        }
        for chip in root.names(IIO) {
            // NVIDIA's driver shows each once more as `iio_device`.
            let names = root.names(&format!("{IIO}/{chip}")).into_iter();
            for device in names.filter(|name| name.starts_with("iio:device")) {
                sensors.add_iio(root, &format!("{IIO}/{chip}/{device}"));
            }
        }
        sensors
    }

    fn add_device(&mut self, root: &Root, device: &Device) {
        for channel in device.channels("energy", "_input") {
            let path = device.path(&format!("{channel}_input"));
            self.add_energy(root, device.title(root, channel), path, None);
        }
        let ends = ["_input", "_average"];
        let mut channels = ends.map(|end| device.channels("power", end)).concat();
        channels.sort_unstable();
        channels.dedup();
        for channel in &channels {
            let sources = ends.map(|end| Source::Power(device.path(&format!("{channel}{end}")), 1e6));
            self.add(root, device.title(root, channel), sources);
        }
        // Of its further channels, `curr4` is a sum, and `in4` to `in6` are voltages at the shunts, in microvolts.
        if device.name == "ina3221" && channels.is_empty() {
            for number in 1..=3 {
                let path = |kind| device.path(&format!("{kind}{number}_input"));
                let name = device.title(root, &format!("in{number}"));
                self.add(root, name, [Source::Product(path("in"), path("curr"))]);
            }
        }
    }

    /// `in_power0_input`, in milliwatts, and `rail_name_0` of Jetson Linux before release 34.
    fn add_iio(&mut self, root: &Root, folder: &str) {
        for file in root.names(folder) {
            let number = file
                .strip_prefix("in_power")
                .and_then(|rest| rest.strip_suffix("_input"));
            let Some(number) = number else { continue };
            let rail = root.line(&format!("{folder}/rail_name_{number}"));
            let name = rail.unwrap_or_else(|| format!("ina3221x {number}"));
            self.add(root, name, [Source::Power(format!("{folder}/{file}"), 1e3)]);
        }
    }

    fn add_energy(&mut self, root: &Root, name: String, path: String, range: Option<u64>) {
        if root.number::<u64>(&path).is_some() {
            let counter = Counter {
                path,
                range,
                last: None,
                joules: 0.0,
            };
            self.push(name, Source::Energy(counter));
        } else if root.path(&path).exists() {
            self.not_readable.push(format!(
                "energy of {name}: /{path} is for root alone (sudo chmod a+r /{path})"
            ));
        }
    }

    /// Adds a sensor by the first of its sources that tells something.
    fn add(&mut self, root: &Root, name: String, sources: impl IntoIterator<Item = Source>) {
        if let Some(source) = sources.into_iter().find(|source| source.watts(root).is_some()) {
            self.push(name, source);
        }
    }

    fn push(&mut self, name: String, source: Source) {
        let name = unique(name, |name| self.found.iter().any(|(taken, _)| taken == name));
        self.found.push((name, source));
    }

    /// What all sensors tell at `seconds`; `None` if there are none.
    pub(super) fn read(&mut self, root: &Root, seconds: f64) -> Option<Vec<PowerReading>> {
        let read = |(name, source): &mut (String, Source)| {
            let (watts, joules) = match source {
                Source::Energy(counter) => counter.read(root, seconds),
                other => (other.watts(root), None),
            };
            PowerReading {
                sensor: name.clone(),
                watts,
                joules,
            }
        };
        let readings: Vec<_> = self.found.iter_mut().map(read).collect();
        (!readings.is_empty()).then_some(readings)
    }
}

impl Source {
    fn watts(&self, root: &Root) -> Option<f64> {
        match self {
            Self::Energy(_) => None,
            Self::Power(path, watt) => root.number(path).map(|power: f64| power / watt),
            Self::Product(volts, amperes) => Some(root.number::<f64>(volts)? * root.number::<f64>(amperes)? / 1e6),
        }
    }
}

impl Counter {
    fn read(&mut self, root: &Root, seconds: f64) -> (Option<f64>, Option<f64>) {
        let Some(now) = root.number::<u64>(&self.path) else {
            return (None, None);
        };
        let Some((last, time)) = self.last.replace((now, seconds)) else {
            return (None, Some(self.joules));
        };
        // It went through its end, once: at 1 kW the 32 bits of the oldest take 65 s.
        let microjoules = match (now.checked_sub(last), self.range) {
            (Some(passed), _) => passed,
            (None, Some(range)) => range.saturating_sub(last).saturating_add(now),
            (None, None) => now,
        };
        let joules = microjoules as f64 / 1e6;
        let passed = seconds - time;
        self.joules += joules;
        ((passed > 0.0).then(|| joules / passed), Some(self.joules))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::machine::tree;

    fn reading(sensor: &str, watts: Option<f64>, joules: Option<f64>) -> PowerReading {
        PowerReading {
            sensor: sensor.to_owned(),
            watts,
            joules,
        }
    }

    #[test]
    fn a_counter_goes_on_beyond_its_end() {
        let energy = "sys/class/powercap/intel-rapl:0/energy_uj";
        let (folder, root) = tree(&[
            ("sys/class/powercap/intel-rapl/enabled", "1\n"),
            ("sys/class/powercap/intel-rapl:0/name", "package-0\n"),
            ("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "10000000\n"),
            (energy, "9000000\n"),
        ]);
        let mut sensors = Sensors::find(&root, &[]);
        // what passes before the first reading is not the run's
        fs::write(folder.path().join(energy), "9000900\n").unwrap();
        let mut at = |seconds| sensors.read(&root, seconds).unwrap().remove(0);
        assert_eq!(at(0.0), reading("package-0", None, Some(0.0)));
        fs::write(folder.path().join(energy), "9500900\n").unwrap();
        assert_eq!(at(0.5), reading("package-0", Some(1.0), Some(0.5)));
        fs::write(folder.path().join(energy), "3500900\n").unwrap();
        assert_eq!(at(2.5), reading("package-0", Some(2.0), Some(4.5)));
    }

    #[test]
    fn a_jetson_tells_power_by_either_driver() {
        let (_folder, root) = tree(&[
            ("sys/class/hwmon/hwmon4/name", "ina3221\n"),
            ("sys/class/hwmon/hwmon4/in1_label", "VDD_IN\n"),
            ("sys/class/hwmon/hwmon4/in1_input", "5000\n"),
            ("sys/class/hwmon/hwmon4/curr1_input", "1200\n"),
            ("sys/class/hwmon/hwmon4/curr2_input", "1200\n"),
            ("sys/class/hwmon/hwmon4/in4_input", "2400\n"),
            ("sys/class/hwmon/hwmon4/curr4_input", "2400\n"),
            (
                "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power0_input",
                "4520\n",
            ),
            (
                "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_0",
                "POM_5V_IN\n",
            ),
            (
                "sys/bus/i2c/drivers/ina3221x/6-0040/iio_device/in_power0_input",
                "4520\n",
            ),
            (
                "sys/bus/i2c/drivers/ina3221x/6-0040/iio_device/rail_name_0",
                "POM_5V_IN\n",
            ),
        ]);
        let devices = Device::find_all(&root);
        let readings = Sensors::find(&root, &devices).read(&root, 1.0).unwrap();
        assert_eq!(
            readings,
            [
                reading("ina3221 VDD_IN", Some(6.0), None),
                reading("POM_5V_IN", Some(4.52), None)
            ]
        );
    }

    #[test]
    fn other_monitors_tell_microwatts_and_most_machines_nothing() {
        let (_folder, root) = tree(&[
            ("sys/class/hwmon/hwmon0/name", "amdgpu\n"),
            ("sys/class/hwmon/hwmon0/power1_average", "7000000\n"),
            ("sys/class/hwmon/hwmon0/power1_cap", "1\n"),
            ("sys/class/hwmon/hwmon1/name", "ina260\n"),
            ("sys/class/hwmon/hwmon1/power1_input", "3000000\n"),
            ("sys/class/hwmon/hwmon1/power1_average", "2000000\n"),
            ("sys/class/hwmon/hwmon1/in1_input", "5000\n"),
            ("sys/class/hwmon/hwmon1/curr1_input", "600\n"),
        ]);
        let mut sensors = Sensors::find(&root, &Device::find_all(&root));
        assert_eq!(
            sensors.read(&root, 1.0).unwrap(),
            [
                reading("amdgpu power1", Some(7.0), None),
                reading("ina260 power1", Some(3.0), None)
            ]
        );
        let (_folder, root) = tree(&[("sys/class/powercap/intel-rapl:0/energy_uj", "secret\n")]);
        let mut sensors = Sensors::find(&root, &[]);
        assert_eq!(sensors.read(&root, 1.0), None);
        let advice = "chmod a+r /sys/class/powercap/intel-rapl:0/energy_uj)";
        assert!(sensors.not_readable[0].contains(advice), "{:?}", sensors.not_readable);
    }

    #[test]
    fn each_package_has_its_memory() {
        let (_folder, root) = tree(&[
            ("sys/class/powercap/intel-rapl:0:0/name", "dram\n"),
            ("sys/class/powercap/intel-rapl:0:0/energy_uj", "1\n"),
            ("sys/class/powercap/intel-rapl:1:0/name", "dram\n"),
            ("sys/class/powercap/intel-rapl:1:0/energy_uj", "2\n"),
        ]);
        let readings = Sensors::find(&root, &[]).read(&root, 0.0).unwrap();
        let names: Vec<_> = readings.iter().map(|power| power.sensor.as_str()).collect();
        assert_eq!(names, ["dram", "dram 2"]);
    }
}

//! Temperatures: Linux's thermal zones and the channels of its hardware monitoring.
//!
//! Source: Linux, `Documentation/driver-api/thermal/sysfs-api.rst`, `Documentation/hwmon/sysfs-interface.rst`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::hwmon::{Device, unique};
use crate::machine::Root;

/// Parts of the names of sensors that are on the processor, or on the chip that it is a part of.
const PROCESSOR: [&str; 8] = ["cpu", "soc", "core", "pkg", "k10temp", "zenpower", "gpu", "tj"];
/// What a limit can be, in degrees Celsius: drivers write 0 or absolute zero for one that is off.
const LIMITS: std::ops::Range<f64> = 1.0..200.0;

/// What is known of a sensor beside its readings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemperatureSensor {
    /// Its name, such as `cpu-thermal` or `coretemp Package id 0`; a number follows where several have the same.
    pub name: String,
    /// Whether it is, by its name, on the processor's chip: those of disks and radios say little about a run.
    pub of_processor: bool,
    /// The lowest temperature at which the kernel slows something down or switches off, or the one that a hardware
    /// monitor calls critical; `None` if it is not told.
    pub limit_celsius: Option<f64>,
}

impl TemperatureSensor {
    /// Those of `sensors` that say something of a run: the processor's; all, where none is known to be one.
    pub(crate) fn telling(sensors: &[Self]) -> impl Iterator<Item = &Self> {
        let known = sensors.iter().any(|sensor| sensor.of_processor);
        sensors.iter().filter(move |sensor| sensor.of_processor || !known)
    }
}

/// All sensors of a machine, and where they are read.
pub(super) struct Sensors {
    found: Vec<(TemperatureSensor, String)>,
}

impl Sensors {
    pub(super) fn find(root: &Root, devices: &[Device]) -> Self {
        let mut sensors = Self { found: Vec::new() };
        let mut zones = Vec::new();
        for zone in root.names("sys/class/thermal") {
            let folder = format!("sys/class/thermal/{zone}");
            if zone.starts_with("thermal_zone") {
                let name = root.line(&format!("{folder}/type")).unwrap_or(zone);
                zones.push(name.replace('-', "_"));
                sensors.add(root, name, format!("{folder}/temp"), trip_point(root, &folder));
            }
        }
        for device in devices {
            // The kernel shows thermal zones once more as such devices.
            if zones.contains(&device.name.replace('-', "_")) {
                continue;
            }
            for channel in device.channels("temp", "_input") {
                let path = |file| device.path(&format!("{channel}_{file}"));
                // Not `max`: there it is the fans that should run, nothing slows down.
                let limit = lowest(degrees(root, &path("crit")).into_iter());
                sensors.add(root, device.title(root, channel), path("input"), limit);
            }
        }
        sensors
    }

    /// Adds one that can be read.
    fn add(&mut self, root: &Root, name: String, path: String, limit_celsius: Option<f64>) {
        if degrees(root, &path).is_none() {
            return;
        }
        let lower = name.to_lowercase();
        let sensor = TemperatureSensor {
            name: unique(name, |name| self.found.iter().any(|(sensor, _)| sensor.name == name)),
            of_processor: PROCESSOR.iter().any(|part| lower.contains(part)),
            limit_celsius,
        };
        self.found.push((sensor, path));
    }

    pub(super) fn described(&self) -> Vec<TemperatureSensor> {
        self.found.iter().map(|(sensor, _)| sensor.clone()).collect()
    }

    /// Degrees Celsius by the sensors' names; `None` if none can be read.
    pub(super) fn read(&self, root: &Root) -> Option<BTreeMap<String, f64>> {
        let read = self
            .found
            .iter()
            .filter_map(|(sensor, path)| Some((sensor.name.clone(), degrees(root, path)?)));
        let read: BTreeMap<_, _> = read.collect();
        (!read.is_empty()).then_some(read)
    }
}

/// The lowest trip point of a zone that is not for a fan.
fn trip_point(root: &Root, folder: &str) -> Option<f64> {
    let files = root.names(folder);
    let points = files.iter().filter_map(|file| {
        let point = file
            .strip_suffix("_type")
            .filter(|point| point.starts_with("trip_point_"))?;
        let kind = root.line(&format!("{folder}/{file}"))?;
        (kind != "active").then(|| degrees(root, &format!("{folder}/{point}_temp")))?
    });
    lowest(points)
}

fn lowest(limits: impl Iterator<Item = f64>) -> Option<f64> {
    limits.filter(|limit| LIMITS.contains(limit)).reduce(f64::min)
}

/// The kernel writes thousandths of a degree.
fn degrees(root: &Root, path: &str) -> Option<f64> {
    root.number(path).map(|thousandths: i32| f64::from(thousandths) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tree;

    #[test]
    fn zones_and_channels_are_read_once_each() {
        let (_folder, root) = tree(&[
            ("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"),
            ("sys/class/thermal/thermal_zone0/temp", "51200\n"),
            ("sys/class/thermal/thermal_zone0/trip_point_0_type", "active\n"),
            ("sys/class/thermal/thermal_zone0/trip_point_0_temp", "45000\n"),
            ("sys/class/thermal/thermal_zone0/trip_point_1_type", "critical\n"),
            ("sys/class/thermal/thermal_zone0/trip_point_1_temp", "110000\n"),
            ("sys/class/thermal/thermal_zone0/trip_point_2_type", "passive\n"),
            ("sys/class/thermal/thermal_zone0/trip_point_2_temp", "-274000\n"),
            ("sys/class/thermal/thermal_zone1/type", "off-thermal\n"),
            ("sys/class/thermal/cooling_device0/type", "Fan\n"),
            ("sys/class/hwmon/hwmon0/name", "cpu_thermal\n"),
            ("sys/class/hwmon/hwmon0/temp1_input", "51200\n"),
            ("sys/class/hwmon/hwmon1/name", "nvme\n"),
            ("sys/class/hwmon/hwmon1/temp1_input", "-1500\n"),
            ("sys/class/hwmon/hwmon1/temp1_label", "Composite\n"),
            ("sys/class/hwmon/hwmon1/temp1_max", "70000\n"),
            ("sys/class/hwmon/hwmon1/temp1_crit", "84850\n"),
            ("sys/class/hwmon/hwmon1/temp2_input", "30000\n"),
            ("sys/class/hwmon/hwmon1/temp2_max", "70000\n"),
        ]);
        let sensors = Sensors::find(&root, &Device::find_all(&root));
        let expected = |name: &str, of_processor, limit_celsius| TemperatureSensor {
            name: name.to_owned(),
            of_processor,
            limit_celsius,
        };
        assert_eq!(
            sensors.described(),
            [
                expected("cpu-thermal", true, Some(110.0)),
                expected("nvme Composite", false, Some(84.85)),
                expected("nvme temp2", false, None)
            ]
        );
        let read = sensors.read(&root).unwrap();
        assert_eq!((read["cpu-thermal"], read["nvme Composite"]), (51.2, -1.5));
    }

    #[test]
    fn sensors_of_one_name_are_numbered_and_none_is_none() {
        let (_folder, root) = tree(&[
            ("sys/class/thermal/thermal_zone0/type", "x\n"),
            ("sys/class/thermal/thermal_zone0/temp", "1000\n"),
            ("sys/class/thermal/thermal_zone1/type", "x\n"),
            ("sys/class/thermal/thermal_zone1/temp", "2000\n"),
        ]);
        let read = Sensors::find(&root, &[]).read(&root).unwrap();
        assert_eq!((read["x"], read["x 2"]), (1.0, 2.0));
        let (_folder, root) = tree(&[]);
        assert_eq!(Sensors::find(&root, &[]).read(&root), None);
    }
}

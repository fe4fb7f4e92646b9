//! One reading of all that is watched.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::cores::{self, CoreReading, FrequencySource};
use super::hwmon::Device;
use super::power::{self, PowerReading};
use super::pressure::{self, Pressure};
use super::process::{self, ProcessReading};
use super::temperature;
use super::throttle::{self, Throttle};
use crate::machine::{Memory, Root};

/// The state of the machine at one moment. What cannot be read is `None`, in JSON `null`, never 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Seconds since the watch began.
    pub seconds: f64,
    /// The watched processors.
    pub cores: Vec<CoreReading>,
    /// Degrees Celsius by the sensors' names, see [`TemperatureSensor`](super::TemperatureSensor).
    pub temperatures: Option<BTreeMap<String, f64>>,
    /// Whether something holds the clock down.
    pub throttle: Throttle,
    /// Power and energy of each sensor.
    pub power: Option<Vec<PowerReading>>,
    /// What new programs could get without swapping, in bytes.
    pub memory_available_bytes: Option<u64>,
    /// How long tasks had to wait.
    pub pressure: Option<Pressure>,
    /// What this process used and suffered.
    pub process: Option<ProcessReading>,
}

/// All that can be read of a machine, found once.
pub(super) struct Sensors {
    root: Root,
    start: Instant,
    cores: Vec<u32>,
    pub(super) frequency_source: Option<FrequencySource>,
    pub(super) temperatures: temperature::Sensors,
    throttle: throttle::Sensors,
    power: power::Sensors,
}

impl Sensors {
    /// Finds the sensors of the machine and of these `cores`. Seconds count from `start` on.
    pub(super) fn find(root: Root, cores: &[u32], start: Instant) -> Self {
        let devices = Device::find_all(&root);
        Self {
            start,
            cores: cores.to_vec(),
            frequency_source: cores::source(&root, cores),
            temperatures: temperature::Sensors::find(&root, &devices),
            throttle: throttle::Sensors::find(&root, &devices, cores),
            power: power::Sensors::find(&root, &devices),
            root,
        }
    }

    pub(super) fn read(&mut self) -> Reading {
        let root = &self.root;
        let seconds = self.start.elapsed().as_secs_f64();
        Reading {
            seconds,
            cores: cores::read(root, self.frequency_source, &self.cores),
            temperatures: self.temperatures.read(root),
            throttle: self.throttle.read(root),
            power: self.power.read(root, seconds),
            memory_available_bytes: Memory::read(root).available_bytes,
            pressure: pressure::read(root),
            process: process::read(root),
        }
    }

    /// What is missing in `reading`, in words, with its reason.
    pub(super) fn not_readable(&self, reading: &Reading) -> Vec<String> {
        let throttle = &reading.throttle;
        let missing = [
            (
                self.frequency_source.is_none(),
                "frequency: neither cpufreq nor `cpu MHz` in /proc/cpuinfo",
            ),
            (
                self.frequency_source == Some(FrequencySource::Cpuinfo),
                "frequency: no cpufreq; /proc/cpuinfo's is taken, which on a virtual machine may never change",
            ),
            (
                reading.temperatures.is_none(),
                "temperature: no thermal zone, no hwmon sensor (a virtual machine has none)",
            ),
            (
                *throttle == Throttle::default(),
                "throttling: no counter, no cooling device, no Raspberry Pi firmware",
            ),
            (
                reading.power.is_none(),
                "power: no RAPL, INA or hwmon sensor that can be read",
            ),
            (
                reading.cores.iter().all(|core| core.time.is_none()),
                "load: no /proc/stat of these processors",
            ),
            (reading.pressure.is_none(), "pressure: no /proc/pressure"),
        ];
        let missing = missing.into_iter().filter(|(missing, _)| *missing);
        let texts = missing.map(|(_, text)| text.to_owned());
        texts.chain(self.power.not_readable.iter().cloned()).collect()
    }
}

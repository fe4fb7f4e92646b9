//! What the readings of a run say together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cores::CoreTime;
use super::process::ProcessReading;
use super::reading::Reading;
use super::{TemperatureSensor, in_order};

/// From this share of its time on, a core's frequency counts: idle ones sleep at another.
const IN_USE: f64 = 0.5;
/// Less than this of the cores' time, in seconds, is too little for a share in steps of 10 ms.
const MIN_TIME: f64 = 0.5;

/// What changed between the first and the last reading, and what was used. Shares are 0 to 1; `None` is not readable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// From the first reading to the last.
    pub seconds: f64,
    /// Frequency of the core in use that changed most, in MHz.
    pub mhz: Option<Span>,
    /// Temperature of the processor's sensor that changed most, in degrees Celsius; of any, where none is known to be the
    /// processor's.
    pub celsius: Option<Span>,
    /// Time of the watched cores that went to other processes and to the kernel's own work.
    pub others_share: Option<f64>,
    /// Time of the watched cores that the host gave to other virtual machines.
    pub steal_share: Option<f64>,
    /// Time in which some task of the system was waiting for a processor.
    pub cpu_pressure_share: Option<f64>,
    /// Time in which some task of the system was waiting for memory.
    pub memory_pressure_share: Option<f64>,
    /// Faults of this process for which a page was read from disk.
    pub major_faults: Option<u64>,
    /// How often a thread of this process was taken off its processor against its will.
    pub involuntary_switches: Option<u64>,
    /// Mean power of each sensor, in watts.
    pub watts: Option<BTreeMap<String, f64>>,
}

/// The least and the most that something was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Of what: a sensor's name, or `core 3`.
    pub of: String,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

impl Span {
    fn of(name: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values = values.into_iter();
        let first = values.next()?;
        let start = Self {
            of: name.into(),
            min: first,
            max: first,
        };
        Some(values.fold(start, |span, value| Self {
            min: span.min.min(value),
            max: span.max.max(value),
            ..span
        }))
    }

    /// The difference.
    pub fn width(&self) -> f64 {
        self.max - self.min
    }
}

impl Summary {
    pub(super) fn of(first: &Reading, during: &[Reading], last: &Reading, sensors: &[TemperatureSensor]) -> Self {
        let readings = &in_order(first, during, last);
        let seconds = last.seconds - first.seconds;
        let time = passed(first, last);
        let share = |part: f64, time: CoreTime| (part / time.total()).clamp(0.0, 1.0);
        let own = |get: fn(&ProcessReading) -> f64| Some(get(last.process.as_ref()?) - get(first.process.as_ref()?));
        let pressure = |get: fn(&Reading) -> Option<f64>| Some(get(last)? - get(first)?);
        let pressure = |get| {
            pressure(get)
                .filter(|_| seconds > 0.0)
                .map(|waiting| (waiting / seconds).clamp(0.0, 1.0))
        };
        let count = |get: fn(&ProcessReading) -> Option<u64>| {
            let count = |reading: &Reading| reading.process.as_ref().and_then(get);
            Some(count(last)?.saturating_sub(count(first)?))
        };
        Self {
            seconds,
            mhz: frequency(readings),
            celsius: temperature(readings, sensors),
            others_share: time
                .zip(own(|process| process.cpu_seconds))
                .map(|(time, own)| share(time.busy_seconds - own, time)),
            steal_share: time.map(|time| share(time.steal_seconds, time)),
            cpu_pressure_share: pressure(|reading| reading.pressure?.cpu_seconds),
            memory_pressure_share: pressure(|reading| reading.pressure?.memory_seconds),
            major_faults: count(|process| Some(process.major_faults)),
            involuntary_switches: count(|process| process.involuntary_switches),
            watts: watts(readings, seconds),
        }
    }
}

/// Time of all watched cores between two readings; `None` if it is not told, or too short to tell shares.
fn passed(earlier: &Reading, later: &Reading) -> Option<CoreTime> {
    let pairs = earlier.cores.iter().zip(&later.cores);
    let each = pairs.map(|(earlier, later)| Some(later.time?.since(earlier.time?)));
    let sum = each.reduce(|sum, time| Some(sum?.plus(time?)))??;
    (sum.total() >= MIN_TIME).then_some(sum)
}

/// Of the core that changed most by ratio, over the readings at which it was in use. Where no core ever was, as between
/// rare arrivals, over all readings.
fn frequency(readings: &[&Reading]) -> Option<Span> {
    let cores = readings.first()?.cores.len();
    let span = |core: usize, all: bool| {
        let counted = (0..readings.len()).filter(|at| all || in_use(readings, core, *at));
        let mhz = counted.filter_map(|at| readings[at].cores.get(core)?.mhz);
        Span::of(format!("core {}", readings[0].cores[core].core), mhz)
    };
    let ratio = |span: &Span| span.width() / span.max;
    let most = |all| {
        let spans = (0..cores).filter_map(|core| span(core, all));
        spans.max_by(|a, b| ratio(a).total_cmp(&ratio(b)))
    };
    most(false).or_else(|| most(true))
}

/// Whether a core was busy around reading `at`: from the reading before to the one behind it.
fn in_use(readings: &[&Reading], core: usize, at: usize) -> bool {
    let time = |at: usize| readings.get(at).and_then(|reading| reading.cores.get(core)?.time);
    let last = readings.len() - 1;
    let around = time(at.saturating_sub(1)).zip(time((at + 1).min(last)));
    around.is_some_and(|(earlier, later)| {
        let passed = later.since(earlier);
        passed.busy_seconds >= IN_USE * passed.total() && passed.total() > 0.0
    })
}

fn temperature(readings: &[&Reading], sensors: &[TemperatureSensor]) -> Option<Span> {
    let spans = TemperatureSensor::telling(sensors).filter_map(|sensor| {
        let values = readings
            .iter()
            .filter_map(|reading| reading.temperatures.as_ref()?.get(&sensor.name));
        Span::of(&sensor.name, values.copied())
    });
    spans.max_by(|a, b| a.width().total_cmp(&b.width()))
}

/// Energy over time where it is counted, else the mean of the readings.
fn watts(readings: &[&Reading], seconds: f64) -> Option<BTreeMap<String, f64>> {
    let last = readings.last()?.power.as_ref()?;
    let mean = |sensor: &str| {
        let power = readings.iter().filter_map(|reading| reading.power.as_ref());
        let found = power.filter_map(|power| power.iter().find(|found| found.sensor == sensor)?.watts);
        let values: Vec<_> = found.collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let each = last.iter().filter_map(|power| {
        let watts = match power.joules {
            Some(joules) => (seconds > 0.0).then(|| joules / seconds),
            None => mean(&power.sensor),
        };
        Some((power.sensor.clone(), watts?))
    });
    Some(each.collect())
}

#[cfg(test)]
mod tests;

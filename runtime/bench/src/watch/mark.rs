//! What makes a run doubtful: conditions that moved, and others on the machine.

use super::cores::FrequencySource;
use super::reading::Reading;
use super::{Record, Summary};

/// Most that a clock may change, as a share of its highest value.
const CLOCK: f64 = 0.02;
/// Most that the rate of the loop may change, as a share: under load it scatters by 2 % where the clock stays.
const SPIN: f64 = 0.05;
/// Most that a temperature may change, in kelvin.
const KELVIN: f64 = 5.0;
/// Most of the watched cores' time that others may have.
const OTHERS: f64 = 0.05;
/// Most of it that other virtual machines may have.
const STEAL: f64 = 0.01;
/// Most of the time that tasks may wait for memory.
const MEMORY: f64 = 0.01;

/// Most seconds from one question of the kernel to a Raspberry Pi's firmware to the next: 2, and what they take.
const POLL: f64 = 2.1;

/// A reason to doubt a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Of what kind it is.
    pub kind: MarkKind,
    /// What was found, with its figures.
    pub text: String,
    /// How to mend it.
    pub mend: String,
}

/// What a [`Mark`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MarkKind {
    /// A clock moved.
    Clock,
    /// A temperature moved, or reached a limit.
    Temperature,
    /// Something held the clock down.
    Throttled,
    /// Others used the cores.
    Others,
    /// The host gave the cores to other virtual machines.
    Steal,
    /// Memory was short.
    Memory,
}

impl MarkKind {
    /// Its name, as a report has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Temperature => "temperature",
            Self::Throttled => "throttled",
            Self::Others => "others",
            Self::Steal => "steal",
            Self::Memory => "memory",
        }
    }

    /// Whether a strict run fails by it: where the clock moved or was held down, or the temperature moved.
    pub fn fails_strict(self) -> bool {
        matches!(self, Self::Clock | Self::Temperature | Self::Throttled)
    }
}

/// The reasons to doubt a run under these conditions; none if it was calm, as far as that could be read.
pub fn marks(record: &Record) -> Vec<Mark> {
    let found = [
        clock(record),
        temperature(&record.summary),
        limit(record),
        throttled(record),
        others(record),
        steal(&record.summary),
        memory(&record.summary),
    ];
    found.into_iter().flatten().collect()
}

fn mark(kind: MarkKind, text: String, mend: &str) -> Mark {
    Mark {
        kind,
        text,
        mend: mend.to_owned(),
    }
}

const HOLD: &str = "hold the clock (echo performance | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor; on \
                    a Jetson sudo jetson_clocks), cool the machine, and measure again";
const HOST: &str = "measure on a machine whose clock can be held; on a virtual one, ask for a dedicated host";

fn clock(record: &Record) -> Option<Mark> {
    if let Some(span) = record
        .summary
        .mhz
        .as_ref()
        .filter(|span| span.width() > CLOCK * span.max)
    {
        let text = format!(
            "the clock of {} moved between {:.0} and {:.0} MHz ({:.1} %)",
            span.of,
            span.min,
            span.max,
            100.0 * span.width() / span.max
        );
        return Some(mark(MarkKind::Clock, text, HOLD));
    }
    // Also where a clock is told: a Raspberry Pi's cpufreq does not know of what the firmware does
    // (raspberrypi/linux#2986), and /proc/cpuinfo may never change.
    let spin = record.spin;
    let change = spin.after / spin.before - 1.0;
    if change.abs() <= SPIN {
        return None;
    }
    let (told, mend) = match record.frequency_source {
        None => ("it cannot be read here", HOST),
        Some(FrequencySource::Cpuinfo) => ("/proc/cpuinfo does not tell of it", HOST),
        Some(FrequencySource::Cpufreq) => ("cpufreq does not tell of it", HOLD),
    };
    let text = format!(
        "a loop of fixed work ran {:.1} % {} after the run than before ({:.0} and {:.0} million steps a second), so the \
         clock moved; {told}",
        100.0 * change.abs(),
        if change < 0.0 { "slower" } else { "faster" },
        spin.after,
        spin.before
    );
    Some(mark(MarkKind::Clock, text, mend))
}

const COOL: &str = "let it warm up until it stays, or cool it better (heat sink, fan), and measure again";

fn temperature(summary: &Summary) -> Option<Mark> {
    let span = summary.celsius.as_ref().filter(|span| span.width() > KELVIN)?;
    let text = format!("{} moved between {:.1} and {:.1} °C", span.of, span.min, span.max);
    Some(mark(MarkKind::Temperature, text, COOL))
}

fn limit(record: &Record) -> Option<Mark> {
    let sensors = record.temperature_sensors.iter().filter(|sensor| sensor.of_processor);
    let passed = sensors.filter_map(|sensor| {
        let limit = sensor.limit_celsius?;
        let readings = record.readings().into_iter();
        let values = readings.filter_map(|reading| reading.temperatures.as_ref()?.get(&sensor.name).copied());
        let highest = values.reduce(f64::max).filter(|highest| *highest >= limit)?;
        Some(format!(
            "{} reached {highest:.1} °C; its limit is {limit:.1} °C",
            sensor.name
        ))
    });
    let texts: Vec<_> = passed.collect();
    (!texts.is_empty()).then(|| mark(MarkKind::Temperature, texts.join("; "), COOL))
}

fn throttled(record: &Record) -> Option<Mark> {
    let mut texts = Vec::new();
    if let (Some(before), Some(after)) = (&record.before.throttle.events, &record.after.throttle.events) {
        for (name, count) in after {
            let new = count.saturating_sub(before.get(name).copied().unwrap_or(*count));
            if new > 0 {
                texts.push(format!("{new} events of throttling by {name}"));
            }
        }
    }
    for reading in record.readings() {
        let held = reading
            .throttle
            .held_down
            .iter()
            .flatten()
            .filter(|(_, state)| **state > 0);
        let held = held.map(|(name, _)| format!("{name} held the clock down"));
        for text in held.chain(firmware(reading, record)) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
    }
    let mend = "cool the machine, give it a supply that is strong enough, and measure again";
    (!texts.is_empty()).then(|| mark(MarkKind::Throttled, texts.join("; "), mend))
}

/// What a Raspberry Pi's firmware told at this reading, as far as it is of the run: until it was asked anew, what
/// happened may have happened before.
fn firmware(reading: &Reading, record: &Record) -> Vec<String> {
    let (Some(now), Some(before)) = (reading.throttle.raspberry_pi, record.before.throttle.raspberry_pi) else {
        return Vec::new();
    };
    let known = match reading.seconds - record.before.seconds > POLL {
        true => Vec::new(),
        false => before.lately(),
    };
    let new = now.lately().into_iter().filter(|meaning| !known.contains(meaning));
    let mut meanings = now.now();
    meanings.extend(new);
    meanings.sort_unstable();
    meanings.dedup();
    meanings
        .into_iter()
        .map(|meaning| format!("firmware: {meaning}"))
        .collect()
}

fn others(record: &Record) -> Option<Mark> {
    let share = record.summary.others_share.filter(|share| *share > OTHERS)?;
    let cores: Vec<_> = record.cores.iter().map(u32::to_string).collect();
    let text = format!("others used {:.1} % of the cores ({})", 100.0 * share, cores.join(" "));
    let mend = "end other programs (top shows them), or measure on cores that they leave alone (--cores)";
    Some(mark(MarkKind::Others, text, mend))
}

fn steal(summary: &Summary) -> Option<Mark> {
    let share = summary.steal_share.filter(|share| *share > STEAL)?;
    let text = format!(
        "the host gave {:.1} % of the cores' time to other machines",
        100.0 * share
    );
    let mend = "measure on a machine that is not shared";
    Some(mark(MarkKind::Steal, text, mend))
}

fn memory(summary: &Summary) -> Option<Mark> {
    let waiting = summary.memory_pressure_share.filter(|share| *share > MEMORY);
    let waiting = waiting.map(|share| format!("tasks waited for memory {:.1} % of the time", 100.0 * share));
    let faults = summary.major_faults.filter(|faults| *faults > 0);
    let faults = faults.map(|faults| format!("pages of this process that were read back from disk: {faults}"));
    let texts: Vec<_> = [waiting, faults].into_iter().flatten().collect();
    let mend = "free memory, or end what uses it, and measure again";
    (!texts.is_empty()).then(|| mark(MarkKind::Memory, texts.join("; "), mend))
}

#[cfg(test)]
mod tests;

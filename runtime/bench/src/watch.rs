//! Watches the state of the machine while something is measured: before, once a second, and after.
//!
//! [`Watch::start`] reads what there is in a thread of its own, away from the measured cores where there is another one;
//! [`Watch::stop`] gives the [`Record`], and [`marks`] says what in it makes the measurement doubtful.

mod cores;
mod hwmon;
mod mark;
mod power;
mod pressure;
mod process;
mod reading;
mod spin;
mod summary;
mod temperature;
mod throttle;

use std::io;
use std::iter;
use std::panic;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use cores::{CoreReading, CoreTime, FrequencySource};
pub use mark::{Mark, MarkKind, marks};
pub use power::PowerReading;
pub use pressure::Pressure;
pub use process::ProcessReading;
pub use reading::Reading;
pub use summary::{Span, Summary};
pub use temperature::TemperatureSensor;
pub use throttle::{RaspberryPi, Throttle};

use crate::machine::{Cores, Root};
use crate::run::set_affinity;
use reading::Sensors;

/// Time between two readings.
const PERIOD: Duration = Duration::from_secs(1);

/// The state of the machine around and during a measurement. What cannot be read is `None`, in JSON `null`, never 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The watched processors: those that the measured threads may run on.
    pub cores: Vec<u32>,
    /// Where their frequencies are read.
    pub frequency_source: Option<FrequencySource>,
    /// The sensors of temperature.
    pub temperature_sensors: Vec<TemperatureSensor>,
    /// What could not be read, in words.
    pub not_readable: Vec<String>,
    /// The reading before the measurement.
    pub before: Reading,
    /// Those during it, one a second.
    pub during: Vec<Reading>,
    /// The reading after it.
    pub after: Reading,
    /// How fast a core counts, which tells a moving clock also where no frequency is told, or not the true one.
    pub spin: Spin,
    /// What the readings say together.
    pub summary: Summary,
    /// What watching cost.
    pub watcher: Watcher,
}

/// Rates of a loop of dependent multiplications, in millions of steps a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spin {
    /// Before the measurement.
    pub before: f64,
    /// After it.
    pub after: f64,
}

/// What the thread that reads cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watcher {
    /// The processors it was kept to; `None` if there are none beside the watched ones, or the system refused.
    pub kept_to: Option<Vec<u32>>,
    /// Mean time of a reading, in milliseconds.
    pub mean_ms: f64,
    /// The longest, in milliseconds.
    pub max_ms: f64,
}

/// A watch that is running.
pub struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<Readings>,
    spin_before: f64,
}

/// What the thread brings back.
struct Readings {
    sensors: Sensors,
    kept_to: Option<Vec<u32>>,
    before: Reading,
    during: Vec<Reading>,
    after: Reading,
    times: Vec<Duration>,
}

impl Watch {
    /// Takes the first reading of the machine whose files lie below `root` (`/` for this one), and goes on once a second.
    ///
    /// `cores` are those that the measured threads may run on; none stands for all that this process may use. Those of
    /// `allowed` that are not among them are for the thread that reads. Call it where measuring follows at once, with the
    /// caches and clocks as they will be: it takes up to 0.1 s, and nothing of it runs on the caller's thread afterwards.
    ///
    /// # Errors
    /// If the system makes no thread.
    pub fn start(root: &Path, cores: &[u32], allowed: &[u32]) -> io::Result<Self> {
        let root = Root::new(root);
        let cores = match cores {
            [] => Cores::read(&root).allowed.map(|set| set.numbers()).unwrap_or_default(),
            cores => cores.to_vec(),
        };
        let others: Vec<_> = allowed.iter().copied().filter(|core| !cores.contains(core)).collect();
        let spin_before = spin::rate();
        let (stop, stopped) = mpsc::channel();
        let (ready, started) = mpsc::channel();
        let watch = move || {
            let kept_to = keep_to(&others);
            let mut sensors = Sensors::find(root, &cores, Instant::now());
            let mut times = Vec::new();
            let before = timed(&mut sensors, &mut times);
            // Whoever waits for this may have given up; then the other channel is closed too.
            let _ = ready.send(());
            let during = go_on(&mut sensors, &mut times, &stopped);
            let after = timed(&mut sensors, &mut times);
            Readings {
                sensors,
                kept_to,
                before,
                during,
                after,
                times,
            }
        };
        let thread = thread::Builder::new().name("askd-watch".to_owned()).spawn(watch)?;
        // It fails only if the thread panicked, which shows at the join.
        let _ = started.recv();
        Ok(Self {
            stop,
            thread,
            spin_before,
        })
    }

    /// Takes the last reading, at once, and tells all of them.
    pub fn stop(self) -> Record {
        drop(self.stop);
        let readings = self.thread.join().unwrap_or_else(|fault| panic::resume_unwind(fault));
        let spin = Spin {
            before: self.spin_before,
            after: spin::rate(),
        };
        readings.into_record(spin)
    }
}

/// Reads once a second, without catching up on what a stop made it miss, until the other end of `stopped` is gone.
fn go_on(sensors: &mut Sensors, times: &mut Vec<Duration>, stopped: &Receiver<()>) -> Vec<Reading> {
    let mut readings = Vec::new();
    let mut next = Instant::now() + PERIOD;
    while stopped.recv_timeout(next.saturating_duration_since(Instant::now())) == Err(RecvTimeoutError::Timeout) {
        readings.push(timed(sensors, times));
        next = next.max(Instant::now()) + PERIOD;
    }
    readings
}

fn timed(sensors: &mut Sensors, times: &mut Vec<Duration>) -> Reading {
    let start = Instant::now();
    let reading = sensors.read();
    times.push(start.elapsed());
    reading
}

/// Keeps the calling thread to these cores, if there are any and the system lets it; tells which.
fn keep_to(cores: &[u32]) -> Option<Vec<u32>> {
    (!cores.is_empty()).then(|| set_affinity(cores).ok())?
}

impl Readings {
    fn into_record(self, spin: Spin) -> Record {
        let milliseconds = self.times.iter().map(|time| time.as_secs_f64() * 1e3);
        let watcher = Watcher {
            kept_to: self.kept_to,
            mean_ms: milliseconds.clone().sum::<f64>() / self.times.len() as f64,
            max_ms: milliseconds.fold(0.0, f64::max),
        };
        let temperature_sensors = self.sensors.temperatures.described();
        Record {
            cores: self.before.cores.iter().map(|core| core.core).collect(),
            frequency_source: self.sensors.frequency_source,
            not_readable: self.sensors.not_readable(&self.before),
            summary: Summary::of(&self.before, &self.during, &self.after, &temperature_sensors),
            temperature_sensors,
            before: self.before,
            during: self.during,
            after: self.after,
            spin,
            watcher,
        }
    }
}

impl Record {
    /// All readings, in the order of time.
    pub fn readings(&self) -> Vec<&Reading> {
        in_order(&self.before, &self.during, &self.after)
    }
}

fn in_order<'a>(before: &'a Reading, during: &'a [Reading], after: &'a Reading) -> Vec<&'a Reading> {
    iter::once(before).chain(during).chain(iter::once(after)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In real time, on this machine, whatever it tells of itself.
    #[test]
    fn a_watch_reads_every_second_and_ends_at_once() {
        let watch = Watch::start(Path::new("/"), &[], &[]).unwrap();
        thread::sleep(PERIOD.mul_f64(1.5));
        let asked = Instant::now();
        let record = watch.stop();
        assert!(asked.elapsed() < PERIOD / 2, "{:?}", asked.elapsed());
        assert_eq!(record.during.len(), 1);
        let at: Vec<_> = record.readings().iter().map(|reading| reading.seconds).collect();
        assert!(at.is_sorted() && at[1] - at[0] > 0.9, "{at:?}");
        // of what it tells, an emulator makes up a part
        assert!(record.after.process.is_some());
        // all processors are watched, none is left for the watcher
        assert_eq!(record.watcher.kept_to, None);
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }

    #[test]
    fn the_watcher_keeps_off_the_watched_cores() {
        let allowed = Cores::read(&Root::new(Path::new("/"))).allowed.unwrap().numbers();
        let (first, others) = allowed.split_first().unwrap();
        let record = Watch::start(Path::new("/"), &[*first], &allowed).unwrap().stop();
        assert_eq!(record.cores, [*first]);
        assert_eq!(record.watcher.kept_to.unwrap_or_default(), others);
    }

    #[test]
    fn an_empty_machine_is_watched_and_everything_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let record = Watch::start(folder.path(), &[0], &[]).unwrap().stop();
        let reading = &record.before;
        assert_eq!(
            (
                &reading.temperatures,
                &reading.power,
                &reading.process,
                &reading.pressure
            ),
            (&None, &None, &None, &None)
        );
        assert_eq!((reading.cores[0].mhz, record.frequency_source), (None, None));
        assert_eq!(record.not_readable.len(), 6, "{:?}", record.not_readable);
    }
}

//! How long does a model take on this machine? One model in one configuration, many runs, and what they cost.
//!
//! An [`Engine`] is warmed up, then timed by a [`Clock`], with images that arrive back to back or by the clock; the statistics
//! go into a [`RunReport`]. Where images arrive by the clock, latency counts from the moment at which an image was to arrive,
//! not from that at which the engine came to it: an engine that stalls makes all those wait that arrive meanwhile.
//!
//! Source: Tene, "How NOT to Measure Latency" (coordinated omission); MLPerf inference rules.

mod arrivals;
mod clock;
mod confine;
mod csv;
mod early_stopping;
mod engine;
mod error;
mod images;
mod memory;
mod report;
mod start;
mod statistics;
mod subject;
mod table;
mod timing;
mod whole;

pub use arrivals::Arrivals;
pub use clock::{Clock, SystemClock};
pub use confine::Cores;
pub(crate) use confine::set_affinity;
pub use csv::csv;
pub use engine::Engine;
pub use error::Error;
pub use images::MAX_SIDE;
pub use report::*;
pub use start::{Starter, start};
pub use subject::Feed;
pub use timing::{MAX_RUNS, Plan, Recorder, Sample, time, warm_up};
pub use whole::{Demand, Outcome, Target, overhead, run};

#[cfg(test)]
pub(crate) mod tests;

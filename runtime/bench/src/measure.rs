//! Times runs of several subjects against each other on one machine, and says what the times show.
//!
//! The subjects take turns, so that whatever the machine does meanwhile (its clock, its heat, others' load) happens to all
//! of them, and are started anew now and then, since where a start happens to put things makes them faster or slower, too:
//! [`measure`]. What is compared are medians, with an interval from resampling the starts: [`Ratio`]. The clock is the
//! caller's, so that all this can be tested to the nanosecond.

mod bootstrap;
mod ratio;
mod rounds;
mod samples;

pub(crate) use bootstrap::bootstrap;
pub use bootstrap::{CONFIDENCE, RESAMPLES};
pub use ratio::{Ratio, Shown};
pub use rounds::{Measurement, Plan, RUNS_PER_TURN, SITTINGS, Subject, WarmUp, measure};
pub use samples::{Samples, Summary};
pub(crate) use samples::{alike, median, median_figure, percentile};

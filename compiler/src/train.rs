//! Training: the recipe, the loop, checkpoints, the record of a run.
//!
//! The loop knows nothing of losses: an [`Objective`] does one step, so plain training and every distillation method
//! share schedule, data, checkpoints and measurement.

mod checkpoint;
mod events;
mod layers;
mod objective;
mod prepare;
mod recipe;
mod record;
mod run;
mod schedule;
mod supervised;

pub use layers::{Layers, Origin, Setting};
pub use objective::{Moment, Objective, State, StepReport, StepTimes};
pub use prepare::objective;
pub use recipe::{RECIPE_FILE, Recipe};
pub use record::{EpochRecord, RESULT_FILE, RunResult, epoch_records};
pub use run::{BEST_WEIGHTS, RunOptions, train};
pub use schedule::{Decay, Schedule};
pub use supervised::Supervised;

pub(crate) use objective::{Stopwatch, count_correct};
pub(crate) use prepare::{Prepared, tensors};
pub(crate) use supervised::{finite_loss, group};

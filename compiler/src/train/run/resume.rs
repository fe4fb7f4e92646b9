//! How a run stops and goes on: its checkpoints, and a run directory that fits the one resumed from.

use std::time::Instant;

use super::{BEST_WEIGHTS, Run};
use crate::train::checkpoint::{self, Checkpoint};
use crate::train::events::Events;
use crate::train::record::write_metrics;
use crate::train::{RESULT_FILE, Recipe};
use crate::weights::save_safetensors;
use crate::{Error, Result, files};

impl Run<'_> {
    /// What a resumed run goes on from: the newest checkpoint, if it is of this recipe and data.
    pub(super) fn checkpoint_to_resume(&self) -> Result<Option<Checkpoint>> {
        let out = &self.options.out;
        if !self.options.resume {
            return Ok(None);
        }
        let Some(checkpoint) = checkpoint::load_newest(out)? else {
            return Ok(None);
        };
        let (stored, given) = (&checkpoint.position, &self.position);
        if stored.recipe != given.recipe {
            let difference = self.recipe.difference_from(&Recipe::load(out)?)?;
            return Err(Error::invalid("--resume", "the recipe of the run in --out", difference));
        }
        if stored.data != given.data {
            let expected = format!("the images of the run in --out (sha256 {})", stored.data);
            let got = format!("others in {} (sha256 {})", self.recipe.data, given.data);
            return Err(Error::invalid("--resume", expected, got));
        }
        Ok(Some(checkpoint))
    }

    /// Brings the run directory to where a checkpoint stood, or to the start of a run; gives its event file.
    pub(super) fn start(&mut self, checkpoint: Option<Checkpoint>) -> Result<Events> {
        let out = &self.options.out;
        let best = out.join(BEST_WEIGHTS);
        files::create_dir(&out.join("best"))?;
        for directory in ["", "best", checkpoint::DIRECTORY] {
            files::remove_leftovers(&out.join(directory))?;
        }
        match checkpoint {
            Some(checkpoint) => {
                self.objective.restore(&checkpoint.state)?;
                self.position = checkpoint.position;
                self.best = checkpoint.best;
            }
            None => checkpoint::clear(out)?,
        }
        if !self.is_done() {
            files::remove(&out.join(RESULT_FILE))?;
        }
        match &self.best {
            Some(weights) => save_safetensors(&best, weights, None)?,
            None => files::remove(&best)?,
        }
        write_metrics(out, &self.position.records)?;
        self.recipe.save(out)?;
        Events::open(out, self.position.events)
    }

    /// Writes a checkpoint and starts the clock of the next one.
    pub(super) fn save_checkpoint(&mut self, events: &Events) -> Result<()> {
        self.position.events = events.sync()?;
        self.position.seconds += self.clock.elapsed().as_secs_f64();
        self.clock = Instant::now();
        let checkpoint = Checkpoint {
            position: self.position.clone(),
            state: self.objective.state()?,
            best: self.best.clone(),
        };
        checkpoint::save(&self.options.out, checkpoint)
    }
}

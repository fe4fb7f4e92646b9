//! What is measured: anything that gives logits for images.

use std::fmt;

use askd_runtime::{Input, Model, Preprocess, Resize, ResizeSize, SessionOptions};
use rayon::prelude::*;

use crate::Result;
use crate::data::{ImageSet, Loader};
use crate::evaluate::{EVALUATION_BATCH, Predictions, check_classes, predict, predict_session};
use crate::nn::Network;

/// A network by its name.
pub struct Subject<'a> {
    name: String,
    predict: Box<Predict<'a>>,
}

type Predict<'a> = dyn FnMut(&ImageSet) -> Result<Predictions> + 'a;

impl<'a> Subject<'a> {
    /// What gives logits for images that have the network's size and channels already.
    pub fn new(name: &str, predict: impl FnMut(&ImageSet) -> Result<Predictions> + 'a) -> Self {
        Self {
            name: name.to_owned(),
            predict: Box::new(predict),
        }
    }

    /// A network in the trainer; `preprocess` normalises images of its size.
    pub fn network(name: &str, network: &'a mut Network, preprocess: Preprocess) -> Self {
        Self::new(name, move |images| {
            predict(
                network,
                &Loader::plain(images.clone(), preprocess.clone(), EVALUATION_BATCH),
            )
        })
    }

    /// A bundle's variant in ONNX Runtime, one image at a time on each core.
    ///
    /// # Errors
    /// [`crate::Error::Runtime`] if it cannot be run, [`crate::Error::InvalidValue`] if it has another number of classes than `images`.
    pub fn bundle(model: &Model, images: &ImageSet) -> Result<Self> {
        check_classes(model, images)?;
        let preprocess = Preprocess::new(&of_its_own_size(&model.manifest().input))?;
        let mut sessions = (0..rayon::current_num_threads())
            .map(|_| Ok(model.session(&SessionOptions::default())?))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self::new(&model.variant().name, move |images| {
            let positions: Vec<usize> = (0..images.len()).collect();
            let share = images.len().div_ceil(sessions.len()).max(1);
            // images of one size are prepared without these threads, which all wait here
            let parts = positions
                .par_chunks(share)
                .zip(&mut sessions)
                .map(|(positions, session)| {
                    let part = images.select(positions.iter().copied());
                    predict_session(session, &Loader::plain(part, preprocess.clone(), EVALUATION_BATCH))
                });
            let mut predictions = Predictions::default();
            for part in parts.collect::<Result<Vec<_>>>()? {
                predictions.extend(part);
            }
            Ok(predictions)
        }))
    }

    /// Its name in a report.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn predict(&mut self, images: &ImageSet) -> Result<Predictions> {
        (self.predict)(images)
    }
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A contract for images that need neither scaling nor a crop any more.
fn of_its_own_size(input: &Input) -> Input {
    let [_, height, width] = input.shape;
    Input {
        resize: Resize {
            method: input.resize.method,
            size: ResizeSize::Exactly([height, width]),
            crop: None,
        },
        ..input.clone()
    }
}

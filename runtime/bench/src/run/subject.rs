//! The model that is measured, as ONNX Runtime runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use askd_runtime::{
    ElementType, Error as RuntimeError, Image, Model, Preprocess, Ranking, Session, SessionOptions, sha256_hex,
};

use super::engine::Engine;
use super::error::Error;
use super::images::{self, Pictures, Tensor};
use super::report::{ImageFacts, InputFacts, ModelFacts};
use crate::profile::{self, Profile};

/// Named classes of a result.
const TOP: usize = 5;

/// What is measured, opened and checked.
pub(super) enum Subject {
    Bundle(Box<Model>),
    Onnx(Vec<u8>),
}

/// Where the images come from, beyond what the model brings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feed {
    /// A safetensors file with images as the model takes them; for a plain ONNX file alone.
    pub input: Option<PathBuf>,
    /// `[height, width]` of a camera's frame that the golden images fill; for a bundle alone.
    pub frame: Option<[usize; 2]>,
}

/// The images of all sessions.
enum Images {
    /// To be preprocessed.
    Pictures(Arc<Pictures>),
    /// As the model takes them.
    Tensors(Arc<Vec<Tensor>>),
}

impl Subject {
    /// Opens a bundle's directory, checking every byte, or reads a plain ONNX file.
    pub(super) fn open(path: &Path, variant: Option<&str>) -> Result<Self, Error> {
        let found = fs::metadata(path).map_err(|source| RuntimeError::Read {
            path: path.to_owned(),
            source,
        })?;
        if found.is_dir() {
            let model = match variant {
                Some(name) => Model::open_variant(path, name)?,
                None => Model::open(path)?,
            };
            return Ok(Self::Bundle(Box::new(model)));
        }
        let item = path.display().to_string();
        if !found.is_file() {
            return Err(Error::demand(item, "a bundle's directory or an ONNX file", "neither"));
        }
        if let Some(name) = variant {
            return Err(Error::demand(
                format!("--variant {name}"),
                "a bundle",
                format!("the file {item}"),
            ));
        }
        let bytes = fs::read(path).map_err(|source| RuntimeError::Read {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self::Onnx(bytes))
    }

    pub(super) fn session(&self, options: &SessionOptions) -> Result<Session, Error> {
        let session = match self {
            Self::Bundle(model) => model.session(options),
            Self::Onnx(bytes) => Session::from_onnx(bytes, options),
        };
        Ok(session?)
    }

    pub(super) fn is_bundle(&self) -> bool {
        matches!(self, Self::Bundle(_))
    }

    /// The ONNX bytes.
    pub(super) fn onnx(&self) -> &[u8] {
        match self {
            Self::Bundle(model) => model.onnx(),
            Self::Onnx(bytes) => bytes,
        }
    }

    /// What is ready to be timed: an engine for each of these sessions, and the model's facts.
    pub(super) fn engines(
        &self,
        sessions: Vec<Session>,
        path: &Path,
        feed: &Feed,
    ) -> Result<(Vec<Running>, ModelFacts), Error> {
        let first = sessions.first().map(Session::interface);
        let Some(interface) = first.cloned() else {
            return Err(Error::demand("--streams", "1 or more", 0));
        };
        let (images, facts) = match self {
            Self::Bundle(model) => pictures(model, feed)?,
            Self::Onnx(_) => {
                if feed.frame.is_some() {
                    return Err(Error::demand(
                        "--frame",
                        "a bundle, which says how an image is preprocessed",
                        "a plain ONNX file",
                    ));
                }
                let (tensors, facts) = match &feed.input {
                    Some(path) => images::from_file(path, &interface)?,
                    None => images::synthetic(&interface),
                };
                (Images::Tensors(Arc::new(tensors)), facts)
            }
        };
        let model_facts = ModelFacts {
            path: path.display().to_string(),
            network: self.network(),
            variant: self.model().map(|model| model.variant().name.clone()),
            precision: self.model().map(|model| model.variant().precision.clone()),
            parameters: self.model().map(|model| model.variant().parameters),
            macs: self.model().map(|model| model.variant().macs),
            accuracy: self
                .model()
                .map_or_else(Vec::new, |model| model.variant().accuracy.clone()),
            sha256: sha256_hex(self.onnx()),
            bytes: self.onnx().len() as u64,
            input: InputFacts {
                name: interface.input.clone(),
                data_type: interface.data_type.to_string(),
                shape: interface.shape,
            },
            classes: interface.classes,
            images: facts,
        };
        let engine = |session| self.engine(session, &images);
        let engines: Result<_, Error> = sessions.into_iter().map(engine).collect();
        Ok((engines?, model_facts))
    }

    /// Where the time of a run goes, on the image that the first of `engines` ran last.
    pub(super) fn profile(&self, options: &SessionOptions, engines: &[Running]) -> Result<Profile, Error> {
        let Some(engine) = engines.first() else {
            return Err(Error::demand("--streams", "1 or more", 0));
        };
        let subject = match self {
            Self::Bundle(model) => profile::Subject::Bundle(model),
            Self::Onnx(bytes) => profile::Subject::Onnx(bytes),
        };
        let tensor = engine.source.tensor(engine.next);
        let mut logits = vec![0.0; engine.logits.len()];
        Ok(profile::profile(subject, options, |session| {
            tensor.run(session, &mut logits)
        })?)
    }

    fn engine(&self, session: Session, images: &Images) -> Result<Running, Error> {
        let source = match (self.model(), images) {
            (Some(model), Images::Pictures(pictures)) => {
                let preprocess = Preprocess::new(&model.manifest().input)?;
                Source::Pictures {
                    prepared: match model.manifest().input.data_type {
                        ElementType::U8 => Tensor::Pixels(vec![0; preprocess.elements()]),
                        _ => Tensor::Normalised(vec![0.0; preprocess.elements()]),
                    },
                    pictures: Arc::clone(pictures),
                    preprocess: Box::new(preprocess),
                    labels: model.manifest().labels.clone(),
                    temperature: model.manifest().temperature,
                    ranking: Ranking::default(),
                }
            }
            (_, Images::Tensors(tensors)) => Source::Tensors(Arc::clone(tensors)),
            (None, Images::Pictures(_)) => unreachable!("only a bundle brings pictures"),
        };
        Ok(Running {
            logits: vec![0.0; session.interface().classes],
            session,
            source,
            next: 0,
        })
    }

    fn model(&self) -> Option<&Model> {
        match self {
            Self::Bundle(model) => Some(model),
            Self::Onnx(_) => None,
        }
    }

    /// The network's name, where the bundle's provenance tells it.
    fn network(&self) -> Option<String> {
        let name = self.model()?.manifest().provenance.get("network")?;
        Some(name.as_str()?.to_owned())
    }
}

fn pictures(model: &Model, feed: &Feed) -> Result<(Images, ImageFacts), Error> {
    if let Some(path) = &feed.input {
        let item = format!("--input {}", path.display());
        return Err(Error::demand(
            item,
            "a plain ONNX file",
            "a bundle, which brings golden images",
        ));
    }
    let (mut pictures, mut facts) = Pictures::golden(model);
    if let Some(frame) = feed.frame {
        pictures = pictures.in_frame(frame);
        [facts.height, facts.width] = frame;
        facts.count = pictures.pixels.len();
        facts.note += &format!(", enlarged to a frame of {}x{} (nearest pixels)", frame[0], frame[1]);
    }
    Ok((Images::Pictures(Arc::new(pictures)), facts))
}

/// A session with its images, run one after the other, from the first again after the last.
pub(super) struct Running {
    session: Session,
    source: Source,
    /// The image of the next run.
    next: usize,
    logits: Vec<f32>,
}

#[allow(
    clippy::large_enum_variant,
    reason = "one for each stream, never moved while times are taken"
)]
enum Source {
    Pictures {
        pictures: Arc<Pictures>,
        preprocess: Box<Preprocess>,
        prepared: Tensor,
        labels: Vec<String>,
        temperature: f32,
        ranking: Ranking,
    },
    Tensors(Arc<Vec<Tensor>>),
}

impl Source {
    /// The image that is prepared, or of those that need no preparation number `next`.
    fn tensor(&self, next: usize) -> &Tensor {
        match self {
            Self::Pictures { prepared, .. } => prepared,
            Self::Tensors(tensors) => &tensors[next % tensors.len()],
        }
    }
}

impl Engine for Running {
    type Error = RuntimeError;

    fn preprocess(&mut self) -> Result<(), RuntimeError> {
        if let Source::Pictures {
            pictures,
            preprocess,
            prepared,
            ..
        } = &mut self.source
        {
            let pixels = &pictures.pixels[self.next % pictures.pixels.len()];
            let image = Image::new(pixels, pictures.height, pictures.width, pictures.format)?;
            match prepared {
                Tensor::Normalised(values) => preprocess.apply(&image, values)?,
                Tensor::Pixels(values) => preprocess.apply_u8(&image, values)?,
            }
        }
        Ok(())
    }

    fn infer(&mut self) -> Result<(), RuntimeError> {
        let tensor = self.source.tensor(self.next);
        self.next = self.next.wrapping_add(1);
        tensor.run(&mut self.session, &mut self.logits)
    }

    fn postprocess(&mut self) -> Result<(), RuntimeError> {
        if let Source::Pictures {
            labels,
            temperature,
            ranking,
            ..
        } = &mut self.source
        {
            ranking.rank(&self.logits, labels.len(), *temperature, TOP)?;
            std::hint::black_box(ranking.predictions(labels).next());
        }
        Ok(())
    }
}

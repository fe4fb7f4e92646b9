//! A model ready to run.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ort::value::PrimitiveTensorElementType;

use crate::engine::{Engine, failed_to};
use crate::error::Error;
use crate::golden::{GoldenData, SelfTest};
use crate::image::Image;
use crate::interface::Interface;
use crate::load::{Loaded, load};
use crate::manifest::{Batch, ElementType, Manifest};
use crate::model::Model;
use crate::onnx::OnnxVersions;
use crate::options::SessionOptions;
use crate::preprocess::Preprocess;
use crate::provider::Provider;
use crate::top_k::{Predictions, Ranking};

#[cfg(test)]
mod overhead;
mod tensors;

use tensors::Tensors;

/// A model loaded into ONNX Runtime.
///
/// One thread at a time: that is why [`run`](Self::run) takes `&mut self`. A session can move between threads, and
/// several sessions can run at once.
pub struct Session {
    loaded: Loaded,
    engine: &'static Engine,
    interface: Interface,
    tensors: Tensors,
    contract: Option<Contract>,
}

/// What only a bundle knows.
struct Contract {
    manifest: Arc<Manifest>,
    golden: Arc<GoldenData>,
    /// Largest difference from a golden logit that passes.
    tolerance: f32,
    preprocess: Preprocess,
    prepared: Prepared,
    logits: Vec<f32>,
    ranking: Ranking,
}

/// One image as the model takes it.
enum Prepared {
    Normalised(Vec<f32>),
    Pixels(Vec<u8>),
}

impl Session {
    /// A session for plain ONNX bytes, without bundle: for a compiler that checks what it has just written.
    ///
    /// The bytes have no digest to hold them against, only [`OnnxVersions::read`] looks at them first, and older versions of
    /// ONNX Runtime crash on models that make no sense: pass only bytes that you vouch for, and open a bundle for
    /// everything else. [`classify`](Self::classify), [`run_image`](Self::run_image) and [`self_test`](Self::self_test)
    /// need a bundle and fail here.
    ///
    /// # Errors
    /// Those of [`OnnxVersions::read`] and [`Model::session`], with [`Error::Interface`] if it is no image classifier (one
    /// input, f32 `(N, C, H, W)` or u8 `(N, H, W, C)`, one f32 output `(N, K)`, N 1 or dynamic, the rest fixed).
    pub fn from_onnx(bytes: &[u8], options: &SessionOptions) -> Result<Self, Error> {
        OnnxVersions::read(bytes)?;
        Self::new(bytes, options, None)
    }

    pub(crate) fn new(bytes: &[u8], options: &SessionOptions, profile: Option<&Path>) -> Result<Self, Error> {
        let engine = Engine::load(options.library.as_deref())?;
        let loaded = load(engine, bytes, options, profile)?;
        let interface = Interface::of(&loaded.inner)?;
        let tensors = Tensors::new(&interface, 1)?;
        Ok(Self {
            loaded,
            engine,
            interface,
            tensors,
            contract: None,
        })
    }

    pub(crate) fn from_model(model: &Model, options: &SessionOptions, profile: Option<&Path>) -> Result<Self, Error> {
        let mut session = Self::new(model.onnx(), options, profile)?;
        let (manifest, golden) = model.shared();
        session.interface.check_against(&manifest, model.variant())?;
        let preprocess = Preprocess::new(&manifest.input)?;
        let prepared = match manifest.input.data_type {
            ElementType::F32 => Prepared::Normalised(vec![0.0; preprocess.elements()]),
            ElementType::U8 => Prepared::Pixels(vec![0; preprocess.elements()]),
        };
        let logits = vec![0.0; manifest.output.classes];
        session.contract = Some(Contract {
            tolerance: manifest.golden_of(model.variant()).tolerance,
            manifest,
            golden,
            preprocess,
            prepared,
            logits,
            ranking: Ranking::default(),
        });
        Ok(session)
    }

    /// The ONNX Runtime in use.
    pub fn engine(&self) -> &'static Engine {
        self.engine
    }

    /// The device the session runs on; never [`Provider::CudaOrCpu`], but which of the two it is.
    pub fn provider(&self) -> Provider {
        self.loaded.provider
    }

    /// Why a session that was to run by [`Provider::CudaOrCpu`] runs on the CPU; `None` if it does not.
    pub fn fallback(&self) -> Option<&Error> {
        self.loaded.fallback.as_ref()
    }

    /// The model's input and output, as found in the ONNX file.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// Runs N preprocessed images.
    ///
    /// The first run with a new N allocates tensors, later ones with the same N allocate nothing outside the engine; N = 1
    /// is prepared already.
    ///
    /// # Shapes
    /// - `input`: `(N, C, H, W)` f32, normalised; N is 1 unless the batch is [`Batch::Dynamic`]
    /// - `output`: `(N, K)` f32, raw logits; N*K elements, all written
    ///
    /// # Errors
    /// [`Error::InputType`] if the model takes pixels, [`Error::InputLength`] or [`Error::OutputLength`] for a slice that
    /// does not fit, [`Error::Engine`] if ONNX Runtime fails. `output` is unchanged then.
    pub fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), Error> {
        self.run_elements(ElementType::F32, input, output)
    }

    /// Runs N images as pixels, on a model that normalises them itself; otherwise as [`run`](Self::run).
    ///
    /// # Shapes
    /// - `pixels`: `(N, H, W, C)` u8; N is 1 unless the batch is [`Batch::Dynamic`]
    /// - `output`: `(N, K)` f32, raw logits; N*K elements, all written
    ///
    /// # Errors
    /// [`Error::InputType`] if the model takes normalised images, and those of [`run`](Self::run).
    pub fn run_u8(&mut self, pixels: &[u8], output: &mut [f32]) -> Result<(), Error> {
        self.run_elements(ElementType::U8, pixels, output)
    }

    fn run_elements<T: PrimitiveTensorElementType + Copy>(
        &mut self,
        found: ElementType,
        input: &[T],
        output: &mut [f32],
    ) -> Result<(), Error> {
        let expected = self.interface.data_type;
        if found != expected {
            return Err(Error::InputType { expected, found });
        }
        let per_image = self.interface.elements();
        let batch = input.len() / per_image;
        let fits = match self.interface.batch {
            Batch::One => input.len() == per_image,
            Batch::Dynamic => batch > 0 && input.len() == batch * per_image,
        };
        if !fits {
            let max_images = (self.interface.batch == Batch::One).then_some(1);
            return Err(Error::InputLength {
                per_image,
                max_images,
                found: input.len(),
            });
        }
        let expected = batch.saturating_mul(self.interface.classes);
        if output.len() != expected {
            return Err(Error::OutputLength {
                expected,
                found: output.len(),
            });
        }
        if batch != self.tensors.batch {
            self.tensors = Tensors::new(&self.interface, batch)?;
        }
        let (_, target) = self
            .tensors
            .input
            .try_extract_tensor_mut::<T>()
            .map_err(failed_to("reach its input"))?;
        target.copy_from_slice(input);
        let inputs = ort::inputs![&self.tensors.input];
        let outputs = self
            .loaded
            .inner
            .run_with_options(inputs, &self.tensors.options)
            .map_err(failed_to("run the model"))?;
        let (_, logits) = outputs[0]
            .try_extract_tensor::<f32>()
            .map_err(failed_to("reach its output"))?;
        output.copy_from_slice(logits);
        Ok(())
    }

    /// Preprocesses one image and runs it.
    ///
    /// # Shapes
    /// - `output`: K elements, raw logits
    ///
    /// # Errors
    /// [`Error::NoManifest`] for a session from plain ONNX bytes, and those of [`run`](Self::run).
    pub fn run_image(&mut self, image: &Image<'_>, output: &mut [f32]) -> Result<(), Error> {
        let mut contract = self.contract.take().ok_or(Error::NoManifest {
            action: "preprocess an image",
        })?;
        let done = self.run_prepared(&mut contract.preprocess, &mut contract.prepared, image, output);
        self.contract = Some(contract);
        done
    }

    /// Brings `image` into the form that the model takes, in `prepared`, and runs it.
    fn run_prepared(
        &mut self,
        preprocess: &mut Preprocess,
        prepared: &mut Prepared,
        image: &Image<'_>,
        output: &mut [f32],
    ) -> Result<(), Error> {
        match prepared {
            Prepared::Normalised(tensor) => {
                preprocess.apply(image, tensor)?;
                self.run(tensor, output)
            }
            Prepared::Pixels(pixels) => {
                preprocess.apply_u8(image, pixels)?;
                self.run_u8(pixels, output)
            }
        }
    }

    /// The `k` most likely classes of one image, most likely first, with the bundle's labels and temperature.
    ///
    /// Allocates nothing outside the engine while the images' size stays the same, once it has run.
    ///
    /// # Errors
    /// [`Error::NoManifest`] for a session from plain ONNX bytes, [`Error::Logit`] if the model gives a number that is
    /// not finite, and those of [`run`](Self::run).
    pub fn classify(&mut self, image: &Image<'_>, k: usize) -> Result<Predictions<'_>, Error> {
        let mut contract = self.contract.take().ok_or(Error::NoManifest {
            action: "classify an image",
        })?;
        let (preprocess, prepared) = (&mut contract.preprocess, &mut contract.prepared);
        let done = self.run_prepared(preprocess, prepared, image, &mut contract.logits);
        let contract = self.contract.insert(contract);
        done?;
        let Manifest {
            labels, temperature, ..
        } = contract.manifest.as_ref();
        contract.ranking.rank(&contract.logits, labels.len(), *temperature, k)?;
        Ok(contract.ranking.predictions(labels))
    }

    /// Runs the bundle's golden images, one by one, and compares the logits with those the compiler saw.
    ///
    /// # Errors
    /// [`Error::GoldenMismatch`] if a logit differs by more than the manifest's tolerance: the device computes something
    /// else, so the bundle must not be used on it. [`Error::NoManifest`] for a session from plain ONNX bytes, and
    /// those of [`run`](Self::run).
    pub fn self_test(&mut self) -> Result<SelfTest, Error> {
        let contract = self
            .contract
            .as_ref()
            .ok_or(Error::NoManifest { action: "test itself" })?;
        let (golden, tolerance) = (Arc::clone(&contract.golden), contract.tolerance);
        golden.compare(tolerance, |image, logits| self.run_golden(image, logits))
    }

    /// Runs an image of the golden data, which holds pixels as floats too.
    pub(crate) fn run_golden(&mut self, image: &[f32], output: &mut [f32]) -> Result<(), Error> {
        match self.interface.data_type {
            ElementType::F32 => self.run(image, output),
            ElementType::U8 => {
                let pixels: Vec<u8> = image.iter().map(|value| *value as u8).collect();
                self.run_u8(&pixels, output)
            }
        }
    }

    /// Ends the profile that the session was made with, and names its file.
    pub(crate) fn end_profile(&mut self) -> Result<String, Error> {
        self.loaded
            .inner
            .end_profiling()
            .map_err(failed_to("write its profile"))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("engine", &self.engine)
            .field("provider", &self.loaded.provider)
            .field("interface", &self.interface)
            .finish_non_exhaustive()
    }
}

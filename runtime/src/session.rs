//! A model ready to run.

use std::fmt;
use std::sync::Arc;

use ort::memory::Allocator;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions};
use ort::value::Tensor;

use crate::engine::{Engine, failed_to};
use crate::error::Error;
use crate::golden::{GoldenData, SelfTest};
use crate::image::Image;
use crate::interface::Interface;
use crate::manifest::{Batch, Manifest};
use crate::model::Model;
use crate::options::{Optimisation, Provider, SessionOptions};
use crate::preprocess::Preprocess;
use crate::top_k::{Prediction, top_k};

/// A model loaded into ONNX Runtime.
///
/// One thread at a time: that is why [`run`](Self::run) takes `&mut self`. A session can move between threads, and
/// several sessions can run at once.
pub struct Session {
    inner: ort::session::Session,
    engine: &'static Engine,
    provider: Provider,
    interface: Interface,
    tensors: Tensors,
    contract: Option<Contract>,
}

/// The tensors of a run, kept for the next run with the same batch.
struct Tensors {
    batch: usize,
    input: Tensor<f32>,
    /// Holds the output tensor, into which ONNX Runtime writes.
    options: RunOptions<HasSelectedOutputs>,
}

/// What only a bundle knows.
struct Contract {
    manifest: Arc<Manifest>,
    golden: Arc<GoldenData>,
    preprocess: Preprocess,
    /// One preprocessed image.
    tensor: Vec<f32>,
    logits: Vec<f32>,
}

impl Session {
    /// A session for plain ONNX bytes, without bundle: for a compiler that checks what it has just written.
    ///
    /// The bytes go to ONNX Runtime unchecked, whose older versions crash on malformed models: pass only bytes that
    /// you vouch for, and open a bundle for everything else. [`classify`](Self::classify),
    /// [`run_image`](Self::run_image) and [`self_test`](Self::self_test) need a bundle and fail here.
    ///
    /// # Errors
    /// Those of [`Engine::load`]; [`Error::Engine`] if ONNX Runtime refuses the model; [`Error::Interface`] if it is
    /// no image classifier (one f32 input `(N, C, H, W)`, one f32 output `(N, K)`, N 1 or dynamic, the rest fixed).
    pub fn from_onnx(bytes: &[u8], options: &SessionOptions) -> Result<Self, Error> {
        let engine = Engine::load(options.library.as_deref())?;
        let inner = build(engine, bytes, options)?;
        let interface = Interface::of(&inner)?;
        let tensors = Tensors::new(&interface, 1)?;
        Ok(Self {
            inner,
            engine,
            provider: options.provider,
            interface,
            tensors,
            contract: None,
        })
    }

    pub(crate) fn from_model(
        model: &Model,
        manifest: Arc<Manifest>,
        golden: Arc<GoldenData>,
        options: &SessionOptions,
    ) -> Result<Self, Error> {
        let mut session = Self::from_onnx(model.onnx(), options)?;
        session.interface.check_against(&manifest, model.variant())?;
        let preprocess = Preprocess::new(&manifest.input)?;
        let (tensor, logits) = (vec![0.0; preprocess.elements()], vec![0.0; manifest.output.classes]);
        session.contract = Some(Contract {
            manifest,
            golden,
            preprocess,
            tensor,
            logits,
        });
        Ok(session)
    }

    /// The ONNX Runtime in use.
    pub fn engine(&self) -> &'static Engine {
        self.engine
    }

    /// The device the session runs on.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// The model's input and output, as found in the ONNX file.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// Runs N preprocessed images.
    ///
    /// The first run with a new N allocates tensors, later ones with the same N do not; N = 1 is prepared already.
    ///
    /// # Shapes
    /// - `input`: `(N, C, H, W)` f32, normalised; N is 1 unless the batch is [`Batch::Dynamic`]
    /// - `output`: `(N, K)` f32, raw logits; N*K elements, all written
    ///
    /// # Errors
    /// [`Error::InputLength`] or [`Error::OutputLength`] for a slice that does not fit, [`Error::Engine`] if ONNX
    /// Runtime fails. `output` is unchanged then.
    pub fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), Error> {
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
            .try_extract_tensor_mut::<f32>()
            .map_err(failed_to("reach its input"))?;
        target.copy_from_slice(input);
        let inputs = ort::inputs![&self.tensors.input];
        let outputs = self
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
        let done = contract.preprocess.apply(image, &mut contract.tensor);
        let done = done.and_then(|()| self.run(&contract.tensor, output));
        self.contract = Some(contract);
        done
    }

    /// The `k` most likely classes of one image, most likely first, with the bundle's labels and temperature.
    ///
    /// # Errors
    /// [`Error::NoManifest`] for a session from plain ONNX bytes, [`Error::Logit`] if the model gives a number that is
    /// not finite, and those of [`run`](Self::run).
    pub fn classify(&mut self, image: &Image<'_>, k: usize) -> Result<Vec<Prediction<'_>>, Error> {
        let mut contract = self.contract.take().ok_or(Error::NoManifest {
            action: "classify an image",
        })?;
        let done = contract.preprocess.apply(image, &mut contract.tensor);
        let done = done.and_then(|()| self.run(&contract.tensor, &mut contract.logits));
        let contract = self.contract.insert(contract);
        done?;
        top_k(
            &contract.logits,
            &contract.manifest.labels,
            contract.manifest.temperature,
            k,
        )
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
        let (golden, tolerance) = (Arc::clone(&contract.golden), contract.manifest.golden.tolerance);
        golden.compare(tolerance, |image, logits| self.run(image, logits))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("engine", &self.engine)
            .field("provider", &self.provider)
            .field("interface", &self.interface)
            .finish_non_exhaustive()
    }
}

impl Tensors {
    fn new(interface: &Interface, batch: usize) -> Result<Self, Error> {
        let allocator = Allocator::default();
        let [channels, height, width] = interface.shape;
        let input =
            Tensor::new(&allocator, [batch, channels, height, width]).map_err(failed_to("allocate an input tensor"))?;
        let output = Tensor::<f32>::new(&allocator, [batch, interface.classes])
            .map_err(failed_to("allocate an output tensor"))?;
        let outputs = OutputSelector::default().preallocate(interface.output.as_str(), output);
        let options = RunOptions::new()
            .map_err(failed_to("make run options"))?
            .with_outputs(outputs);
        Ok(Self { batch, input, options })
    }
}

fn build(engine: &Engine, bytes: &[u8], options: &SessionOptions) -> Result<ort::session::Session, Error> {
    // Every provider has an arm, so that a new one cannot fall through to the CPU.
    match options.provider {
        Provider::Cpu => {}
    }
    let level = match options.optimisation {
        Optimisation::None => GraphOptimizationLevel::Disable,
        Optimisation::Basic => GraphOptimizationLevel::Level1,
        Optimisation::Extended => GraphOptimizationLevel::Level2,
        Optimisation::All => GraphOptimizationLevel::All,
    };
    const CONFIGURE: &str = "configure a session";
    ort::session::Session::builder(engine.environment())
        .map_err(failed_to(CONFIGURE))?
        // Failures are returned, not printed.
        .with_log_level(ort::logging::LogLevel::Fatal)
        .map_err(failed_to(CONFIGURE))?
        .with_optimization_level(level)
        .map_err(failed_to(CONFIGURE))?
        .with_intra_threads(usize::from(options.intra_op_threads))
        .map_err(failed_to(CONFIGURE))?
        .with_intra_op_spinning(options.spinning)
        .map_err(failed_to(CONFIGURE))?
        .with_inter_op_spinning(options.spinning)
        .map_err(failed_to(CONFIGURE))?
        .commit_from_memory(bytes)
        .map_err(failed_to("load the model"))
}

//! Verifies a bundle and runs it with ONNX Runtime; small enough to embed in firmware.
//!
//! A bundle is a directory that `askd-compile export` writes: `askd.json`, an ONNX file for each variant and golden
//! data. [`Model::open`] reads it and checks every byte against the manifest; only those very bytes reach ONNX Runtime.
//! The library is loaded at run time ([`Engine::load`]), since boards bring their own build of it.
//!
//! ```no_run
//! use askd_runtime::{Image, Model, PixelFormat, SessionOptions};
//!
//! fn main() -> Result<(), askd_runtime::Error> {
//!     askd_runtime::disable_telemetry(); // ONNX Runtime's own, see there
//!     let model = Model::open("student.askd")?;
//!     let mut session = model.session(&SessionOptions::default())?;
//!     session.self_test()?;
//!
//!     let frame = vec![0; 480 * 640 * 3]; // as a camera delivers it: HWC, 0..=255
//!     let image = Image::new(&frame, 480, 640, PixelFormat::Rgb8)?;
//!     for prediction in session.classify(&image, 5)? {
//!         println!("{} {:.1} %", prediction.label, 100.0 * prediction.probability);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Letters in shapes: N batch, C channels, H height, W width, K classes. Nothing here prints, logs or panics on what a
//! file or a caller brings; every failure is an [`Error`].

mod choice;
mod digest;
mod engine;
mod error;
mod files;
mod golden;
mod image;
mod interface;
mod library;
mod load;
mod manifest;
mod maps;
mod mmap;
mod model;
mod onnx;
mod options;
mod preprocess;
mod profile;
mod provider;
mod session;
mod storage;
mod telemetry;
mod text;
mod top_k;

pub use crate::choice::{CHOICE_SCHEMA, Choice};
pub use crate::digest::sha256_hex;
pub use crate::engine::Engine;
pub use crate::error::Error;
pub use crate::golden::{GOLDEN_FILE, GoldenData, SelfTest};
pub use crate::image::{Image, PixelFormat};
pub use crate::interface::Interface;
pub use crate::manifest::{
    Accuracy, Batch, ElementType, Golden, Input, Layout, MANIFEST_FILE, Manifest, Output, Resize, ResizeMethod,
    ResizeSize, SCHEMA, Variant,
};
pub use crate::model::Model;
pub use crate::onnx::{OnnxGraph, OnnxNode, OnnxVersions};
pub use crate::options::{Optimisation, SessionOptions};
pub use crate::preprocess::Preprocess;
pub use crate::profile::{NodePlacement, NodeProfile, Profile};
pub use crate::provider::{Missing, Provider};
pub use crate::session::Session;
pub use crate::telemetry::{Telemetry, disable_telemetry};
pub use crate::top_k::{Prediction, Predictions, Ranking, softmax, top_k};

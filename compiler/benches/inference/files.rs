//! What all contenders of a bundle get: the model, images as raw little-endian f32, and what they should answer.

use std::fs;
use std::path::{Path, PathBuf};

use askd_compiler::data::{DataSpec, Loader, Part};
use askd_compiler::quantize::calibration_images;
use askd_runtime::{Manifest, Model, Preprocess};
use tempfile::TempDir;

use crate::Failure;

/// Images that peers quantise with: as many as `quantize` takes.
const CALIBRATION_IMAGES: usize = 512;
/// Test images that top-1 is measured on, the first ones.
const TEST_IMAGES: usize = 1000;
const BATCH: usize = 250;

/// The files of one bundle.
pub(crate) struct Files {
    pub(crate) bundle: PathBuf,
    pub(crate) manifest: Manifest,
    /// The float variant's ONNX file.
    pub(crate) model: PathBuf,
    /// Where the other files are, and what engines make of the model; removed at the end.
    pub(crate) work: TempDir,
    /// The float variant's logits of the golden images, N x K.
    pub(crate) golden: Vec<f32>,
    /// Classes of the test images.
    pub(crate) labels: Vec<u32>,
}

impl Files {
    /// Writes the images; those that calibrate are the ones that `quantize` would take.
    pub(crate) fn new(bundle: &Path, data: &DataSpec) -> Result<Self, Failure> {
        let manifest = Model::open(bundle)?.manifest().clone();
        let float = manifest.variants.iter().find(|variant| variant.precision == "fp32");
        let float = float.ok_or_else(|| format!("{}: no variant of precision fp32", bundle.display()))?;
        let model = Model::open_variant(bundle, &float.name)?;
        let work = tempfile::tempdir()?;
        let golden = model.golden();
        write(&work.path().join("golden.f32"), golden.input())?;
        write(
            &work.path().join("image.f32"),
            &golden.input()[..manifest.input.elements()],
        )?;

        let calibration = calibration_images(bundle, data, CALIBRATION_IMAGES)?;
        write(&work.path().join("calibration.f32"), &pixels(&calibration)?.0)?;
        let test = data.load(Part::Test)?;
        let test = test.select(0..test.len().min(TEST_IMAGES));
        let (images, labels) = pixels(&Loader::plain(test, Preprocess::new(&manifest.input)?, BATCH))?;
        write(&work.path().join("test.f32"), &images)?;
        Ok(Self {
            bundle: bundle.to_owned(),
            model: bundle.join(&float.file),
            golden: golden.output().to_vec(),
            labels,
            manifest,
            work,
        })
    }

    /// Percent of the test images whose largest logit is their class's.
    pub(crate) fn top1(&self, logits: &[f32]) -> f64 {
        let rows = logits.chunks_exact(self.manifest.output.classes).zip(&self.labels);
        let best = |row: &[f32]| {
            row.iter()
                .enumerate()
                .max_by(|a, b| a.1.total_cmp(b.1))
                .map(|(class, _)| class)
        };
        let right = rows.filter(|(row, label)| best(row) == Some(**label as usize)).count();
        100.0 * right as f64 / self.labels.len() as f64
    }

    /// Largest difference to the golden logits, of the largest of these; infinite where these are none such.
    pub(crate) fn difference(&self, logits: &[f32]) -> f32 {
        if logits.len() != self.golden.len() || !logits.iter().all(|logit| logit.is_finite()) {
            return f32::INFINITY;
        }
        let largest =
            |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, |most: f32, value| most.max(value.abs()));
        let scale = largest(&mut self.golden.iter().copied());
        largest(&mut self.golden.iter().zip(logits).map(|(golden, logit)| golden - logit)) / scale
    }
}

/// All images of a loader and their classes.
fn pixels(loader: &Loader) -> Result<(Vec<f32>, Vec<u32>), Failure> {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for batch in loader.epoch(0, 0)? {
        let batch = batch?;
        images.extend(batch.images);
        labels.extend(batch.labels);
    }
    Ok((images, labels))
}

pub(crate) fn write(path: &Path, values: &[f32]) -> Result<(), Failure> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Ok(fs::write(path, bytes)?)
}

pub(crate) fn read(path: &Path) -> Result<Vec<f32>, Failure> {
    let bytes = fs::read(path)?;
    let (values, _) = bytes.as_chunks();
    Ok(values.iter().map(|value| f32::from_le_bytes(*value)).collect())
}

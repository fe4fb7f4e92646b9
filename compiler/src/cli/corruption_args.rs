//! Flags about corrupted images.

use std::path::PathBuf;

use askd_compiler::Result;
use askd_compiler::data::{Corruption, ImageSet, Severity, contact_sheet};
use askd_compiler::files::write_atomically;
use askd_compiler::robustness::Options;
use askd_runtime::Preprocess;
use clap::builder::RangedU64ValueParser;

#[derive(Debug, clap::Args)]
pub(super) struct CorruptionArgs {
    /// Accuracy on corrupted images too: by all corruptions that docs/robustness.md describes, or by some of them
    #[arg(long, value_name = "NAME,...", num_args = 0.., require_equals = true, value_delimiter = ',')]
    corrupt: Option<Vec<Corruption>>,
    /// How strong they are, 1 to 5 [default: all]
    #[arg(long, value_name = "NUMBER,...", value_delimiter = ',', requires = "corrupt")]
    severity: Vec<Severity>,
    /// Seed of what the corruptions draw
    #[arg(long, default_value_t = 0, requires = "corrupt")]
    seed: u64,
    /// Only the first so many test images of each class [default: all images]
    #[arg(long, value_name = "IMAGES", requires = "corrupt", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    images_per_class: Option<usize>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ContactSheetArgs {
    /// PNG file to write, with the first of these images under every corruption
    #[arg(long, value_name = "FILE", requires = "corrupt")]
    contact_sheet: Option<PathBuf>,
}

impl CorruptionArgs {
    /// What is done to the images, if anything.
    pub(super) fn options(&self) -> Option<Options> {
        let given = self.corrupt.as_ref()?;
        let all = Options::default();
        let or = |given: &[_], all| if given.is_empty() { all } else { given.to_vec() };
        Some(Options {
            corruptions: or(given, all.corruptions),
            severities: if self.severity.is_empty() {
                all.severities
            } else {
                self.severity.clone()
            },
            seed: self.seed,
            images_per_class: self.images_per_class,
        })
    }
}

impl ContactSheetArgs {
    /// Writes the contact sheet, if one is asked for.
    pub(super) fn write(&self, images: &ImageSet, preprocess: &Preprocess, options: &Options) -> Result<()> {
        let Some(path) = &self.contact_sheet else {
            return Ok(());
        };
        let Options {
            corruptions,
            severities,
            seed,
            ..
        } = options;
        write_atomically(
            path,
            &contact_sheet(&options.chosen(images), preprocess, corruptions, severities, *seed)?,
        )
    }
}

//! Flags about data sets of image files, for commands that take a checkpoint or a bundle as it is.

use askd_compiler::data::{CorruptFiles, DataKind};
use askd_compiler::train::Recipe;
use askd_compiler::{Error, Result};

#[derive(Debug, clap::Args)]
pub(super) struct ImageFileArgs {
    /// Side of the square that image files are cut to, in pixels, for --model [default: the one the network was published for]
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// What becomes of image files that cannot be decoded: refuse, or skip, which names and counts them [default: a run's
    /// own, else refuse]
    #[arg(long, value_name = "refuse|skip")]
    corrupt_files: Option<CorruptFiles>,
}

impl ImageFileArgs {
    /// What becomes of files that cannot be decoded, where the flag does not say it `otherwise`.
    pub(super) fn corrupt_files(&self, otherwise: CorruptFiles) -> CorruptFiles {
        self.corrupt_files.unwrap_or(otherwise)
    }

    /// The recipe of a checkpoint, with these flags laid over it.
    pub(super) fn apply(&self, mut recipe: Recipe) -> Result<Recipe> {
        if recipe.data.kind != DataKind::Folder {
            self.without_size("images of one size have their own")?;
        }
        recipe.input = self.size.map_or(recipe.input, square);
        recipe.corrupt_files = self.corrupt_files(recipe.corrupt_files);
        Ok(recipe)
    }

    /// Refuses a size where there is nothing to choose, and says why.
    pub(super) fn without_size(&self, why: &str) -> Result<()> {
        self.size.map_or(Ok(()), |size| {
            Err(Error::invalid("--size", format!("none: {why}"), size))
        })
    }

    /// Refuses both where a run's recipe says them.
    pub(super) fn of_run(&self) -> Result<()> {
        let why = "a run directory has its own";
        self.without_size(why)?;
        match self.corrupt_files {
            Some(_) => Err(Error::invalid("--corrupt-files", format!("none: {why}"), "one")),
            None => Ok(()),
        }
    }
}

/// RGB input of that side.
pub(super) fn square(side: usize) -> [usize; 3] {
    [3, side, side]
}

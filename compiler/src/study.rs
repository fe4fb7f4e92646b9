//! A comparison of methods that others can repeat: runs with what they share and what tells them apart, each over seeds.
//!
//! A study is one TOML file. It ends with a table of means and standard deviations, and goes on where it was stopped.

mod report;

use std::path::{Path, PathBuf};
use std::time::Duration;

use candle_core::Device;
use serde::Deserialize;
use toml::Table;

use crate::train::{
    Layers, Origin, RECIPE_FILE, RESULT_FILE, Recipe, RunOptions, RunResult, Setting, epoch_records, train,
};
use crate::{Error, Result, files};

pub use report::{Curves, Row, StudyReport};

/// File names of the report in a study's output directory.
pub const REPORT_FILE: &str = "study.json";

/// The same as Markdown.
pub const TABLE_FILE: &str = "study.md";

/// A study's file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Study {
    /// What the report is headed with.
    title: String,
    /// Seeds 0 and up that each run has.
    seeds: u64,
    /// What all runs share: a recipe, or a part of one.
    recipe: Table,
    /// The runs, in the order of the table.
    run: Vec<Run>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    /// Its name in the table and its directory.
    name: String,
    /// Its own number of seeds.
    seeds: Option<u64>,
    /// What it has beyond the shared recipe.
    #[serde(default)]
    recipe: Table,
}

/// What a study needs beyond its file.
#[derive(Debug)]
pub struct StudyOptions {
    /// Output directory; a run is in `OUT/NAME/seed-S`.
    pub out: PathBuf,
    /// Settings laid over every run's recipe.
    pub settings: Vec<Setting>,
    /// Where tensors live.
    pub device: Device,
    /// How often a run is checkpointed.
    pub checkpoint_interval: Duration,
}

/// Trains all runs of a study that are not finished, and writes [`REPORT_FILE`] and [`TABLE_FILE`].
///
/// # Errors
/// [`Error::Malformed`] for a file that is no study, [`Error::StudyInterrupted`] when stopped, and what recipes and training give;
/// before the first step every run's recipe is checked, and that no run of another recipe has its directory.
pub fn study(file: &Path, options: &StudyOptions) -> Result<StudyReport> {
    let study = read(file)?;
    let mut planned = Vec::new();
    for run in &study.run {
        let mut earlier = None;
        for seed in 0..run.seeds.unwrap_or(study.seeds) {
            let out = options.out.join(&run.name).join(format!("seed-{seed}"));
            // what was measured for one seed, or before an interruption, is not measured again
            earlier = earlier.or_else(|| Recipe::load(&out).ok());
            let recipe = layers(file, &study, run, seed, options)?.resolve_after(earlier.as_ref())?;
            earlier = Some(recipe.clone());
            refuse_another(&out, &recipe)?;
            planned.push((run, seed, recipe, out));
        }
    }
    files::create_dir(&options.out)?;
    let mut report = StudyReport::new(&study.title);
    for (number, (run, seed, recipe, out)) in planned.iter().enumerate() {
        let label = format!("{}/{} {} seed {seed}", number + 1, planned.len(), run.name);
        let result = match finished(out)? {
            Some(result) => result,
            None => train(
                recipe,
                &RunOptions {
                    out: out.clone(),
                    resume: true,
                    device: options.device.clone(),
                    checkpoint_interval: options.checkpoint_interval,
                    label,
                },
            )
            .map_err(|error| resumable(error, options))?,
        };
        report.add(&run.name, &result, &epoch_records(out)?);
        // after each run, so that what there is can be read
        files::write_json(&options.out.join(REPORT_FILE), &report)?;
        files::write_atomically(&options.out.join(TABLE_FILE), report.to_string().as_bytes())?;
    }
    Ok(report)
}

fn read(file: &Path) -> Result<Study> {
    let text = std::fs::read_to_string(file).map_err(Error::io(file))?;
    let study: Study =
        toml::from_str(&text).map_err(|error| Error::malformed(file, "a study", error.message().replace('\n', " ")))?;
    let mut names: Vec<&str> = study.run.iter().map(|run| run.name.as_str()).collect();
    names.sort_unstable();
    let plain = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c));
    if names.is_empty() || names.iter().any(|name| name.is_empty() || !plain(name)) {
        let expected = "runs whose names are letters, digits and -_.+";
        return Err(Error::malformed(file, expected, format!("{names:?}")));
    }
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::malformed(
            file,
            "runs of different names",
            format!("two \"{}\"", pair[0]),
        ));
    }
    Ok(study)
}

/// What makes the recipe of one run: defaults, what all share, what is its own, its seed, then the settings of the options.
fn layers(file: &Path, study: &Study, run: &Run, seed: u64, options: &StudyOptions) -> Result<Layers> {
    let mut layers = Layers::training()?;
    let origin = Origin::File(format!("{}: run {}", file.display(), run.name));
    for table in [&study.recipe, &run.recipe] {
        let settings = table
            .iter()
            .map(|(key, value)| Setting::new(origin.clone(), key, value.clone()));
        layers.settings(settings.collect())?;
    }
    layers.settings(vec![Setting::new(origin, "seed", seed as i64)])?;
    layers.settings(options.settings.clone())?;
    Ok(layers)
}

/// Refuses a directory in which a run of another recipe is: its work is not this study's to throw away.
fn refuse_another(out: &Path, recipe: &Recipe) -> Result<()> {
    if !out.join(RECIPE_FILE).exists() {
        return Ok(());
    }
    let stored = Recipe::load(out)?;
    if stored == *recipe {
        return Ok(());
    }
    let expected = format!(
        "a directory without runs of other recipes (name another, or remove {})",
        out.display()
    );
    Err(Error::invalid("--out", expected, recipe.difference_from(&stored)?))
}

/// The result of a run that has come to its end.
fn finished(out: &Path) -> Result<Option<RunResult>> {
    let path = out.join(RESULT_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
    let result = serde_json::from_str(&text);
    result
        .map(Some)
        .map_err(|error| Error::malformed(&path, "a run's result", error.to_string()))
}

/// An interruption is one of the study, which goes on by itself when called again.
fn resumable(error: Error, options: &StudyOptions) -> Error {
    match error {
        Error::Interrupted { .. } => Error::StudyInterrupted {
            out: options.out.clone(),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<Study> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("study.toml");
        std::fs::write(&file, text).unwrap();
        read(&file)
    }

    #[test]
    fn what_is_no_study_is_refused_by_name() {
        let head = "title = \"t\"\nseeds = 1\nrecipe = {}\n";
        for (text, message) in [
            (format!("{head}run = []\n"), "letters, digits"),
            (format!("{head}[[run]]\nname = \"a/b\"\n"), "a/b"),
            (
                format!("{head}[[run]]\nname = \"a\"\n[[run]]\nname = \"a\"\n"),
                "two \"a\"",
            ),
            (format!("{head}[[run]]\nname = \"a\"\nsed = 1\n"), "unknown field `sed`"),
            ("seeds = 1".to_owned(), "missing field"),
        ] {
            let error = written(&text).unwrap_err().to_string();
            assert!(error.contains(message) && !error.contains('\n'), "{error}");
        }
        assert_eq!(written(&format!("{head}[[run]]\nname = \"a\"\n")).unwrap().run.len(), 1);
    }
}

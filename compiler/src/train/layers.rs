//! How a recipe comes about: defaults, then a recipe file, then flags; each layer says only what it changes.

mod keys;
mod path;
mod setting;

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use self::keys::{Choices, KnownKeys};
use self::path::{at, insert, remove, text_at};
use super::Recipe;
use super::recipe::published_input;
use crate::data::{DataSpec, Part};
use crate::distill::Teacher;
use crate::{Error, Result};

pub use setting::{Origin, Setting};

const DATA: &str = "data";
const DECAY_KIND: &str = "schedule.decay.kind";
const DISTILLATION: &str = "distillation";
const METHOD: &str = "distillation.method";
const METHOD_NAME: &str = "distillation.method.name";
const METHOD_MODE: &str = "distillation.method.mode";
const FACTOR: &str = "distillation.method.factor";
const MAX_OVERHEAD: &str = "distillation.method.max_overhead";
const PEER: &str = "distillation.method.peer";
const TEACHERS: &str = "distillation.teachers";

/// The method that is no distillation.
const ALONE: &str = "alone";

/// The method where a recipe distils and does not say how.
const DEFAULT_METHOD: &str = "atsc";

/// A recipe in the making.
///
/// A layer that names another method, another mode of ATSC or another decay of the rate than the layers below starts from that
/// one's defaults: the settings of the former are dropped. Of the projector's factor and the budget that chooses it, the upper
/// layer's counts.
#[derive(Debug, Clone)]
pub struct Layers {
    table: Table,
    /// Who set a key last; what has its default is not in it.
    origins: BTreeMap<String, Origin>,
}

impl Layers {
    /// The defaults of training on labels.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a default had no TOML form; none has.
    pub fn training() -> Result<Self> {
        Ok(Self {
            table: KnownKeys::of(&Choices::of(&Table::new()))?.defaults(),
            origins: BTreeMap::new(),
        })
    }

    /// The defaults of distillation: those of training, and of the method `atsc`.
    ///
    /// # Errors
    /// As [`Self::training`].
    pub fn distillation() -> Result<Self> {
        let mut layers = Self::training()?;
        layers.choose(METHOD_NAME, DEFAULT_METHOD)?;
        Ok(layers)
    }

    /// Lays a recipe file over what there is. Paths in it are relative to the working directory, as on the command line.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`] if it is no TOML, and those of [`Self::settings`].
    pub fn file(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        self.text(&path.display().to_string(), &text)
    }

    /// Lays a recipe file's text over what there is; messages call it `name`.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub fn text(&mut self, name: &str, text: &str) -> Result<()> {
        let table: Table = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = 1 + before.matches('\n').count();
            Error::malformed(name, "TOML", format!("in line {line}: {}", error.message()))
        })?;
        let origin = Origin::File(name.to_owned());
        let settings = table
            .into_iter()
            .map(|(key, value)| Setting::new(origin.clone(), key, value));
        self.settings(settings.collect())
    }

    /// Lays settings over what there is, in their order.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] with the nearest key; [`Error::InvalidValue`], with the key or the flag that stands for it, for a
    /// value that the key does not take.
    pub fn settings(&mut self, settings: Vec<Setting>) -> Result<()> {
        let mut leaves: Vec<_> = settings.into_iter().flat_map(Setting::leaves).collect();
        let distils = |leaf: &Setting| leaf.key.split('.').next() == Some(DISTILLATION);
        if chosen(&leaves, METHOD_NAME)? == Some(ALONE) {
            let strange = leaves
                .iter()
                .find(|leaf| leaf.key != METHOD_NAME && leaf.key.starts_with(METHOD));
            if let Some(leaf) = strange {
                return Err(leaf.invalid("no setting of a method with method alone"));
            }
            leaves.retain(|leaf| !distils(leaf));
            self.forget(DISTILLATION);
        } else if leaves.iter().any(distils) && text_at(&self.table, METHOD_NAME).is_none() {
            self.choose(METHOD_NAME, DEFAULT_METHOD)?;
        }
        // these decide which other keys there are
        for key in [METHOD_NAME, METHOD_MODE, DECAY_KIND] {
            if let Some(choice) = chosen(&leaves, key)? {
                self.choose(key, choice)?;
            }
        }
        let of = |key: &str| leaves.iter().find(|leaf| leaf.key == key);
        match (of(FACTOR), of(MAX_OVERHEAD)) {
            (Some(_), Some(budget)) => return Err(budget.invalid("no factor beside it: it chooses one")),
            (Some(_), None) => self.forget(MAX_OVERHEAD),
            _ => {}
        }
        // other weights have another digest
        for leaf in leaves.iter().filter(|leaf| leaf.key.starts_with(TEACHERS)) {
            if let Some(teacher) = leaf.key.strip_suffix(".weights") {
                remove(&mut self.table, &format!("{teacher}.digest"));
            }
        }
        let known = KnownKeys::of(&Choices::of(&self.table))?;
        for leaf in leaves {
            known.check(&leaf)?;
            if !insert(&mut self.table, &leaf.key, leaf.value.clone()) {
                return Err(leaf.invalid("the teacher after the last one at most"));
            }
            self.origins.insert(leaf.key, leaf.origin);
        }
        Ok(())
    }

    /// Networks and weights of the teachers so far.
    pub fn teachers(&self) -> (Vec<String>, Vec<String>) {
        let teachers = at(&self.table, TEACHERS).and_then(Value::as_array);
        let texts = |key: &str| {
            let teachers = teachers.into_iter().flatten();
            let values = teachers.filter_map(|teacher| teacher.get(key)?.as_str());
            values.map(str::to_owned).collect()
        };
        (texts("network"), texts("weights"))
    }

    /// The whole recipe: what is not said is taken from the data set, the teachers' files and the student.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for a value out of range, with whoever set it, and for a recipe without network, data or
    /// teacher; [`Error::Io`] and [`Error::Malformed`] for the files.
    pub fn resolve(self) -> Result<Recipe> {
        self.resolve_after(None)
    }

    /// As [`Self::resolve`], for a run that goes on, or that is another seed of one: where a latency chooses the projector's
    /// factor, that of the earlier recipe is taken if nothing else but the seed differs.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn resolve_after(mut self, earlier: Option<&Recipe>) -> Result<Recipe> {
        self.fill_from_data()?;
        self.fill_digests()?;
        if text_at(&self.table, "network").is_none() {
            return Err(Error::invalid(
                "network",
                "a registered network, by flag or in a recipe",
                "none",
            ));
        }
        if text_at(&self.table, METHOD_NAME) == Some("dml") && at(&self.table, PEER).is_none() {
            let own = self.table["network"].clone();
            self.fill(PEER, own);
        }
        let mut recipe: Recipe = self
            .table
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| Error::invalid("recipe", "every key", error.message()))?;
        let settled = recipe.settle_factor(earlier).and_then(|()| recipe.check());
        settled.map_err(|error| self.attributed(error))?;
        Ok(recipe)
    }

    /// Takes over a choice; another one than before brings the defaults of all that it decides.
    fn choose(&mut self, key: &str, choice: &str) -> Result<()> {
        if text_at(&self.table, key) == Some(choice) {
            return Ok(());
        }
        let mut choices = Choices::of(&self.table);
        let decided = match key {
            DECAY_KIND => {
                choices.decay = choice;
                "schedule.decay"
            }
            METHOD_NAME => {
                let decided = choices.method.map_or(DISTILLATION, |_| METHOD);
                (choices.method, choices.mode) = (Some(choice), None);
                decided
            }
            _ => {
                choices.mode = Some(choice);
                METHOD
            }
        };
        let defaults = KnownKeys::of(&choices)?.defaults();
        self.forget(decided);
        if let Some(value) = at(&defaults, decided) {
            self.fill(decided, value.clone());
        }
        Ok(())
    }

    /// Removes a key and all below it.
    fn forget(&mut self, key: &str) {
        remove(&mut self.table, key);
        let below = format!("{key}.");
        self.origins
            .retain(|other, _| other != key && !other.starts_with(&below));
    }

    /// Sets a key on nobody's behalf.
    fn fill(&mut self, key: &str, value: impl Into<Value>) {
        insert(&mut self.table, key, value.into());
    }

    /// Input, classes, mean and standard deviation are the data set's where no layer says them.
    fn fill_from_data(&mut self) -> Result<()> {
        let missing = || Error::invalid(DATA, "a data set, by --data or in a recipe", "none");
        let data: DataSpec = text_at(&self.table, DATA).ok_or_else(missing)?.parse()?;
        if ["input", "classes"].iter().any(|key| at(&self.table, key).is_none()) {
            let images = data.load(Part::Test)?;
            let network = text_at(&self.table, "network").unwrap_or_default();
            let input = images.shape.unwrap_or_else(|| published_input(network));
            let input = input.map(|dim| Value::Integer(dim as i64));
            self.fill_missing("input", input.to_vec());
            self.fill_missing("classes", images.classes.len() as i64);
        }
        self.fill_missing("mean", data.kind.mean());
        self.fill_missing("std", data.kind.std());
        Ok(())
    }

    fn fill_missing(&mut self, key: &str, value: impl Into<Value>) {
        if at(&self.table, key).is_none() {
            self.fill(key, value);
        }
    }

    /// A teacher's digest is its file's as it is now, where no layer says one.
    fn fill_digests(&mut self) -> Result<()> {
        let count = at(&self.table, TEACHERS).and_then(Value::as_array).map_or(0, Vec::len);
        for teacher in (0..count).map(|index| format!("{TEACHERS}.{index}")) {
            let text = |key: &str, flag: &str| {
                let key = format!("{teacher}.{key}");
                let expected = format!("a teacher's, by {flag} or in a recipe");
                let text = text_at(&self.table, &key).map(str::to_owned);
                text.ok_or_else(|| Error::invalid(key, expected, "none"))
            };
            let network = text("network", "--teacher")?;
            let weights = text("weights", "--teacher-weights")?;
            let digest = format!("{teacher}.digest");
            if at(&self.table, &digest).is_none() {
                self.fill(&digest, Teacher::new(&network, Path::new(&weights))?.digest);
            }
        }
        Ok(())
    }

    /// Names whoever set the value that an error is about.
    fn attributed(&self, error: Error) -> Error {
        match error {
            Error::InvalidValue { name, expected, got } => Error::InvalidValue {
                name: self
                    .origins
                    .get(&name)
                    .map_or(name.clone(), |origin| origin.names(&name)),
                expected,
                got,
            },
            error => error,
        }
    }
}

/// The choice that a layer makes by this key.
fn chosen<'a>(leaves: &'a [Setting], key: &str) -> Result<Option<&'a str>> {
    let Some(leaf) = leaves.iter().rev().find(|leaf| leaf.key == key) else {
        return Ok(None);
    };
    let choices = keys::choices(key);
    let choice = leaf.value.as_str().filter(|choice| choices.contains(choice));
    let wrong = || leaf.invalid(&format!("one of {}", choices.join(", ")));
    choice.map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests;

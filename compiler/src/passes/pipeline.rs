//! Which passes run.

use std::str::FromStr;

use askd_models::Graph;

use super::{PASSES, Pass};
use crate::weights::Weights;
use crate::{Error, Result};

/// Passes to run, in the order of [`PASSES`].
///
/// As text: `all`, or `all,-NAME,-NAME` for all without some.
#[derive(Debug, Clone)]
pub struct Pipeline(Vec<&'static Pass>);

impl Pipeline {
    /// All of [`PASSES`].
    pub fn all() -> Self {
        Self(PASSES.iter().collect())
    }

    /// All passes but these.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] naming `origin`, the flag or field that the names come from, for a name that no pass has, with
    /// the nearest, and for a pass that cannot be skipped, with the reason.
    pub fn without<'a>(origin: &str, names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut kept = Self::all();
        for name in names {
            let pass = find(origin, name)?;
            if let Some(reason) = pass.required {
                return Err(Error::invalid(
                    origin,
                    format!("{name} to be kept ({reason})"),
                    format!("-{name}"),
                ));
            }
            kept.0.retain(|other| other.name != name);
        }
        Ok(kept)
    }

    /// Exactly these passes, as a bundle's provenance lists them; they run in the order of [`PASSES`].
    ///
    /// # Errors
    /// [`Error::InvalidValue`] naming `origin` for a name that no pass has, with the nearest.
    pub fn named<'a>(origin: &str, names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let wanted = names.into_iter().map(|name| Ok(find(origin, name)?.name));
        let wanted = wanted.collect::<Result<Vec<_>>>()?;
        Ok(Self(PASSES.iter().filter(|pass| wanted.contains(&pass.name)).collect()))
    }

    /// The passes' names, in the order in which they run.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|pass| pass.name).collect()
    }

    /// Runs the passes one after the other.
    ///
    /// # Errors
    /// That of the first pass that fails; `weights` then fit the graph that pass was given, so use neither.
    pub fn run(&self, graph: &Graph, weights: &mut Weights) -> Result<Graph> {
        self.0
            .iter()
            .try_fold(graph.clone(), |graph, pass| (pass.run)(&graph, weights))
    }
}

impl FromStr for Pipeline {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::invalid("passes", "all, or all,-NAME for all but some", text);
        let mut words = text.split(',').map(str::trim);
        if words.next() != Some("all") {
            return Err(invalid());
        }
        let skipped = words.map(|word| word.strip_prefix('-').ok_or_else(invalid));
        Self::without("passes", skipped.collect::<Result<Vec<_>>>()?)
    }
}

fn find(origin: &str, name: &str) -> Result<&'static Pass> {
    if let Some(pass) = PASSES.iter().find(|pass| pass.name == name) {
        return Ok(pass);
    }
    let closeness = |pass: &&Pass| (strsim::jaro_winkler(pass.name, name) * 1e6) as u64;
    let nearest = PASSES.iter().max_by_key(closeness).map_or("", |pass| pass.name);
    let expected = format!("the name of a pass (did you mean \"{nearest}\"?)");
    Err(Error::invalid(origin, expected, format!("\"{}\"", name.escape_debug())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_without_some_is_what_is_left_in_order() {
        let all = Pipeline::all().names();
        assert_eq!("all".parse::<Pipeline>().unwrap().names(), all);
        for skipped in PASSES.iter().filter(|pass| pass.required.is_none()) {
            let left = format!("all,-{}", skipped.name).parse::<Pipeline>().unwrap().names();
            assert_eq!(left.len() + 1, all.len());
            assert!(!left.contains(&skipped.name));
            // what a bundle records of it gives the same passes again, whatever their order there
            let again = Pipeline::named("provenance.passes", left.iter().rev().copied()).unwrap();
            assert_eq!(again.names(), left);
        }
    }

    #[test]
    fn what_cannot_be_skipped_and_unknown_names_are_errors() {
        let refused = |text: &str| text.parse::<Pipeline>().unwrap_err().to_string();
        assert_eq!(
            refused("all,-fold-batchnorm"),
            "passes: expected the name of a pass (did you mean \"fold-batch-norm\"?), got \"fold-batchnorm\""
        );
        assert_eq!(
            refused("all,-eliminate-dead"),
            "passes: expected eliminate-dead to be kept (a model holds nothing else, and its costs are counted on this \
             graph), got -eliminate-dead"
        );
        for text in ["", "none", "all,fold-batch-norm", "-fold-batch-norm", "all,"] {
            assert!(refused(text).contains("expected all, or all,-NAME"), "{text}");
        }
        let error = Pipeline::named("provenance.passes", ["merge-classifier"]).unwrap_err();
        assert!(error.to_string().starts_with("provenance.passes: expected"), "{error}");
    }
}

//! In what the recipes differ.

use std::collections::BTreeMap;

use serde::Serialize;
use toml::Value;

use super::ModelReport;
use crate::train::Recipe;

/// A key that not all recipes have with the same value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The key with its tables, as `schedule.learning_rate`.
    pub key: String,
    /// Its value for each model of the report, as TOML; none where it is not there or the recipe is not known.
    pub values: Vec<Option<String>>,
}

/// The keys in which the first seeds' recipes differ, those of the models that have one; but for the teachers' files, which
/// are no settings.
pub(super) fn of(models: &[ModelReport]) -> Vec<Difference> {
    let recipes = models.iter().map(|model| model.measured.first()?.recipe.as_ref());
    let keys: Vec<Option<BTreeMap<String, String>>> = recipes.map(|recipe| recipe.map(keys)).collect();
    let all: BTreeMap<&String, ()> = keys.iter().flatten().flatten().map(|(key, _)| (key, ())).collect();
    let is_file = |key: &str| {
        let name = key.rsplit('.').next().unwrap_or_default();
        key.starts_with("distillation.teachers.") && ["weights", "digest"].contains(&name)
    };
    let settings = all.into_keys().filter(|key| !is_file(key));
    let rows = settings.filter_map(|key| {
        let known: Vec<_> = keys.iter().flatten().map(|keys| keys.get(key)).collect();
        known.windows(2).any(|pair| pair[0] != pair[1]).then(|| Difference {
            key: key.clone(),
            values: keys.iter().map(|keys| keys.as_ref()?.get(key).cloned()).collect(),
        })
    });
    rows.collect()
}

/// Every key of a recipe with its value.
fn keys(recipe: &Recipe) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    if let Ok(table) = Value::try_from(recipe) {
        add("", &table, &mut keys);
    }
    keys
}

fn add(path: &str, value: &Value, keys: &mut BTreeMap<String, String>) {
    let below = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    match value {
        Value::Table(table) => table.iter().for_each(|(key, value)| add(&below(key), value, keys)),
        Value::Array(items) if items.iter().any(Value::is_table) => {
            let items = items.iter().enumerate();
            items.for_each(|(place, value)| add(&below(&place.to_string()), value, keys));
        }
        value => {
            keys.insert(path.to_owned(), value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distill::{Distillation, Dml, Method, Teacher, Weighting};
    use crate::report::page::tests::model;

    #[test]
    fn only_what_differs_is_told() {
        let with_rate = |rate: f64| {
            let mut model = model("m");
            model.measured[0].recipe.as_mut().unwrap().schedule.learning_rate = rate;
            model
        };
        let mut unknown = model("u");
        unknown.measured[0].recipe = None;
        let differences = of(&[with_rate(0.1), unknown, with_rate(0.2)]);
        assert_eq!(
            differences,
            [Difference {
                key: "schedule.learning_rate".to_owned(),
                values: vec![Some("0.1".to_owned()), None, Some("0.2".to_owned())],
            }]
        );
        assert_eq!(of(&[with_rate(0.1), with_rate(0.1)]), []);
    }

    #[test]
    fn a_teachers_file_is_no_setting() {
        let with_teacher = |network: &str| {
            let mut model = model("m");
            let recipe = model.measured[0].recipe.as_mut().unwrap();
            recipe.distillation = Some(Distillation {
                method: Method::Dml(Dml::default()),
                weighting: Weighting::Uniform,
                teachers: vec![Teacher {
                    network: network.to_owned(),
                    weights: network.into(),
                    digest: network.to_owned(),
                }],
            });
            model
        };
        let differences = of(&[with_teacher("resnet20"), with_teacher("resnet56")]);
        let keys: Vec<_> = differences.iter().map(|difference| difference.key.as_str()).collect();
        assert_eq!(keys, ["distillation.teachers.0.network"]);
    }
}

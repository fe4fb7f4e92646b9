//! Foreign checkpoints: PyTorch state dicts in safetensors or `.pth` files.

use std::path::Path;

use askd_models::{Graph, LOGITS, Op};

use super::{Weights, check, load_safetensors, pytorch};
use crate::{Error, Result};

/// Heads' usual names, any of which stands for the network's own.
const HEADS: [&str; 5] = ["fc", "linear", "classifier", "classifier.0", "head"];

/// Name of the linear layer that gives the graph's logits, if one does, and the other names a checkpoint may use for it.
pub fn head_aliases(graph: &Graph) -> Option<(&str, Vec<&'static str>)> {
    let head = graph.output(LOGITS).ok()?;
    if !matches!(head.op, Op::Linear { .. }) {
        return None;
    }
    Some((
        &head.name,
        HEADS.into_iter().filter(|name| *name != head.name).collect(),
    ))
}

/// Reads a checkpoint for `graph` from a safetensors or `.pth` file.
///
/// A `module.` prefix (PyTorch's `DataParallel`) is dropped, the head may have any of its usual names, and batch counters
/// (`num_batches_tracked`) are ignored.
///
/// # Errors
/// [`Error::WeightsMismatch`] listing all that does not fit, [`Error::Io`], [`Error::Malformed`].
pub fn import(graph: &Graph, path: impl AsRef<Path>) -> Result<Weights> {
    let path = path.as_ref();
    let raw = match path.extension().and_then(|extension| extension.to_str()) {
        Some("pth" | "pt") => pytorch::load(path)?,
        Some("safetensors") => load_safetensors(path)?,
        other => {
            let got = other.map_or("no extension".to_owned(), |other| format!(".{other}"));
            return Err(Error::malformed(path, "a .safetensors or .pth checkpoint", got));
        }
    };
    let head = head_aliases(graph);
    let own_name = |name: &str| {
        let name = name.strip_prefix("module.").unwrap_or(name);
        if let (Some((own, aliases)), Some((layer, suffix))) = (&head, name.rsplit_once('.'))
            && aliases.contains(&layer)
        {
            return format!("{own}.{suffix}");
        }
        name.to_owned()
    };
    let kept = raw
        .into_iter()
        .filter(|(name, _)| !name.ends_with("num_batches_tracked"));
    let weights: Weights = kept.map(|(name, tensor)| (own_name(&name), tensor)).collect();
    check(graph, &weights, &path.display().to_string())?;
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use askd_models::{DistilledOptions, NetworkConfig, build, distilled_student};

    use super::*;
    use crate::nn::initialise;
    use crate::weights::save_safetensors;

    /// Classifiers named `classifier.0` and `classifier.1`, and an own head behind the shared one: none is renamed.
    #[test]
    fn the_classifiers_of_a_distilled_student_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("own.safetensors");
        let config = NetworkConfig::new([1, 28, 28], 3);
        let [student, first, second] =
            ["mobilenetv2_0.5", "resnet20", "vgg8"].map(|name| build(name, &config).unwrap());
        let options = DistilledOptions {
            own_head: true,
            ..DistilledOptions::default()
        };
        for teachers in [&[&first][..], &[&first, &second]] {
            let graph = distilled_student(&student, teachers, &options).unwrap();
            let weights = initialise(&graph, 1);
            save_safetensors(&path, &weights, None).unwrap();
            assert_eq!(import(&graph, &path).unwrap(), weights, "{}", graph.name());
        }
    }

    #[test]
    fn every_usual_name_of_a_head_is_that_of_the_network() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("foreign.safetensors");
        let own = [
            ("resnet8x4", "fc"),
            ("resnet8", "linear"),
            ("vgg8", "classifier"),
            ("mobilenetv2_0.5", "classifier.0"),
        ];
        for (network, head) in own {
            let graph = build(network, &NetworkConfig::new([1, 28, 28], 3)).unwrap();
            let weights = initialise(&graph, 1);
            assert_eq!(head_aliases(&graph).unwrap().0, head);
            for foreign in HEADS {
                let renamed = weights.iter().map(|(name, tensor)| {
                    let name = match name.strip_prefix(&format!("{head}.")) {
                        Some(suffix) => format!("module.{foreign}.{suffix}"),
                        None => format!("module.{name}"),
                    };
                    (name, tensor.clone())
                });
                save_safetensors(&path, &renamed.collect(), None).unwrap();
                assert_eq!(import(&graph, &path).unwrap(), weights, "{network} {foreign}");
            }
        }
    }
}

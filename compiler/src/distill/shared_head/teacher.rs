//! One teacher: its network, whose classifier the student shares, and what moves it.

use std::collections::BTreeMap;

use askd_models::{Graph, LOGITS, Op, TeacherNames};
use candle_core::{Tensor, Var};

use super::SharedHeadSettings;
use crate::nn::{Network, Sgd, SgdConfig, ops};
use crate::train::{State, StepTimes, Stopwatch, group};
use crate::{Error, Result};

/// A classifier's tensors.
pub(in crate::distill) const HEAD_TENSORS: [&str; 2] = ["weight", "bias"];

/// A teacher and its two optimisers.
#[derive(Debug)]
pub(super) struct Teaching {
    pub(super) network: Network,
    /// What is its own in the student's graph.
    pub(super) names: TeacherNames,
    pub(super) encoder_optimizer: Sgd,
    classifier_optimizer: Sgd,
    /// Weight `(K, C_T)` and bias `(K)` of the shared classifier.
    pub(super) classifier: [Var; 2],
}

impl Teaching {
    /// Makes the student's classifier for this teacher the teacher's own.
    pub(super) fn couple(
        network: Network,
        names: TeacherNames,
        student: &mut Network,
        settings: &SharedHeadSettings,
        optimizer: SgdConfig,
    ) -> Result<Self> {
        let head = head_of(network.graph())?;
        let classifier = HEAD_TENSORS.map(|tensor| network.trained()[&format!("{head}.{tensor}")].clone());
        for (tensor, var) in HEAD_TENSORS.into_iter().zip(&classifier) {
            student.share(&format!("{}.{tensor}", names.classifier), var)?;
        }
        let encoder = trained_where(&network, |name| !is_of(name, &head));
        // the anchor is there instead of weight decay
        let held = SgdConfig {
            weight_decay: 0.0,
            ..optimizer
        };
        let shared = HEAD_TENSORS.map(str::to_owned).into_iter().zip(classifier.clone());
        Ok(Self {
            encoder_optimizer: Sgd::new(held, encoder).anchored(settings.anchor_weight)?,
            classifier_optimizer: Sgd::new(optimizer, shared.collect()),
            network,
            names,
            classifier,
        })
    }

    /// Whether a tensor of the student is the shared classifier's.
    pub(super) fn is_shared(&self, name: &str) -> bool {
        is_of(name, &self.names.classifier)
    }

    /// The classifier step on the features of the encoder step, detached.
    pub(super) fn move_classifier(
        &mut self,
        features: &Tensor,
        labels: &Tensor,
        rate: f64,
        step: usize,
        times: &mut StepTimes,
    ) -> Result<()> {
        let mut watch = Stopwatch::start();
        let [weight, bias] = &self.classifier;
        let pooled = ops::global_average_pool(&features.detach())?;
        let loss = ops::cross_entropy(&ops::linear(&pooled, weight.as_tensor(), bias.as_tensor())?, labels)?;
        watch.lap(&mut times.forward);
        let gradients = loss.backward()?;
        watch.lap(&mut times.backward);
        self.classifier_optimizer.step(&gradients, rate, step)?;
        watch.lap(&mut times.optimizer);
        Ok(())
    }

    /// Adds teacher number `m` to a state.
    pub(super) fn store(&self, m: usize, state: &mut State) -> Result<()> {
        let [network, encoder, classifier] = group_names(m);
        state.insert(network, self.network.weights()?);
        state.insert(encoder, self.encoder_optimizer.state()?);
        state.insert(classifier, self.classifier_optimizer.state()?);
        Ok(())
    }

    /// Takes teacher number `m` from a state.
    pub(super) fn restore(&mut self, m: usize, state: &State) -> Result<()> {
        let none = Default::default();
        let [network, encoder, classifier] = group_names(m);
        self.network.set_weights(group(state, &network)?)?;
        self.encoder_optimizer
            .restore(group(state, &encoder).unwrap_or(&none))?;
        self.classifier_optimizer
            .restore(group(state, &classifier).unwrap_or(&none))
    }
}

fn group_names(m: usize) -> [String; 3] {
    ["", "_momentum", "_classifier_momentum"].map(|what| format!("teacher{m}{what}"))
}

/// A network's trained tensors whose names are wanted.
pub(in crate::distill) fn trained_where(network: &Network, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, Var> {
    let trained = network.trained().iter().filter(|(name, _)| wanted(name));
    trained.map(|(name, var)| (name.clone(), var.clone())).collect()
}

/// Weight `(K, C)` and bias `(K)` of a teacher's classifier, as constants.
///
/// # Errors
/// As [`head_of`].
pub(in crate::distill) fn head_tensors(teacher: &Network) -> Result<[Tensor; 2]> {
    let head = head_of(teacher.graph())?;
    Ok(HEAD_TENSORS.map(|tensor| teacher.trained()[&format!("{head}.{tensor}")].as_detached_tensor()))
}

/// Whether a tensor belongs to a layer.
fn is_of(tensor: &str, layer: &str) -> bool {
    tensor.rsplit_once('.').is_some_and(|(prefix, _)| prefix == layer)
}

/// The name of the linear layer that gives a network's logits.
pub(in crate::distill) fn head_of(teacher: &Graph) -> Result<String> {
    let head = teacher.output(LOGITS)?;
    if matches!(head.op, Op::Linear { .. }) {
        return Ok(head.name.clone());
    }
    Err(Error::invalid(
        "teacher",
        "a network that ends in a linear classifier",
        teacher.name(),
    ))
}

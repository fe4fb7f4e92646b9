//! What ships after distillation with shared classifiers: student encoder, projectors, the teachers' classifiers.

use crate::{CLASSIFIER_MAP, Error, FEATURES, Graph, GraphBuilder, LOGITS, NodeId, Op, Result, Shape};

/// Output name of a lone teacher's projected map, which is compared with the teacher's; of several, see [`TeacherNames`].
pub const PROJECTED: &str = "projected";

/// Output name of the student's own class scores, which only training reads.
pub const OWN_LOGITS: &str = "own_logits";

/// Prefix of the student's own parameters.
pub const ENCODER: &str = "encoder";

/// Prefix of the projectors' parameters.
pub const PROJECTOR: &str = "projector";

/// Name of a lone teacher's classifier, and prefix of several.
pub const CLASSIFIER: &str = "classifier";

/// How [`distilled_student`] puts a student together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DistilledOptions {
    /// Reduction factor f: the first two convolutions of a projector are `C_T/f` wide.
    pub factor: usize,
    /// Whether the second of them, 3x3, is depthwise: every channel by itself, which the third one mixes.
    ///
    /// Source: depthwise separable convolution, arXiv:1704.04861, section 3.1.
    pub depthwise: bool,
    /// Whether those two are one trunk for all teachers, as wide as the widest teacher's. Alone, a teacher has nobody to
    /// share with, and nothing changes.
    pub shared_trunk: bool,
    /// Whether the student keeps its own classifier, with [`OWN_LOGITS`] as its output.
    pub own_head: bool,
}

impl Default for DistilledOptions {
    /// f = 2 and a full 3x3 convolution, as published; no trunk, no own head.
    fn default() -> Self {
        Self {
            factor: 2,
            depthwise: false,
            shared_trunk: false,
            own_head: false,
        }
    }
}

/// The names of what belongs to one teacher in a graph made by [`distilled_student`].
///
/// A lone teacher's are [`PROJECTOR`], [`PROJECTED`], [`CLASSIFIER`] and [`LOGITS`] themselves; with several, teacher 1's
/// are `projector.1`, `projected.1`, `classifier.1` and `logits.1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeacherNames {
    /// Prefix of its projector's parameters.
    pub projector: String,
    /// Output: its projector's map `(C_T, H, W)`, which is compared with the teacher's.
    pub projected: String,
    /// Node of its classifier, whose parameters are `{classifier}.weight` and `{classifier}.bias`.
    pub classifier: String,
    /// Output: its classifier's logits `(K)` for that map.
    pub logits: String,
}

impl TeacherNames {
    /// The names for each of so many teachers, in order.
    pub fn all(teachers: usize) -> Vec<Self> {
        let names = |teacher| {
            let name = |base: &str| match teachers {
                1 => base.to_owned(),
                _ => format!("{base}.{teacher}"),
            };
            Self {
                projector: name(PROJECTOR),
                projected: name(PROJECTED),
                classifier: name(CLASSIFIER),
                logits: name(LOGITS),
            }
        };
        (0..teachers).map(names).collect()
    }
}

/// Student encoder + a projector and a shared classifier for each teacher as one graph.
///
/// The student's encoder ends in its [`FEATURES`]; each projector imitates the map that its teacher's classifier pools.
/// A projector is 1x1 conv to `C_T/f`, 3x3 conv, at choice depthwise, 1x1 conv to `C_T`, each with batch norm and ReLU and
/// without bias; a student map larger than the teacher's is average-pooled to its size first. A shared trunk, `projector.trunk`, takes
/// the place of all first and second convolutions, for which the map is pooled to the smallest teacher's size. The logits
/// are the mean of the classifiers'.
///
/// # Shapes
/// - [`FEATURES`]: the student's map `(C_S, H_S, W_S)`
/// - each teacher's [`TeacherNames::projected`]: `(C_T, min(H_S, H_T), min(W_S, W_T))`, with a trunk the smallest over all
///   teachers; of a lone teacher it is [`CLASSIFIER_MAP`] too
/// - each teacher's [`TeacherNames::logits`], [`LOGITS`]: `(K)`, K the teachers' classes
/// - [`OWN_LOGITS`], with an own head: `(K)`
///
/// # Errors
/// [`Error::InvalidConfig`] if there is no teacher, the input shapes or the classes differ, or the factor is 0 or does not
/// divide every `C_T`.
///
/// Source: arXiv:2406.08528, section 3; projector of SimKD, arXiv:2203.14001, section 3.2; the mean over teachers is AVER
/// of arXiv:2201.00007.
pub fn distilled_student(student: &Graph, teachers: &[&Graph], options: &DistilledOptions) -> Result<Graph> {
    let classes = agreed_classes(student, teachers, options.own_head)?;
    let maps = teachers
        .iter()
        .map(|teacher| teacher_map(student, teacher, options.factor))
        .collect::<Result<Vec<_>>>()?;
    let all_networks = std::iter::once(&student).chain(teachers);
    let name = all_networks.map(|network| network.name()).collect::<Vec<_>>().join("+");
    let mut builder = GraphBuilder::new(&name, student.input_shape());
    let encoder = student.keep_outputs(&[FEATURES])?;
    let features = builder.append(ENCODER, &encoder, builder.input())?[FEATURES];

    let shared = if options.shared_trunk && teachers.len() > 1 {
        let name = format!("{PROJECTOR}.trunk");
        Some(trunk(&mut builder, &name, features, common_map(&maps), options)?)
    } else {
        None
    };
    let names = TeacherNames::all(teachers.len());
    let mut outputs = vec![(FEATURES, features)];
    let mut logits = Vec::new();
    for (names, map) in names.iter().zip(&maps) {
        let narrow = match shared {
            Some(narrow) => narrow,
            None => trunk(&mut builder, &names.projector, features, *map, options)?,
        };
        let projected = projector_layer(&mut builder, &names.projector, 3, narrow, (map[0], 1, 1))?;
        let scores = builder.classifier(&names.classifier, projected, classes)?;
        outputs.extend([(names.projected.as_str(), projected), (&names.logits, scores)]);
        logits.push(scores);
        if teachers.len() == 1 {
            outputs.push((CLASSIFIER_MAP, projected));
        }
    }
    if logits.len() > 1 {
        let mean = builder.push(&format!("{CLASSIFIER}.mean"), Op::Mean, &logits)?;
        outputs.push((LOGITS, mean));
    }
    if options.own_head {
        // last, so that a pass to the logits does not run it, and a seed gives the rest the weights it gives without
        let whole = student.keep_outputs(&[LOGITS])?;
        outputs.push((OWN_LOGITS, builder.append(ENCODER, &whole, builder.input())?[LOGITS]));
    }
    Ok(builder.finish(&outputs))
}

/// What a distilled student is held against: its encoder, and a classifier of its own on the encoder's map.
///
/// That is the network itself, but where layers lie between [`FEATURES`] and [`CLASSIFIER_MAP`], as in MobileNetV2, which a
/// distilled student leaves out.
///
/// # Shapes
/// - [`LOGITS`]: `(K)`, K the network's classes
///
/// # Errors
/// [`Error::UnknownOutput`] if it has no features or no logits.
pub fn without_projector(student: &Graph) -> Result<Graph> {
    let mut builder = GraphBuilder::new(student.name(), student.input_shape());
    let encoder = student.keep_outputs(&[FEATURES])?;
    let features = builder.append(ENCODER, &encoder, builder.input())?[FEATURES];
    let logits = builder.classifier(CLASSIFIER, features, student.classes()?)?;
    Ok(builder.finish(&[(LOGITS, logits)]))
}

/// As wide as the widest map, as high and as broad as the smallest.
fn common_map(maps: &[[usize; 3]]) -> [usize; 3] {
    let extremes =
        |[width, height, columns]: [usize; 3], [c, h, w]: &[usize; 3]| [width.max(*c), height.min(*h), columns.min(*w)];
    maps.iter().fold([0, usize::MAX, usize::MAX], extremes)
}

/// The first two convolutions of a projector to `map`, the student's map pooled to that size where it is larger.
fn trunk(
    builder: &mut GraphBuilder,
    name: &str,
    x: NodeId,
    map: [usize; 3],
    options: &DistilledOptions,
) -> Result<NodeId> {
    let [width, height, columns] = map;
    let mut x = x;
    if let Shape::Map([_, h, w]) = builder.shape(x)
        && (h > height || w > columns)
    {
        let pool = Op::AdaptiveAveragePool {
            height: h.min(height),
            width: w.min(columns),
        };
        x = builder.push(&format!("{name}.pool"), pool, &[x])?;
    }
    let narrow = width / options.factor;
    let groups = if options.depthwise { narrow } else { 1 };
    x = projector_layer(builder, name, 1, x, (narrow, 1, 1))?;
    projector_layer(builder, name, 2, x, (narrow, 3, groups))
}

/// The `index`-th convolution of a projector, in so many groups, with its batch norm and ReLU.
fn projector_layer(
    builder: &mut GraphBuilder,
    name: &str,
    index: usize,
    x: NodeId,
    (channels, kernel, groups): (usize, usize, usize),
) -> Result<NodeId> {
    let x = builder.grouped_conv(&format!("{name}.conv{index}"), x, channels, kernel, 1, groups)?;
    let x = builder.batch_norm(&format!("{name}.bn{index}"), x)?;
    builder.relu(&format!("{name}.relu{index}"), x)
}

/// The classes of all teachers, and of the student's own head if it keeps it.
fn agreed_classes(student: &Graph, teachers: &[&Graph], own_head: bool) -> Result<usize> {
    let [first, others @ ..] = teachers else {
        return Err(Error::InvalidConfig {
            network: student.name().to_owned(),
            expected: "a teacher or more".to_owned(),
            got: "none".to_owned(),
        });
    };
    let classes = first.classes()?;
    for network in others.iter().copied().chain(own_head.then_some(student)) {
        if network.classes()? != classes {
            return Err(Error::InvalidConfig {
                network: network.name().to_owned(),
                expected: format!("the {classes} classes of teacher {}", first.name()),
                got: network.classes()?.to_string(),
            });
        }
    }
    Ok(classes)
}

/// Shape `(C_T, H_T, W_T)` of the map that `teacher`'s classifier pools, after checking that a projector can imitate it.
fn teacher_map(student: &Graph, teacher: &Graph, factor: usize) -> Result<[usize; 3]> {
    if student.input_shape() != teacher.input_shape() {
        return Err(Error::InvalidConfig {
            network: student.name().to_owned(),
            expected: format!(
                "the input {} of teacher {}",
                Shape::Map(teacher.input_shape()),
                teacher.name()
            ),
            got: Shape::Map(student.input_shape()).to_string(),
        });
    }
    let invalid = |expected: String, got: String| Error::InvalidConfig {
        network: format!("projector of {}", student.name()),
        expected,
        got,
    };
    let shape = teacher.output(CLASSIFIER_MAP)?.shape;
    let Shape::Map(map) = shape else {
        let expected = format!("a feature map of teacher {}", teacher.name());
        return Err(invalid(expected, shape.to_string()));
    };
    if factor == 0 || !map[0].is_multiple_of(factor) {
        let expected = format!(
            "a factor that divides the {} channels of teacher {}",
            map[0],
            teacher.name()
        );
        return Err(invalid(expected, factor.to_string()));
    }
    Ok(map)
}

#[cfg(test)]
mod tests;

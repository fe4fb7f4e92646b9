//! What ships after distillation with a shared classifier: student encoder, projector, the teacher's classifier.

use crate::{CLASSIFIER_MAP, Error, FEATURES, Graph, GraphBuilder, LOGITS, Op, Result, Shape};

/// Output name of the projector's map, which is compared with the teacher's.
pub const PROJECTED: &str = "projected";

/// Prefix of the student encoder's parameters.
pub const ENCODER: &str = "encoder";

/// Prefix of the projector's parameters.
pub const PROJECTOR: &str = "projector";

/// Name of the shared classifier's node.
pub const CLASSIFIER: &str = "classifier";

/// Student encoder + projector + shared classifier as one graph.
///
/// The student's encoder ends in its [`FEATURES`]; the projector imitates the map that the teacher's classifier pools.
/// The projector is 1x1 conv to `C_T/f`, 3x3 conv, 1x1 conv to `C_T`, each with batch norm and ReLU and without bias;
/// a student map larger than the teacher's is average-pooled to its size first.
///
/// # Shapes
/// - [`FEATURES`]: the student's map `(C_S, H_S, W_S)`
/// - [`PROJECTED`], [`CLASSIFIER_MAP`]: `(C_T, min(H_S, H_T), min(W_S, W_T))`
/// - [`LOGITS`]: `(K)`, K the teacher's classes
///
/// # Errors
/// [`Error::InvalidConfig`] if `factor` is 0 or does not divide `C_T`, or the input shapes differ.
///
/// Source: arXiv:2406.08528, section 3; projector of SimKD, arXiv:2203.14001, section 3.2.
pub fn distilled_student(student: &Graph, teacher: &Graph, factor: usize) -> Result<Graph> {
    if student.input_shape() != teacher.input_shape() {
        return Err(Error::InvalidConfig {
            network: student.name().to_owned(),
            expected: format!("the teacher's input {}", Shape::Map(teacher.input_shape())),
            got: Shape::Map(student.input_shape()).to_string(),
        });
    }
    let invalid = |expected: String, got: String| Error::InvalidConfig {
        network: format!("projector of {}", student.name()),
        expected,
        got,
    };
    let teacher_shape = teacher.output(CLASSIFIER_MAP)?.shape;
    let Shape::Map([width, teacher_h, teacher_w]) = teacher_shape else {
        return Err(invalid(
            "a teacher that ends in a feature map".to_owned(),
            teacher_shape.to_string(),
        ));
    };
    if factor == 0 || !width.is_multiple_of(factor) {
        return Err(invalid(
            format!("a factor that divides the teacher's {width} channels"),
            factor.to_string(),
        ));
    }
    let name = format!("{}+{}", student.name(), teacher.name());
    let mut builder = GraphBuilder::new(&name, student.input_shape());
    let encoder = student.keep_outputs(&[FEATURES])?;
    let features = builder.append(ENCODER, &encoder, builder.input())?[FEATURES];

    let mut x = features;
    if let Shape::Map([_, h, w]) = builder.shape(x)
        && (h > teacher_h || w > teacher_w)
    {
        let pool = Op::AdaptiveAveragePool {
            height: h.min(teacher_h),
            width: w.min(teacher_w),
        };
        x = builder.push(&format!("{PROJECTOR}.pool"), pool, &[x])?;
    }
    let narrow = width / factor;
    for (index, (channels, kernel)) in [(narrow, 1), (narrow, 3), (width, 1)].into_iter().enumerate() {
        let layer = |kind: &str| format!("{PROJECTOR}.{kind}{}", index + 1);
        x = builder.conv(&layer("conv"), x, channels, kernel, 1)?;
        x = builder.batch_norm(&layer("bn"), x)?;
        x = builder.relu(&layer("relu"), x)?;
    }
    let logits = builder.classifier(CLASSIFIER, x, teacher.classes()?)?;
    Ok(builder.finish(&[
        (FEATURES, features),
        (PROJECTED, x),
        (CLASSIFIER_MAP, x),
        (LOGITS, logits),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NetworkConfig, build};

    /// Projector costs for ResNet-32x4 to ResNet-8x4: +214,016 at f=2, 70,400 at f=4, 26,240 at f=8.
    #[test]
    fn projector_costs_equal_the_published_ones() {
        let config = NetworkConfig::new([3, 32, 32], 100);
        let (student, teacher) = (
            build("resnet8x4", &config).unwrap(),
            build("resnet32x4", &config).unwrap(),
        );
        for (factor, added) in [(2, 214_016), (4, 70_400), (8, 26_240)] {
            let graph = distilled_student(&student, &teacher, factor).unwrap();
            assert_eq!(graph.parameter_count() - student.parameter_count(), added, "f={factor}");
        }
    }

    /// MobileNetV2's classifier pools 1280 channels made of its features: a teacher's are imitated, a student's not shipped.
    #[test]
    fn a_teachers_classifier_takes_what_its_network_feeds_it() {
        let config = NetworkConfig::new([3, 32, 32], 10);
        let (mobile, resnet) = (
            build("mobilenetv2_0.5", &config).unwrap(),
            build("resnet8", &config).unwrap(),
        );
        let as_teacher = distilled_student(&resnet, &mobile, 2).unwrap();
        assert_eq!(as_teacher.output(PROJECTED).unwrap().shape, Shape::Map([1280, 2, 2]));
        let classifier = as_teacher.output(LOGITS).unwrap();
        assert_eq!(classifier.cost().parameters, 1280 * 10 + 10);

        let as_student = distilled_student(&mobile, &resnet, 2).unwrap();
        assert_eq!(as_student.output(FEATURES).unwrap().shape, Shape::Map([160, 2, 2]));
        assert_eq!(as_student.output(PROJECTED).unwrap().shape, Shape::Map([64, 2, 2]));
        assert!(as_student.nodes().iter().all(|node| node.shape.channels() != 1280));
    }

    #[test]
    fn a_factor_must_divide() {
        let config = NetworkConfig::new([3, 32, 32], 10);
        let (student, teacher) = (build("resnet8", &config).unwrap(), build("resnet20", &config).unwrap());
        for factor in [0, 3, 128] {
            let error = distilled_student(&student, &teacher, factor).unwrap_err().to_string();
            assert!(error.contains("divides the teacher's 64 channels"), "{error}");
        }
    }
}

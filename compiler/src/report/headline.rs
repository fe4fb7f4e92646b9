//! What is gained, and what it costs: the first thing that the page says.

use serde::Serialize;

use super::answers::paired_gain;
use super::gather::Gathered;
use super::models::Model;
use super::subject::Subject;
use crate::distill::ProjectorCost;
use crate::spread::Spread;

/// The student beside its teacher and beside itself without one. Figures are means over seeds, latency and sizes the first
/// seed's.
#[derive(Debug, Clone, Serialize)]
pub struct Headline {
    /// Name of the student.
    pub student: String,
    /// Number of distilled students of which it is the best on validation images; where none has any, of which it is the first.
    pub best_of: usize,
    /// Its top-1 on test images, percent.
    pub top1: f64,
    /// Size of its ONNX file, bytes.
    pub bytes: usize,
    /// Its median latency, milliseconds; none where it was not measured.
    pub p50_ms: Option<f64>,
    /// Beside its teacher, the first of several; none where that could not be measured.
    pub teacher: Option<AgainstTeacher>,
    /// Beside the same network without a teacher; none where that is not in the report.
    pub alone: Option<AgainstAlone>,
    /// What its projectors cost; none where it has none.
    pub projector: Option<ProjectorCost>,
    /// All this in words.
    pub sentences: Vec<String>,
}

/// A student beside its teacher.
#[derive(Debug, Clone, Serialize)]
pub struct AgainstTeacher {
    /// Name of the teacher.
    pub name: String,
    /// Its top-1 on test images, percent.
    pub top1: f64,
    /// The student's top-1 in percent of that.
    pub kept_percent: f64,
    /// The teacher's ONNX file, in files of the student's size.
    pub times_smaller: f64,
    /// The teacher's multiply-accumulates, in the student's.
    pub times_fewer_macs: f64,
    /// The teacher's median latency, in the student's; none where it was not measured.
    pub times_faster: Option<f64>,
}

/// A distilled student beside the same network trained on labels.
#[derive(Debug, Clone, Serialize)]
pub struct AgainstAlone {
    /// Name of the other.
    pub name: String,
    /// Its top-1 on test images, percent.
    pub top1: f64,
    /// Points of top-1 by which the distilled one is above it, each seed's against that of the same seed.
    pub points: Spread,
    /// The points' 95 % interval over test images; none of several seeds, whose spread says more.
    pub interval: Option<[f64; 2]>,
}

/// That of the distilled student that is the best on validation images; none without one.
pub(super) fn of(gathered: &Gathered, models: &[Model]) -> Option<Headline> {
    let distilled = || models.iter().filter(|model| model.role.is_distilled());
    let runs: Vec<&Model> = distilled().filter(|model| model.variant.is_none()).collect();
    let validation = |model: &&Model| model.validation_top1.as_ref().map(|spread| spread.mean);
    let best = runs.iter().rev().copied().filter(|model| validation(model).is_some());
    let best = best.max_by(|a, b| {
        validation(a)
            .partial_cmp(&validation(b))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let student = best.or_else(|| runs.first().copied()).or_else(|| distilled().next())?;
    let rivals = match student.validation_top1 {
        Some(_) => runs.iter().filter(|model| validation(model).is_some()).count(),
        None => runs.len(),
    };
    let mut headline = Headline {
        student: student.name.clone(),
        best_of: rivals.max(1),
        top1: student.top1.mean,
        bytes: student.bytes,
        p50_ms: student.latency_ms.map(|latency| latency.p50),
        teacher: against_teacher(gathered, models, student),
        alone: against_alone(gathered, models, student),
        projector: student.projector,
        sentences: Vec::new(),
    };
    headline.sentences = headline.in_words(gathered.decoded(), student.validation_top1.is_some());
    let seeds = student.measured.iter();
    let digests: Vec<_> = seeds.filter_map(|seed| seed.weights_sha256.as_ref()).collect();
    let forms = models.iter().filter(|model| {
        let of_student = model.measured.iter().any(|seed| {
            seed.weights_sha256
                .as_ref()
                .is_some_and(|digest| digests.contains(&digest))
        });
        of_student && model.precision.as_deref().is_some_and(|precision| precision != "fp32")
    });
    headline
        .sentences
        .extend(forms.map(|form| form_in_words(form, student)));
    Some(headline)
}

fn against_teacher(gathered: &Gathered, models: &[Model], student: &Model) -> Option<AgainstTeacher> {
    let first = *gathered.teachers_of(subjects(gathered, student).next()?).first()?;
    // of nothing no share can be kept
    let teacher = model_of(gathered, models, first).filter(|teacher| teacher.top1.mean > 0.0)?;
    let faster = teacher.latency_ms.zip(student.latency_ms);
    Some(AgainstTeacher {
        name: teacher.name.clone(),
        top1: teacher.top1.mean,
        kept_percent: 100.0 * student.top1.mean / teacher.top1.mean,
        times_smaller: teacher.bytes as f64 / student.bytes as f64,
        times_fewer_macs: teacher.macs as f64 / student.macs as f64,
        times_faster: faster.map(|(teacher, student)| teacher.p50 / student.p50),
    })
}

fn against_alone(gathered: &Gathered, models: &[Model], student: &Model) -> Option<AgainstAlone> {
    let pairs = subjects(gathered, student).filter_map(|subject| Some((subject, gathered.alone_of(subject)?)));
    let mut pairs: Vec<(&Subject, &Subject)> = pairs.collect();
    if pairs.len() > 1 {
        // one student alone beside several seeds would hide its own spread
        pairs.sort_by_key(|(subject, alone)| subject.seed() != alone.seed());
        let of_same_seed = pairs.iter().filter(|(subject, alone)| subject.seed() == alone.seed());
        pairs.truncate(of_same_seed.count().max(1));
    }
    let alone = model_of(gathered, models, pairs.first()?.1)?;
    let gains = pairs
        .iter()
        .map(|(subject, alone)| paired_gain(&subject.predictions, &alone.predictions));
    let gains: Vec<_> = gains.collect();
    Some(AgainstAlone {
        name: alone.name.clone(),
        top1: pairs.iter().map(|(_, alone)| alone.top1()).sum::<f64>() / pairs.len() as f64,
        points: Spread::of(gains.iter().map(|(points, _)| *points).collect()),
        interval: gains
            .first()
            .filter(|_| gains.len() == 1)
            .map(|(_, interval)| *interval),
    })
}

fn subjects<'a>(gathered: &'a Gathered, model: &'a Model) -> impl Iterator<Item = &'a Subject> {
    model.places.iter().map(|place| &gathered.subjects[*place])
}

/// The model of which `subject` is a seed.
fn model_of<'a>(gathered: &Gathered, models: &'a [Model], subject: &Subject) -> Option<&'a Model> {
    models
        .iter()
        .find(|model| subjects(gathered, model).any(|other| std::ptr::eq(other, subject)))
}

impl Headline {
    fn in_words(&self, images: usize, by_validation: bool) -> Vec<String> {
        let mut sentences = Vec::new();
        if let Some(teacher) = &self.teacher {
            let faster = teacher
                .times_faster
                .map(|times| format!(" and {}", times_text(times, "faster", "slower")));
            sentences.push(format!(
                "The student keeps {:.1} % of the teacher's accuracy ({:.2} against {:.2} %) and is {}{}.",
                teacher.kept_percent,
                self.top1,
                teacher.top1,
                times_text(teacher.times_smaller, "smaller", "larger"),
                faster.unwrap_or_default()
            ));
        }
        if let Some(alone) = &self.alone {
            sentences.push(gain_in_words(alone, images));
        }
        if let Some(projector) = &self.projector {
            sentences.push(format!(
                "Its projector adds {:.1} % parameters and {:.1} % multiply-accumulates to the student.",
                projector.parameters_percent, projector.macs_percent
            ));
        }
        if self.best_of > 1 {
            let chosen = match by_validation {
                true => "the best on validation images",
                false => "the first: none has validation images to choose by",
            };
            sentences.push(format!(
                "This is {}, of {} distilled students {chosen}.",
                self.student, self.best_of
            ));
        }
        sentences
    }
}

fn gain_in_words(alone: &AgainstAlone, images: usize) -> String {
    let points = &alone.points;
    let (verb, beside) = if points.mean < 0.0 {
        ("lost", "against")
    } else {
        ("gained", "over")
    };
    let size = points.mean.abs();
    let head = format!(
        "Distilling it {verb} {size:.2} points {beside} training it alone ({:.2} %)",
        alone.top1
    );
    match alone.interval {
        Some([low, high]) if low <= 0.0 && high >= 0.0 => format!(
            "{head}, which one seed and {images} test images cannot tell from nothing (95 % interval {low:+.2} to {high:+.2})."
        ),
        Some([low, high]) => format!("{head}; one seed, 95 % interval over the test images {low:+.2} to {high:+.2}."),
        None => format!("{head}, ± {:.2} over {} seeds.", points.std, points.values.len()),
    }
}

/// Another form of the student, as with integers.
fn form_in_words(form: &Model, student: &Model) -> String {
    let latency = form.latency_ms.zip(student.latency_ms);
    let faster =
        latency.map(|(form, student)| format!(" and {}", times_text(student.p50 / form.p50, "faster", "slower")));
    format!(
        "As {} it has {:.2} % and is {}{} than in floats of 32 bits.",
        form.short_name,
        form.top1.mean,
        times_text(student.bytes as f64 / form.bytes as f64, "smaller", "larger"),
        faster.unwrap_or_default()
    )
}

/// A ratio in words: `2.5 times smaller`, or by the other word where it is below 1.
pub(super) fn times_text(ratio: f64, more: &str, less: &str) -> String {
    if ratio < 1.0 {
        return format!("{:.1} times {less}", 1.0 / ratio);
    }
    format!("{ratio:.1} times {more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gain(values: &[f64], interval: Option<[f64; 2]>) -> String {
        let alone = AgainstAlone {
            name: "resnet8 alone".to_owned(),
            top1: 88.2,
            points: Spread::of(values.to_vec()),
            interval,
        };
        gain_in_words(&alone, 2000)
    }

    #[test]
    fn a_loss_is_called_one() {
        assert_eq!(
            gain(&[1.55], Some([0.4, 2.7])),
            "Distilling it gained 1.55 points over training it alone (88.20 %); one seed, 95 % interval over the test images \
             +0.40 to +2.70."
        );
        let lost = gain(&[-3.0], Some([-4.0, -2.0]));
        assert!(lost.starts_with("Distilling it lost 3.00 points against"), "{lost}");
        let nothing = gain(&[0.2], Some([-0.7, 1.1]));
        assert!(
            nothing.contains("cannot tell from nothing (95 % interval -0.70 to +1.10)"),
            "{nothing}"
        );
        assert!(
            gain(&[1.0, 3.0], None)
                .ends_with("gained 2.00 points over training it alone (88.20 %), ± 1.41 over 2 seeds.")
        );
    }

    #[test]
    fn ratios_below_one_turn_round() {
        assert_eq!(times_text(2.96, "smaller", "larger"), "3.0 times smaller");
        assert_eq!(times_text(0.5, "smaller", "larger"), "2.0 times larger");
    }
}

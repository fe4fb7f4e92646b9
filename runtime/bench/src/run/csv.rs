//! Samples as text.

use std::fmt::Write;

use super::timing::Sample;

/// The runs as CSV, a line each, in nanoseconds since the first arrival: when the image arrived, when work on it began, when it
/// was preprocessed, when the model had run, when the result was there, and the latency.
pub fn csv(samples: &[Sample]) -> String {
    let begin = samples.iter().map(|sample| sample.due).min().unwrap_or_default();
    let mut text = "arrived_ns,begun_ns,preprocessed_ns,inferred_ns,done_ns,latency_ns\n".to_owned();
    for sample in samples {
        let moments = [sample.due, sample.begun, sample.prepared, sample.inferred, sample.done];
        for moment in moments {
            let _ = write!(text, "{},", moment - begin);
        }
        let _ = writeln!(text, "{}", sample.latency());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_since_the_first_arrival() {
        let sample = Sample {
            due: 100,
            begun: 110,
            prepared: 115,
            inferred: 150,
            done: 151,
        };
        let text = csv(&[
            sample,
            Sample {
                due: 160,
                begun: 160,
                prepared: 161,
                inferred: 170,
                done: 170,
            },
        ]);
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(lines, ["0,10,15,50,51,51", "60,60,61,70,70,10"]);
    }
}

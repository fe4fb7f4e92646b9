//! The rule by which one of the timed candidates is chosen.

use crate::measure::{Ratio, Samples, Shown};
use crate::text::counted;

use super::candidate::{Candidate, Verdict};

/// Seed of the resampling.
pub const SEED: u64 = 0;

/// Judges the candidates that have samples, and returns the index of the one that is chosen.
///
/// The first candidate is the reference, with whatever number of threads. Another one is accepted only if it is shown to be
/// faster than the reference with as many threads, or that does not run. Of the accepted candidates and the reference the
/// one with the lowest median is chosen or, of those from which it shows no difference, the plainest: the reference before
/// others, then the one with fewer threads.
pub(super) fn decide(candidates: &mut [Candidate], samples: &[Option<Samples>]) -> Option<usize> {
    let reference = candidates.first()?;
    let name = reference.name();
    let is_reference: Vec<bool> = candidates
        .iter()
        .map(|candidate| candidate.runs_as(reference))
        .collect();
    let mut accepted: Vec<(usize, &Samples)> = Vec::new();
    for (index, ours) in samples.iter().enumerate() {
        let Some(ours) = ours else { continue };
        candidates[index].latency = Some(ours.summary());
        let threads = candidates[index].threads;
        let rival = (0..candidates.len()).find(|&other| is_reference[other] && candidates[other].threads == threads);
        let Some(theirs) = rival.and_then(|rival| samples[rival].as_ref()) else {
            accepted.push((index, ours));
            continue;
        };
        let ratio = Ratio::of_medians(ours, theirs, SEED);
        candidates[index].ratio = Some(ratio);
        let verdict = match ratio.shows() {
            _ if is_reference[index] => Verdict::Accepted,
            Shown::Faster => Verdict::Accepted,
            Shown::Nothing => Verdict::NoDifference,
            Shown::Slower => Verdict::Slower,
        };
        if verdict == Verdict::Accepted {
            accepted.push((index, ours));
        } else {
            let reason = figures(ours, theirs, &ratio, &name, threads);
            candidates[index].conclude(verdict, reason);
        }
    }

    let median = |samples: &Samples| samples.summary().p50_ms;
    let by_median = accepted.iter().min_by(|a, b| median(a.1).total_cmp(&median(b.1)));
    let &(fastest, fastest_samples) = by_median?;
    let is_level = |index: usize, samples: &Samples| {
        index == fastest || Ratio::of_medians(fastest_samples, samples, SEED).shows() != Shown::Faster
    };
    let level = accepted.iter().filter(|(index, samples)| is_level(*index, samples));
    let &(chosen, _) = level.min_by_key(|(index, _)| (!is_reference[*index], candidates[*index].threads, *index))?;
    let (label, best) = (candidates[chosen].label(), candidates[fastest].label());
    for (index, _) in accepted {
        if index != chosen {
            candidates[index].conclude(Verdict::Accepted, format_args!("not shown to be faster than {label}"));
        } else if index == fastest {
            candidates[index].conclude(Verdict::Chosen, "the fastest");
        } else {
            let reason = format_args!("the plainest of those from which the fastest, {best}, shows no difference");
            candidates[index].conclude(Verdict::Chosen, reason);
        }
    }
    Some(chosen)
}

fn figures(ours: &Samples, theirs: &Samples, ratio: &Ratio, reference: &str, threads: u16) -> String {
    format!(
        "median {:.3} ms, {}'s {:.3} ms with {}: ratio {:.3}, 99 % interval {:.3} to {:.3}",
        ours.summary().p50_ms,
        reference,
        theirs.summary().p50_ms,
        counted(threads, "thread", "threads"),
        ratio.value,
        ratio.low,
        ratio.high
    )
}

//! What is drawn: latency over time beside clock and temperature, and the distribution of latencies.

use askd_page::{Axis, Plot, Size, escape, figure, short};

use crate::run::{Latency, RunReport};
use crate::watch::{FrequencySource, Reading, Record, TemperatureSensor};

/// Ratio of the longest to the shortest latency from which on the axis is logarithmic.
const WIDE: f64 = 4.0;
/// Space above the highest bar, for the names of the percentiles.
const HEADROOM: f64 = 8.0;
/// Lines with colours of their own.
const COLOURS: usize = 4;

/// Latency, clock and temperature, below each other over the same seconds.
pub(super) fn over_time(report: &RunReport) -> String {
    let record = report.machine.record.as_ref();
    let readings = record.map(Record::readings).unwrap_or_default();
    let timed = report.timeline.iter().map(|point| point.seconds);
    let end = timed
        .chain(readings.iter().map(|reading| reading.seconds))
        .fold(0.0, f64::max);
    let seconds = Axis::exact(0.0, end);
    let clock = record.map_or_else(Vec::new, |record| clock(record, &readings));
    let temperature = record.map_or_else(Vec::new, |record| temperature(record, &readings));
    let by = match record.and_then(|record| record.frequency_source) {
        Some(FrequencySource::Cpuinfo) => "clock of the cores by /proc/cpuinfo, MHz",
        _ => "clock of the cores, MHz",
    };
    let panels = [
        latency(report, seconds),
        lines(by, &clock, seconds),
        lines("temperature, °C", &temperature, seconds),
    ];
    panels.concat()
}

fn latency(report: &RunReport, seconds: Axis) -> String {
    let points = &report.timeline;
    let values = || points.iter().flat_map(|point| [point.p50_ms, point.max_ms]);
    let (least, most) = values().fold((f64::INFINITY, 0.0), |(least, most), value| {
        (value.min(least), value.max(most))
    });
    // A few long runs would press all others into a line.
    let (milliseconds, axis) = match most > WIDE * least {
        true => (Axis::logarithmic(values()), ", on a logarithmic axis"),
        false => (Axis::linear(values().chain([0.0])), ""),
    };
    let pictures = Size::both(220.0).map(|size| {
        let mut plot = Plot::new(size, seconds, milliseconds, "latency over time");
        plot.dots("max", points.iter().map(|point| (point.seconds, point.max_ms)));
        plot.line("c1", points.iter().map(|point| (point.seconds, point.p50_ms)));
        plot.finish()
    });
    let caption = format!(
        "latency, ms{axis}: <b class=\"c1\">median</b> and <b class=\"max\">longest</b> of the runs at each point, over seconds"
    );
    figure(&caption, &pictures.concat())
}

/// A line's name and its points.
type Line = (String, Vec<(f64, f64)>);

fn clock(record: &Record, readings: &[&Reading]) -> Vec<Line> {
    let each = record.cores.iter().enumerate().map(|(at, core)| {
        let point = |reading: &&Reading| Some((reading.seconds, reading.cores.get(at)?.mhz?));
        (format!("core {core}"), readings.iter().filter_map(point).collect())
    });
    each.filter(|(_, points): &Line| !points.is_empty()).collect()
}

fn temperature(record: &Record, readings: &[&Reading]) -> Vec<Line> {
    let each = TemperatureSensor::telling(&record.temperature_sensors).map(|sensor| {
        let point = |reading: &&Reading| Some((reading.seconds, *reading.temperatures.as_ref()?.get(&sensor.name)?));
        (sensor.name.clone(), readings.iter().filter_map(point).collect())
    });
    each.filter(|(_, points): &Line| !points.is_empty()).collect()
}

/// A picture of lines; a sentence where there are none.
fn lines(title: &str, lines: &[Line], seconds: Axis) -> String {
    if lines.is_empty() {
        return format!("<p class=\"none\">{title}: not readable on this machine</p>");
    }
    let values = Axis::linear(
        lines
            .iter()
            .flat_map(|(_, points)| points.iter().map(|(_, value)| *value)),
    );
    let colour = |at: usize| format!("c{}", at % COLOURS + 1);
    let pictures = Size::both(130.0).map(|size| {
        let mut plot = Plot::new(size, seconds, values, title);
        for (at, (_, points)) in lines.iter().enumerate() {
            plot.line(&colour(at), points.iter().copied());
            plot.dots(&colour(at), points.iter().copied());
        }
        plot.finish()
    });
    let names = lines
        .iter()
        .enumerate()
        .map(|(at, (name, _))| format!(" <b class=\"{}\">{}</b>", colour(at), escape(name)));
    figure(&format!("{title}:{}", names.collect::<String>()), &pictures.concat())
}

/// How many runs took how long, both on logarithmic axes, with the percentiles.
pub(super) fn distribution(report: &RunReport) -> String {
    let buckets = &report.histogram.buckets;
    let times = Axis::logarithmic(buckets.iter().flat_map(|bucket| [bucket.from_ms, bucket.to_ms]));
    let marks = percentiles(&report.latency_ms);
    let marks: Vec<_> = marks.iter().map(|(value, text)| (*value, text.as_str())).collect();
    let pictures = Size::both(260.0).map(|size| {
        let ends = times.parts((size.width / 10.0) as usize);
        let mut counts = vec![0u64; ends.len() - 1];
        for bucket in buckets {
            let middle = (bucket.from_ms + bucket.to_ms) / 2.0;
            let part = (times.place(middle) * counts.len() as f64) as usize;
            let last = counts.len() - 1;
            counts[part.min(last)] += bucket.count;
        }
        // From a half on, so that a single run is seen.
        let most = counts.iter().max().copied().unwrap_or(1) as f64;
        let mut plot = Plot::new(
            size,
            times,
            Axis::logarithmic([0.5, HEADROOM * most]),
            "distribution of latencies",
        );
        for (count, ends) in counts.iter().zip(ends.windows(2)).filter(|(count, _)| **count > 0) {
            plot.bar("c1", [ends[0], ends[1]], *count as f64);
        }
        plot.upright("mark", &marks);
        plot.finish()
    });
    figure("runs by latency, both on logarithmic axes", &pictures.concat()) + "<p class=\"axis\">latency, ms</p>"
}

fn percentiles(latency: &Latency) -> Vec<(f64, String)> {
    let named = [
        ("p50", latency.p50),
        ("p90", latency.p90),
        ("p99", latency.p99),
        ("p99.9", latency.p999),
        ("max", latency.max),
    ];
    named
        .map(|(name, value)| (value, format!("{name} {}", short(value))))
        .to_vec()
}

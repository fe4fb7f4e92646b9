use std::collections::BTreeMap;

use super::*;
use crate::watch::{RaspberryPi, Span, Spin, TemperatureSensor, Watch};

/// A record of a machine that tells nothing, and is calm.
fn calm() -> Record {
    let folder = tempfile::tempdir().unwrap();
    let mut record = Watch::start(folder.path(), &[], &[]).unwrap().stop();
    record.spin = Spin {
        before: 500.0,
        after: 500.0,
    };
    record
}

fn span(of: &str, min: f64, max: f64) -> Option<Span> {
    Some(Span {
        of: of.to_owned(),
        min,
        max,
    })
}

/// The marks of a record, each of which says how to mend it.
fn found(record: &Record) -> Vec<Mark> {
    let found = marks(record);
    assert!(found.iter().all(|mark| !mark.mend.is_empty()), "{found:?}");
    found
}

fn kinds(record: &Record) -> Vec<MarkKind> {
    found(record).iter().map(|mark| mark.kind).collect()
}

#[test]
fn a_calm_run_has_no_marks() {
    let mut record = calm();
    assert!(marks(&record).is_empty());
    record.summary.mhz = span("core 0", 2400.0, 2440.0);
    record.summary.celsius = span("cpu", 50.0, 55.0);
    record.summary.others_share = Some(0.05);
    record.summary.steal_share = Some(0.0);
    record.summary.memory_pressure_share = Some(0.001);
    record.summary.major_faults = Some(0);
    record.before.throttle.events = Some(BTreeMap::from([("core".to_owned(), 7)]));
    record.after.throttle.events = record.before.throttle.events.clone();
    assert_eq!(marks(&record), []);
}

#[test]
fn a_clock_that_moved_is_told_with_its_figures() {
    let mut record = calm();
    record.summary.mhz = span("core 2", 1500.0, 2400.0);
    let found = found(&record);
    assert_eq!(
        found[0].text,
        "the clock of core 2 moved between 1500 and 2400 MHz (37.5 %)"
    );
    assert!(found[0].kind.fails_strict() && found.len() == 1);
}

#[test]
fn a_loop_tells_the_clock_also_where_it_can_be_read() {
    let mut record = calm();
    record.spin.after = 480.0;
    assert_eq!(kinds(&record), []);
    record.spin.after = 450.0;
    for (source, told) in [
        (None, "it cannot be read here"),
        (Some(FrequencySource::Cpuinfo), "/proc/cpuinfo does not tell of it"),
        (Some(FrequencySource::Cpufreq), "cpufreq does not tell of it"),
    ] {
        record.frequency_source = source;
        let found = found(&record);
        let text = &found[0].text;
        assert!(
            text.contains("10.0 % slower after the run") && text.ends_with(told),
            "{text}"
        );
        assert!(found[0].kind == MarkKind::Clock && found.len() == 1);
    }
    // one mark of it is enough
    record.summary.mhz = span("core 2", 1500.0, 2400.0);
    assert_eq!(kinds(&record), [MarkKind::Clock]);
}

#[test]
fn temperatures_that_moved_or_reached_a_limit_are_marked() {
    let mut record = calm();
    record.summary.celsius = span("cpu-thermal", 50.0, 80.5);
    record.temperature_sensors = vec![TemperatureSensor {
        name: "cpu-thermal".to_owned(),
        of_processor: true,
        limit_celsius: Some(80.0),
    }];
    record.after.temperatures = Some(BTreeMap::from([("cpu-thermal".to_owned(), 80.5)]));
    assert_eq!(kinds(&record), [MarkKind::Temperature, MarkKind::Temperature]);
    let texts: Vec<_> = found(&record).into_iter().map(|mark| mark.text).collect();
    assert_eq!(texts[0], "cpu-thermal moved between 50.0 and 80.5 °C");
    assert_eq!(texts[1], "cpu-thermal reached 80.5 °C; its limit is 80.0 °C");
}

#[test]
fn throttling_is_told_by_whatever_counts_it() {
    let mut record = calm();
    let events = |count| Some(BTreeMap::from([("oc1".to_owned(), count)]));
    (record.before.throttle.events, record.after.throttle.events) = (events(3), events(5));
    record.after.throttle.held_down = Some(BTreeMap::from([("cpufreq-0".to_owned(), 1), ("other".to_owned(), 0)]));
    record.before.throttle.raspberry_pi = Some(RaspberryPi(0x10000));
    record.after.throttle.raspberry_pi = Some(RaspberryPi(0x50000));
    let found = found(&record);
    assert_eq!(
        found[0].text,
        "2 events of throttling by oc1; cpufreq-0 held the clock down; firmware: the processor is throttled"
    );
    assert!(found[0].kind.fails_strict() && found.len() == 1);
}

/// The kernel clears the bits whenever it asks: the same bit, seconds later, is of something that happened in between.
#[test]
fn what_a_raspberry_pi_tells_again_is_of_the_run() {
    let mut record = calm();
    for reading in [&mut record.before, &mut record.after] {
        reading.throttle.raspberry_pi = Some(RaspberryPi(0x40000));
    }
    record.after.seconds = record.before.seconds + 1.5;
    assert_eq!(kinds(&record), []);
    record.after.seconds = record.before.seconds + 3.0;
    assert_eq!(found(&record)[0].text, "firmware: the processor is throttled");
}

#[test]
fn others_steal_and_memory_are_marked_and_do_not_fail_a_strict_run() {
    let mut record = calm();
    record.cores = vec![0, 3];
    record.summary.others_share = Some(0.125);
    record.summary.steal_share = Some(0.02);
    record.summary.memory_pressure_share = Some(0.5);
    record.summary.major_faults = Some(12);
    assert_eq!(kinds(&record), [MarkKind::Others, MarkKind::Steal, MarkKind::Memory]);
    let found = found(&record);
    assert_eq!(found[0].text, "others used 12.5 % of the cores (0 3)");
    assert!(found[2].text.contains("50.0 % of the time; pages"), "{}", found[2].text);
    assert!(!found.iter().any(|mark| mark.kind.fails_strict()));
}

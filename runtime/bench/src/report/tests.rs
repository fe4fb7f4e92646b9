use std::collections::BTreeMap;

use askd_page::fault;

use super::*;
use crate::machine::{Jetson, PowerMode};
use crate::profile::{NodeTime, Peak, Profile};
use crate::run::tests::report;
use crate::run::{ColdStart, Mark};
use crate::watch::{Record, TemperatureSensor, Watch};

/// A machine that became warm and slow, watched over two seconds.
fn record() -> Record {
    let folder = tempfile::tempdir().unwrap();
    let mut record = Watch::start(folder.path(), &[0, 1], &[]).unwrap().stop();
    record.temperature_sensors = vec![TemperatureSensor {
        name: "cpu & <gpu>".to_owned(),
        of_processor: true,
        limit_celsius: None,
    }];
    for (reading, seconds, mhz, celsius) in [
        (&mut record.before, 0.0, 1800.0, 50.0),
        (&mut record.after, 2.0, 1200.0, 70.0),
    ] {
        reading.seconds = seconds;
        reading.cores.iter_mut().for_each(|core| core.mhz = Some(mhz));
        reading.temperatures = Some(BTreeMap::from([("cpu & <gpu>".to_owned(), celsius)]));
    }
    record
}

fn full() -> RunReport {
    let mut report = report((0..1000).map(|run| {
        if run % 100 == 0 {
            9_000_000
        } else {
            1_000_000 + run * 10
        }
    }));
    report.machine.record = Some(record());
    report.model.path = "/models/<script>alert(1)</script>.askd/".to_owned();
    report.command = vec!["askd-bench".into(), "run".into(), "\"a\" & 'b'".into()];
    report.marks = vec![Mark {
        kind: "clock".to_owned(),
        strict: true,
        text: "the clock <moved>".to_owned(),
    }];
    report.machine.jetson = Some(Jetson {
        l4t: Some("36.4.3".to_owned()),
        jetpack: None,
        power_mode: Some(PowerMode {
            id: 2,
            name: Some("MAXN <super>".to_owned()),
        }),
        gpu_clock_fixed: None,
    });
    report.cold_start_ms = Some(50.0);
    report.cold_start = Some(ColdStart {
        starts: 5,
        library_load: 30.0,
        open: 2.0,
        verify: None,
        session: 15.0,
        first_run: 3.0,
        total: 50.0,
    });
    report.profile = Some(Profile {
        runs: 200,
        run_ms: 1.2,
        nodes_ms: 1.0,
        macs: 50_000_000,
        peak: Peak {
            gflops: 200.0,
            threads: 1,
            of: "a convolution".to_owned(),
        },
        nodes: vec![NodeTime {
            layer: Some("layer1.0.conv1".to_owned()),
            node: "layer1.0.relu1_nchwc".to_owned(),
            operator: "Conv".to_owned(),
            provider: "CPUExecutionProvider".to_owned(),
            ms: 1.0,
            share: 1.0,
            macs: Some(50_000_000),
            gflops: Some(100.0),
            of_peak: Some(0.5),
        }],
    });
    report
}

#[test]
fn a_full_page_is_well_formed_and_stands_alone() {
    let page = html(&full());
    assert_eq!(fault(&page), None);
    for told in [
        "a strict run fails by it",
        "the clock &lt;moved&gt;",
        "core 0",
        "cpu &amp; &lt;gpu&gt;",
        "layer1.0.conv1",
        "<dt>power mode</dt><dd>MAXN &lt;super&gt;</dd>",
        "median of 5 processes",
        "p99.9 9",
        "&quot;a&quot; &amp; &#39;b&#39;",
    ] {
        assert!(page.contains(told), "{told}");
    }
}

#[test]
fn what_is_missing_is_said_to_be() {
    let page = html(&report([1_000_000; 100]));
    assert_eq!(fault(&page), None);
    for told in [
        "Nothing watched the machine",
        "temperature, °C: not readable",
        "<em>not readable</em>",
    ] {
        assert!(page.contains(told), "{told}");
    }
    for absent in ["Cold start", "Nodes of the graph"] {
        assert!(!page.contains(absent), "{absent}");
    }
}

#[test]
fn a_calm_run_is_said_to_be_calm() {
    let mut report = full();
    report.marks.clear();
    assert!(html(&report).contains("Nothing that could be read moved"));
    report.marks = full().marks;
    report.marks[0].strict = false;
    assert!(html(&report).contains("Take it with care: 1 mark."));
}

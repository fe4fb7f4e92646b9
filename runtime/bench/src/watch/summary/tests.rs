use super::*;
use crate::watch::{CoreReading, PowerReading, Pressure, Throttle};

/// After `seconds`, with cores of these frequencies that were busy for so long.
fn reading(seconds: f64, cores: &[(f64, f64)]) -> Reading {
    let core = |(core, (mhz, busy)): (usize, &(f64, f64))| CoreReading {
        core: core as u32,
        mhz: Some(*mhz),
        time: Some(CoreTime {
            busy_seconds: *busy,
            idle_seconds: seconds - busy,
            steal_seconds: 0.0,
        }),
    };
    Reading {
        seconds,
        cores: cores.iter().enumerate().map(core).collect(),
        temperatures: None,
        throttle: Throttle::default(),
        power: None,
        memory_available_bytes: None,
        pressure: None,
        process: None,
    }
}

fn summary(readings: &[Reading], sensors: &[TemperatureSensor]) -> Summary {
    let [first, during @ .., last] = readings else {
        panic!("a first and a last reading")
    };
    Summary::of(first, during, last, sensors)
}

fn process(cpu_seconds: f64, major_faults: u64) -> Option<ProcessReading> {
    Some(ProcessReading {
        cpu_seconds,
        major_faults,
        involuntary_switches: Some(2 * major_faults),
    })
}

#[test]
fn only_cores_in_use_have_a_clock() {
    // core 0 works and stays; core 1 idles and sinks
    let readings = [(0.0, 2000.0), (1.0, 1000.0), (2.0, 600.0)]
        .map(|(seconds, idle_mhz)| reading(seconds, &[(2000.0 + seconds, seconds), (idle_mhz, 0.0)]));
    let mhz = summary(&readings, &[]).mhz.unwrap();
    assert_eq!((mhz.of.as_str(), mhz.min, mhz.max), ("core 0", 2000.0, 2002.0));
    // rare arrivals: no core is busy, and the clock of each counts
    let readings = [(0.0, 2000.0), (1.0, 600.0)].map(|(seconds, mhz)| reading(seconds, &[(mhz, 0.1 * seconds)]));
    assert_eq!(summary(&readings, &[]).mhz.unwrap().width(), 1400.0);
}

#[test]
fn what_is_busy_and_not_ours_is_others() {
    let mut readings = [
        reading(0.0, &[(1.0, 0.0), (1.0, 0.0)]),
        reading(10.0, &[(1.0, 10.0), (1.0, 2.0)]),
    ];
    readings[0].process = process(5.0, 1);
    readings[1].process = process(16.0, 4);
    let found = summary(&readings, &[]);
    assert!((found.others_share.unwrap() - 0.05).abs() < 1e-9, "{found:?}");
    assert_eq!(
        (found.steal_share, found.major_faults, found.involuntary_switches),
        (Some(0.0), Some(3), Some(6))
    );
    readings[1].process = process(18.0, 4);
    assert_eq!(summary(&readings, &[]).others_share, Some(0.0));
    readings[1].process = None;
    let found = summary(&readings, &[]);
    assert_eq!((found.others_share, found.major_faults), (None, None));
    // 0.2 s of a core are too short to say
    readings[0].cores.truncate(1);
    readings[1] = reading(0.2, &[(1.0, 0.2)]);
    assert_eq!(summary(&readings, &[]).steal_share, None);
}

#[test]
fn the_processors_sensors_count_before_all_others() {
    let sensor = |name: &str, of_processor| TemperatureSensor {
        name: name.to_owned(),
        of_processor,
        limit_celsius: None,
    };
    let mut readings = [reading(0.0, &[]), reading(1.0, &[])];
    for (reading, cpu, disk) in readings
        .iter_mut()
        .zip([50.0, 53.0])
        .zip([30.0, 60.0])
        .map(|((r, a), b)| (r, a, b))
    {
        reading.temperatures = Some(BTreeMap::from([("cpu".to_owned(), cpu), ("disk".to_owned(), disk)]));
    }
    let hottest = |sensors: &[TemperatureSensor]| {
        summary(&readings, sensors)
            .celsius
            .map(|span| (span.of.clone(), span.width()))
    };
    assert_eq!(
        hottest(&[sensor("cpu", true), sensor("disk", false)]),
        Some(("cpu".to_owned(), 3.0))
    );
    assert_eq!(
        hottest(&[sensor("cpu", false), sensor("disk", false)]),
        Some(("disk".to_owned(), 30.0))
    );
    assert_eq!(hottest(&[]), None);
}

#[test]
fn energy_gives_the_mean_power_and_power_its_mean() {
    let mut readings = [reading(0.0, &[]), reading(1.0, &[]), reading(4.0, &[])];
    for (reading, (watts, joules)) in readings.iter_mut().zip([(1.0, 0.0), (2.0, 9.0), (6.0, 20.0)]) {
        let power = |sensor: &str, joules| PowerReading {
            sensor: sensor.to_owned(),
            watts: Some(watts),
            joules,
        };
        reading.power = Some(vec![power("counter", Some(joules)), power("rail", None)]);
        reading.pressure = Some(Pressure {
            cpu_seconds: Some(10.0 + reading.seconds / 2.0),
            memory_seconds: None,
        });
    }
    let found = summary(&readings, &[]);
    let watts = found.watts.unwrap();
    assert_eq!((watts["counter"], watts["rail"]), (5.0, 3.0));
    assert_eq!(
        (found.cpu_pressure_share, found.memory_pressure_share),
        (Some(0.5), None)
    );
}

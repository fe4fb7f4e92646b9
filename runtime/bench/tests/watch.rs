//! Machines that change while they are watched, as copies of the files that they tell of themselves by.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use askd_bench::watch::{FrequencySource, MarkKind, Record, Spin, Watch, marks};
use tempfile::TempDir;

const CURRENT: &str = "sys/devices/system/cpu/cpu2/cpufreq/scaling_cur_freq";

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// A Raspberry Pi 4, of which core 2 was busy for so many hundredths of a second, and others for as many.
fn raspberry_pi(kilohertz: &str, millidegrees: &str, throttled: &str, busy: u32) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let stat = format!("cpu  0 0 0 0 0 0 0 0 0 0\ncpu2 {busy} 0 0 100 0 0 0 0 0 0\n");
    write(
        folder.path(),
        &[
            ("proc/self/status", "Cpus_allowed_list:\t0-3\n"),
            ("proc/stat", &stat),
            ("proc/self/stat", "1 (x) R 1 1 1 0 -1 0 9 0 0 0 100 0\n"),
            (CURRENT, kilohertz),
            ("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"),
            ("sys/class/thermal/thermal_zone0/temp", millidegrees),
            ("sys/devices/platform/soc/soc:firmware/get_throttled", throttled),
        ],
    );
    folder
}

/// Watches core 2 of the first machine while it becomes the second. The loop ran on this one: it is made to be steady.
fn watch(first: &TempDir, second: &TempDir) -> Record {
    let watch = Watch::start(first.path(), &[2], &[]).unwrap();
    for file in ["proc/stat", "sys/class/thermal/thermal_zone0/temp", CURRENT] {
        fs::copy(second.path().join(file), first.path().join(file)).unwrap();
    }
    let firmware = "sys/devices/platform/soc/soc:firmware/get_throttled";
    fs::copy(second.path().join(firmware), first.path().join(firmware)).unwrap();
    thread::sleep(Duration::from_millis(1200));
    let mut record = watch.stop();
    record.spin = Spin {
        before: 300.0,
        after: 300.0,
    };
    record
}

#[test]
fn a_raspberry_pi_that_throttles_is_marked_for_all_that_moved() {
    let calm = raspberry_pi("1800000\n", "52000\n", "0\n", 100);
    let hot = raspberry_pi("1000000\n", "81300\n", "e0008\n", 600);
    let record = watch(&calm, &hot);
    assert_eq!(record.frequency_source, Some(FrequencySource::Cpufreq));
    assert_eq!((record.cores.as_slice(), record.during.len()), ([2].as_slice(), 1));
    let found = marks(&record);
    let kinds: Vec<_> = found.iter().map(|mark| mark.kind).collect();
    let expected = [
        MarkKind::Clock,
        MarkKind::Temperature,
        MarkKind::Throttled,
        MarkKind::Others,
    ];
    assert_eq!(kinds, expected, "{found:?}");
    assert_eq!(
        found[0].text,
        "the clock of core 2 moved between 1000 and 1800 MHz (44.4 %)"
    );
    assert_eq!(found[1].text, "cpu-thermal moved between 52.0 and 81.3 °C");
    assert_eq!(found[2].text.matches("firmware: ").count(), 3, "{}", found[2].text);
}

/// Its cpufreq tells the frequency that the kernel asked for: what the firmware makes of it shows in the loop alone.
#[test]
fn a_raspberry_pi_that_throttles_behind_the_kernels_back_is_marked() {
    let calm = raspberry_pi("1800000\n", "79000\n", "0\n", 100);
    let mut record = watch(&calm, &raspberry_pi("1800000\n", "81300\n", "0\n", 100));
    record.spin.after = 200.0;
    let found = marks(&record);
    assert!(found[0].kind == MarkKind::Clock && found.len() == 1, "{found:?}");
    assert!(
        found[0].text.ends_with("cpufreq does not tell of it"),
        "{}",
        found[0].text
    );
}

#[test]
fn the_same_board_kept_cool_has_no_marks() {
    let first = raspberry_pi("1800000\n", "52000\n", "0\n", 100);
    let record = watch(&first, &raspberry_pi("1800000\n", "55000\n", "0\n", 100));
    assert_eq!(marks(&record), []);
    let missing = record.not_readable.join("\n");
    assert!(
        missing.contains("power: ") && !missing.contains("temperature: "),
        "{missing}"
    );
}

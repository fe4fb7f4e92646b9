//! What a device does for months: memory, files and threads stay, and so does every bit of the output.
//!
//! A twentieth of it as an ordinary test; all of it with `make soak`.
#![cfg(target_os = "linux")]

mod common;

use std::env;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Instant;

use askd_runtime::{Batch, Model, Session, SessionOptions};
use common::{CLASSES, DYNAMIC, ELEMENTS, FIXED, assert_close, bundle, emulator, images, reference, require_engine};

const KIB: i64 = 1024;
const WARM_UP: usize = 10_000;

/// One test, so that no other one's memory and threads are counted.
#[test]
fn memory_threads_files_and_outputs_stay() {
    require_engine();
    if !emulator().is_empty() {
        eprintln!("skipped: memory and time are the emulator's; the outputs of threads are not");
        threads(8, 250);
        return;
    }
    let full = env::var("ASKD_SOAK").is_ok_and(|value| value == "full");
    let scale = if full { 20 } else { 1 };
    inferences(50_000 * scale);
    swaps(50 * scale);
    threads(8, 2_500 * scale);
}

fn session(folder: &Path, intra_op_threads: u16) -> Session {
    let model = Model::open(folder).unwrap();
    let options = SessionOptions {
        intra_op_threads,
        ..SessionOptions::default()
    };
    model.session(&options).unwrap()
}

/// Bytes of this process in memory.
fn resident() -> i64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: i64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    // The kernel counts in pages of 4 KiB on x86_64 and on most Arm systems; on others this would be too strict.
    pages * 4 * KIB
}

fn entries(path: &str) -> usize {
    fs::read_dir(path).unwrap().count()
}

fn inferences(count: usize) {
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let mut session = session(folder.path(), 1);
    let input = images(16);
    let inputs: Vec<&[f32]> = input.chunks_exact(ELEMENTS).collect();
    let mut first = vec![[0.0; CLASSES]; inputs.len()];
    for (input, logits) in inputs.iter().zip(&mut first) {
        session.run(input, logits).unwrap();
    }
    let mut run = |count: usize| {
        for at in 0..count {
            let at = at % inputs.len();
            let mut logits = [f32::NAN; CLASSES];
            session.run(inputs[at], &mut logits).unwrap();
            assert_eq!(logits.map(f32::to_bits), first[at].map(f32::to_bits), "image {at}");
        }
    };
    run(WARM_UP);
    let (before, start) = (resident(), Instant::now());
    run(count);
    let (grown, each) = (resident() - before, start.elapsed() / u32::try_from(count).unwrap());
    eprintln!(
        "{count} inferences, {each:?} each: {} KiB more in memory, outputs bit-identical",
        grown / KIB
    );
    assert!(each.as_micros() < 100, "a model of at most 0.1 ms: {each:?}");
    assert!(grown <= 64 * KIB, "{grown} bytes more in memory");
}

fn swaps(count: usize) {
    let folders = [
        bundle(FIXED, Batch::One, |_, _| {}),
        bundle(DYNAMIC, Batch::Dynamic, |_, _| {}),
    ];
    // Two threads, so that there are threads to lose.
    let mut current = session(folders[0].path(), 2);
    let mut swap = |count: usize| {
        for at in 0..count {
            let mut next = session(folders[at % 2].path(), 2);
            next.self_test().unwrap();
            // The old one served until here.
            current = next;
        }
    };
    // An allocator settles while it meets its first large blocks.
    swap(100);
    let state = || (entries("/proc/self/fd"), entries("/proc/self/task"));
    let (memory, before) = (resident(), state());
    swap(count);
    let grown = resident() - memory;
    eprintln!(
        "{count} swaps: {} KiB more in memory, (descriptors, threads) {before:?} then {:?}",
        grown / KIB,
        state()
    );
    assert!(grown <= 2 * 1024 * KIB, "{grown} bytes more in memory");
    assert_eq!(state(), before, "descriptors and threads");
}

/// Each thread has a session of its own, runs images of its own, and swaps its model now and then.
fn threads(count: usize, runs: usize) {
    let folders = [
        bundle(FIXED, Batch::One, |_, _| {}),
        bundle(DYNAMIC, Batch::Dynamic, |_, _| {}),
    ];
    let inputs = images(count);
    thread::scope(|scope| {
        for (number, input) in inputs.chunks_exact(ELEMENTS).enumerate() {
            let folders = &folders;
            scope.spawn(move || {
                let want = reference(input);
                let mut session = session(folders[number % 2].path(), 1);
                for run in 0..runs {
                    if run % 100 == 99 {
                        session = self::session(folders[(number + run / 100) % 2].path(), 1);
                    }
                    let mut logits = [f32::NAN; CLASSES];
                    session.run(input, &mut logits).unwrap();
                    assert_close(&logits, &want);
                }
            });
        }
    });
    eprintln!("{count} threads of {runs} runs with swaps among them: every output right");
}

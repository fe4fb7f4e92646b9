//! C and C++ programs built with the machine's compiler, warnings being errors, and run: with the static library under
//! AddressSanitizer and UndefinedBehaviorSanitizer, and with the shared one as it is.
//!
//! `CC` and `CXX` name the compilers; what they make is run as cargo runs these tests, by an emulator if need be. Without
//! a compiler the tests say so and skip.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use askd_runtime::{Batch, GoldenData, Image, Model, PixelFormat, SessionOptions};
use tempfile::TempDir;

use crate::common::{self, FIXED, bundle, require_engine};
use crate::support::{built, crate_folder, functions};

/// What every program is compiled with.
const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];
const SANITIZERS: &str = "-fsanitize=address,undefined";

/// The compiler for `source`, with the language's flags; none if there is no such compiler here.
fn compiler(source: &Path) -> Option<Command> {
    let (variable, usual, standard) = match source.extension().and_then(OsStr::to_str) {
        Some("cc") => ("CXX", "c++", "-std=c++17"),
        _ => ("CC", "cc", "-std=c11"),
    };
    let program = env::var_os(variable).unwrap_or_else(|| usual.into());
    if Command::new(&program).arg("--version").output().is_err() {
        eprintln!(
            "SKIPPED: no compiler {} for {} (set {variable})",
            program.display(),
            source.display()
        );
        return None;
    }
    let mut command = Command::new(program);
    command
        .arg(standard)
        .arg("-g")
        .args(WARNINGS)
        .arg("-I")
        .arg(crate_folder().join("include"));
    Some(command)
}

/// Runs what a compiler made.
fn runner(program: &Path) -> Command {
    let mut command = common::command(program);
    command.env("ASAN_OPTIONS", "detect_stack_use_after_return=1:strict_string_checks=1");
    command.env("UBSAN_OPTIONS", "print_stacktrace=1");
    command
}

#[track_caller]
fn must_succeed(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{command:?}: {}\n{said}\n{complained}",
        output.status
    );
    output
}

/// Whether this machine can run programs with sanitizers; some emulators cannot.
fn has_sanitizers() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (source, program) = (folder.path().join("empty.c"), folder.path().join("empty"));
        fs::write(&source, "int main(void) { return 0; }\n").unwrap();
        let Some(mut compile) = compiler(&source) else {
            return false;
        };
        let compiled = compile.arg(SANITIZERS).arg(&source).arg("-o").arg(&program).status();
        let has = compiled.is_ok_and(|status| status.success()) && runner(&program).status().is_ok_and(|s| s.success());
        if !has {
            eprintln!("SKIPPED: sanitizers: {SANITIZERS} does not make programs that run here");
        }
        has
    })
}

/// The two forms of the program in `source`: with its directory, as long as it is needed.
fn programs(source: &Path) -> Vec<(TempDir, PathBuf)> {
    require_engine();
    let mut programs = Vec::new();
    for library in ["libaskd.a", "libaskd.so"] {
        let Some(mut compile) = compiler(source) else {
            continue;
        };
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        compile.arg(source).arg("-o").arg(&program).arg(built(library));
        if library == "libaskd.a" {
            compile.args(["-lpthread", "-ldl", "-lm"]);
            if has_sanitizers() {
                compile.args([SANITIZERS, "-fno-sanitize-recover=all"]);
            }
        } else {
            let folder = built(library).parent().unwrap().to_owned();
            compile.arg(format!("-Wl,-rpath,{}", folder.display()));
        }
        must_succeed(compile);
        programs.push((folder, program));
    }
    programs
}

fn example(name: &str) -> PathBuf {
    crate_folder().join("../../examples/c").join(name)
}

#[test]
fn the_header_stands_alone_in_c_and_in_cxx() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["alone.c", "alone.cc"] {
        let source = folder.path().join(name);
        fs::write(&source, "#include \"askd.h\"\n#include \"askd.h\"\n").unwrap();
        if let Some(mut compile) = compiler(&source) {
            compile.arg("-Wconversion").arg("-fsyntax-only").arg(&source);
            must_succeed(compile);
        }
    }
}

#[test]
fn every_function_works_from_c() {
    let source = crate_folder().join("tests/abi.c");
    let text = fs::read_to_string(&source).unwrap();
    for function in functions() {
        assert!(
            text.contains(&format!("{}(", function.name)),
            "abi.c does not call {}",
            function.name
        );
    }
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    for (_folder, program) in programs(&source) {
        let mut command = runner(&program);
        command.arg(folder.path());
        let said = String::from_utf8(must_succeed(command).stdout).unwrap();
        let (version, engine) = (
            env!("CARGO_PKG_VERSION"),
            require_engine().version().unwrap_or_default(),
        );
        let opening = format!("{version}, engine {engine}, cpu 1, file cannot be used: ");
        assert!(said.starts_with(&opening), "{said}");
        assert!(said.contains("/nowhere: cannot read: "), "{said}");
    }
}

#[test]
fn the_examples_classify_as_rust_does() {
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let (height, width) = (6, 5);
    let pixels: Vec<u8> = (0..height * width * 3).map(|at| (at * 37 % 256) as u8).collect();
    let mut session = Model::open(folder.path())
        .unwrap()
        .session(&SessionOptions::default())
        .unwrap();
    for (kind, format) in [("P6", PixelFormat::Rgb8), ("P5", PixelFormat::Gray8)] {
        let pixels = &pixels[..height * width * format.channels()];
        let header = format!("{kind}\n# a comment\n{width} {height}\n255\n");
        let file = folder.path().join("image.pnm");
        fs::write(&file, [header.as_bytes(), pixels].concat()).unwrap();
        let image = Image::new(pixels, height, width, format).unwrap();
        let lines = session.classify(&image, 5).unwrap();
        let lines = lines.map(|found| format!("{:6.2} %  {}\n", 100.0 * found.probability, found.label));
        let expected: String = lines.collect();
        for source in ["classify.c", "classify.cc"] {
            for (_folder, program) in programs(&example(source)) {
                let mut command = runner(&program);
                command.arg(folder.path()).arg(&file);
                let output = must_succeed(command);
                assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{source}");
            }
        }
    }
}

#[test]
fn the_examples_say_what_is_wrong() {
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let (good, cut, text) = (
        folder.path().join("good"),
        folder.path().join("cut"),
        folder.path().join("text"),
    );
    fs::write(&good, b"P5 2 2 255\nabcd").unwrap();
    fs::write(&cut, b"P6 2 2 255\nabcd").unwrap();
    fs::write(&text, b"no image").unwrap();
    let nowhere = Path::new("/nowhere");
    let cases = [
        (vec![], "usage: classify"),
        (vec![folder.path(), nowhere], "/nowhere: cannot open"),
        (vec![folder.path(), &cut], "ends before its last pixel"),
        (vec![folder.path(), &text], "expected a binary PGM or PPM file"),
        (vec![nowhere, &good], "/nowhere: cannot read"),
    ];
    for source in ["classify.c", "classify.cc"] {
        for (_folder, program) in programs(&example(source)) {
            for (arguments, expected) in &cases {
                let output = runner(&program).args(arguments).output().unwrap();
                let said = String::from_utf8(output.stderr).unwrap();
                assert_eq!(output.status.code(), Some(1), "{source}: {said}");
                assert!(said.contains(expected) && said.lines().count() == 1, "{source}: {said}");
            }
        }
    }
}

/// A firmware loop that runs, and what it says.
struct Loop {
    child: Child,
    lines: Box<dyn Iterator<Item = String>>,
}

impl Loop {
    fn start(program: &Path, bundles: &Path) -> Self {
        let mut command = runner(program);
        command.arg(bundles).args(["--frames", "20000", "--rate", "200"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let lines = Box::new(lines);
        Self { child, lines }
    }

    /// Waits for a line with all of `parts`.
    #[track_caller]
    fn says(&mut self, parts: &[&str]) -> String {
        let found = self.lines.find(|line| parts.iter().all(|part| line.contains(part)));
        found.unwrap_or_else(|| panic!("it ended without saying {parts:?}"))
    }
}

#[test]
fn the_firmware_loop_swaps_and_refuses_bundles_between_frames() {
    for (_folder, program) in programs(&example("firmware_loop.c")) {
        let bundles = tempfile::tempdir().unwrap();
        let put = |sequence: u64, change: fn(&Path)| {
            let folder = bundle(FIXED, Batch::One, |manifest, _| manifest.sequence = sequence);
            change(folder.path());
            let path = bundles.path().join(format!("{sequence}.askd"));
            fs::rename(folder.keep(), &path).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let as_it_is: fn(&Path) = |_| {};
        put(5, as_it_is);
        let mut running = Loop::start(&program, bundles.path());
        running.says(&["swapped to sequence 5"]);
        running.says(&["frames=", "bundle=5"]);

        let damaged = put(6, |folder| {
            fs::write(folder.join("model.fp32.onnx"), "no model").unwrap()
        });
        running.says(&["refused", &damaged, "by the manifest", "sequence 5 serves on"]);
        let folder = bundle(FIXED, Batch::One, |manifest, golden| {
            manifest.sequence = 7;
            let output = golden.output().iter().map(|logit| logit + 1.0).collect();
            *golden = GoldenData::new(golden.shape(), golden.input().to_vec(), output).unwrap();
        });
        let failing = bundles.path().join("7.askd");
        fs::rename(folder.keep(), &failing).unwrap();
        running.says(&[
            "refused",
            failing.to_str().unwrap(),
            "self test",
            "sequence 5 serves on",
        ]);
        running.says(&["frames=", "bundle=5"]);

        // An older one is passed over without a word.
        put(4, as_it_is);
        put(8, as_it_is);
        running.says(&["swapped to sequence 8"]);
        let line = running.says(&["frames=", "bundle=8"]);
        let number = |name: &str| -> u64 {
            let at = line.find(name).unwrap() + name.len() + 1;
            line[at..].split(' ').next().unwrap().parse().unwrap()
        };
        assert_eq!(number("frames"), number("classified") + number("dropped"), "{line}");
        assert!(number("classified") > 0, "{line}");

        let stop = format!("kill -TERM {}", running.child.id());
        must_succeed({
            let mut command = Command::new("sh");
            command.args(["-c", &stop]);
            command
        });
        let rest: Vec<String> = running.lines.collect();
        assert!(running.child.wait().unwrap().success(), "{rest:?}");
        assert!(rest.iter().all(|line| line.starts_with("frames=")), "{rest:?}");
    }
}

#[test]
fn the_firmware_loop_needs_a_bundle_that_can_serve() {
    for (_folder, program) in programs(&example("firmware_loop.c")) {
        let bundles = tempfile::tempdir().unwrap();
        fs::create_dir(bundles.path().join("empty.askd")).unwrap();
        let output = runner(&program).arg(bundles.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stdout).starts_with("refused "));
        assert!(String::from_utf8_lossy(&output.stderr).contains("no bundle that can serve"));
    }
}

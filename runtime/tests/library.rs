//! Libraries that must be refused, and where a library is found. The process keeps the first library that loads, so
//! what depends on the environment runs in a child process: this program again, with one test.
#![cfg(target_os = "linux")]

mod common;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use askd_runtime::{Engine, Error, Telemetry};
use common::{require_engine, with_version};

const FIX: &str = "set ORT_DYLIB_PATH or run `make onnxruntime`";

fn refusal(path: &Path) -> Error {
    let error = Engine::load(Some(path))
        .map(|_| ())
        .expect_err("the library was accepted");
    let message = error.to_string();
    assert!(message.contains(path.to_str().unwrap()), "names the file: {message}");
    assert!(
        message.contains(FIX) && !message.contains('\n'),
        "says what to do: {message}"
    );
    error
}

#[test]
fn files_that_are_no_library_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    assert!(matches!(refusal(&path), Error::LibraryUnreadable { .. }));
    assert!(matches!(
        refusal(folder.path()),
        Error::LibraryFormat {
            reason: "it is no regular file",
            ..
        }
    ));
    assert!(matches!(
        refusal(Path::new("/dev/zero")),
        Error::LibraryFormat {
            reason: "it is no regular file",
            ..
        }
    ));
    for bytes in [&b""[..], b"just some text\n"] {
        fs::write(&path, bytes).unwrap();
        assert!(matches!(
            refusal(&path),
            Error::LibraryFormat {
                reason: "it is no ELF file",
                ..
            }
        ));
    }
}

#[test]
fn damaged_libraries_are_refused_before_they_are_mapped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    let bytes = fs::read(require_engine().path()).unwrap();
    for length in [40, 4096, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(
            matches!(
                refusal(&path),
                Error::LibraryFormat {
                    reason: "the file is truncated",
                    ..
                }
            ),
            "{length}"
        );
    }
    let mut other = bytes;
    // e_machine: s390x, which no test machine is.
    other[18..20].copy_from_slice(&22u16.to_ne_bytes());
    fs::write(&path, &other).unwrap();
    let error = refusal(&path);
    assert!(matches!(error, Error::LibraryArchitecture { found, .. } if found == "ELF machine 22"));
}

#[test]
fn a_too_old_library_is_refused_with_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    fs::write(&path, with_version("1.16.3")).unwrap();
    let error = refusal(&path);
    assert!(
        matches!(error, Error::LibraryTooOld { ref found, minimum: "1.17", .. } if found == "1.16.3"),
        "{error}"
    );
}

#[test]
fn a_second_library_is_a_conflict_and_the_same_one_is_not() {
    let engine = require_engine();
    let loaded = engine.path().to_owned();
    assert!(std::ptr::eq(Engine::load(Some(&loaded)).unwrap(), engine));
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("linked.so");
    std::os::unix::fs::symlink(&loaded, &link).unwrap();
    assert!(std::ptr::eq(Engine::load(Some(&link)).unwrap(), engine));
    let copy = folder.path().join("copied.so");
    fs::copy(&loaded, &copy).unwrap();
    let error = Engine::load(Some(&copy)).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::LibraryConflict { requested, .. } if requested == copy));
}

#[test]
fn the_development_library_is_recent_enough() {
    let engine = require_engine();
    assert_eq!(engine.warning(), None, "{engine:?}");
}

#[test]
fn telemetry_is_told_of_unless_it_is_off() {
    let library = require_engine();
    let has_it = library.telemetry() != Telemetry::None;
    for (value, off) in [(None, false), (Some("0"), false), (Some("1"), true)] {
        let mut command = child_command(&env::current_exe().unwrap(), None, Some(library.path()));
        command.env_remove("ORT_DISABLE_TELEMETRY");
        command.envs(value.map(|value| ("ORT_DISABLE_TELEMETRY", value)));
        // ONNX Runtime reports nothing from continuous integration: so this test sends nothing even where telemetry is on
        command.env("CI", "1");
        let said = what_it_says(command);
        let told = said.contains("reports to Microsoft") && said.contains("set ORT_DISABLE_TELEMETRY=1");
        assert_eq!(told, has_it && !off, "{value:?}: {said}");
        assert_eq!(said.contains("warning None"), !told, "{value:?}: {said}");
    }
}

#[test]
fn telemetry_of_a_library_that_the_loader_finds_is_told_of_too() {
    let library = require_engine().path();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(library, folder.path().join("libonnxruntime.so")).unwrap();
    // away from the places beside the executable
    let program = folder.path().join("bin/deep/program");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let mut command = child_command(&program, None, None);
    command.env("LD_LIBRARY_PATH", folder.path()).env("CI", "1");
    command.env_remove("ORT_DISABLE_TELEMETRY");
    let said = what_it_says(command);
    assert!(said.starts_with("loaded libonnxruntime.so "), "{said}");
    let has_it = require_engine().telemetry() != Telemetry::None;
    assert_eq!(said.contains("reports to Microsoft"), has_it, "{said}");
}

/// The body of a child below.
#[test]
#[ignore = "run by the other tests in a process of its own"]
fn quiet_child() {
    askd_runtime::disable_telemetry();
    let value = env::var("ORT_DISABLE_TELEMETRY");
    println!("loaded {} {value:?} {:?}", std::process::id(), env::args().next_back());
}

#[test]
fn a_program_starts_anew_without_telemetry() {
    if !common::emulator().is_empty() {
        // The emulated program can't be started again by its own name.
        return;
    }
    let own = env::current_exe().unwrap();
    for (given, expected) in [(None, "1"), (Some("0"), "0"), (Some(""), "")] {
        let mut command = Command::new(&own);
        command.args(["--exact", "quiet_child", "--ignored", "--nocapture"]);
        command.env_remove("ORT_DISABLE_TELEMETRY");
        command.envs(given.map(|value| ("ORT_DISABLE_TELEMETRY", value)));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let expected = format!(r#"loaded {} Ok("{expected}") Some("--nocapture")"#, child.id());
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&expected), "{given:?}: expected {expected}, got {text}");
    }
}

/// The body of the children below: loads, and says in one line how it went.
#[test]
#[ignore = "run by the other tests in a process of its own"]
fn child() {
    match Engine::load(env::var_os("CHILD_LIBRARY").map(PathBuf::from).as_deref()) {
        Ok(engine) => println!("loaded {} warning {:?}", engine.path().display(), engine.warning()),
        Err(error) => println!("refused {error:?} {error}"),
    }
}

/// What the child says when run as `program` with `ORT_DYLIB_PATH` and `CHILD_LIBRARY` so.
fn in_child(program: &Path, variable: Option<&Path>, explicit: Option<&Path>) -> String {
    what_it_says(child_command(program, variable, explicit))
}

fn child_command(program: &Path, variable: Option<&Path>, explicit: Option<&Path>) -> Command {
    let mut command = common::command(program);
    command.args(["--exact", "child", "--ignored", "--nocapture"]);
    command.env_remove("ORT_DYLIB_PATH").env_remove("CHILD_LIBRARY");
    command.envs(variable.map(|path| ("ORT_DYLIB_PATH", path)));
    command.envs(explicit.map(|path| ("CHILD_LIBRARY", path)));
    command
}

fn what_it_says(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}: {text}", output.status);
    let said = text
        .lines()
        .find_map(|line| line.find("loaded ").or(line.find("refused ")).map(|at| &line[at..]));
    said.unwrap_or_else(|| panic!("the child said nothing: {text}"))
        .to_owned()
}

#[test]
fn the_variable_is_a_demand_and_an_explicit_path_comes_first() {
    let own = env::current_exe().unwrap();
    let library = require_engine().path();
    let missing = Path::new("/nowhere/libonnxruntime.so");
    let said = in_child(&own, Some(missing), None);
    assert!(
        said.starts_with("refused LibraryUnreadable") && said.contains("/nowhere/") && said.contains(FIX),
        "{said}"
    );
    let said = in_child(&own, Some(missing), Some(library));
    assert!(said.starts_with(&format!("loaded {}", library.display())), "{said}");
}

#[test]
fn a_library_without_onnx_runtime_in_it_is_refused() {
    // The C library of this very process: complete, of the right architecture, and no ONNX Runtime.
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let path = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .find(|path| path.contains("libc.so"));
    let said = in_child(&env::current_exe().unwrap(), None, path.map(Path::new));
    assert!(
        said.starts_with("refused LibraryLoad") && said.contains("OrtGetApiBase"),
        "{said}"
    );
}

#[test]
fn the_loaders_own_words_reach_the_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    let mut bytes = fs::read(require_engine().path()).unwrap();
    // EI_VERSION: only 1 is defined; the loader refuses others.
    bytes[6] = 9;
    fs::write(&path, bytes).unwrap();
    let said = in_child(&env::current_exe().unwrap(), None, Some(&path));
    assert!(
        said.starts_with("refused LibraryLoad") && said.contains(": dlopen failed: ") && said.contains(FIX),
        "{said}"
    );
}

#[test]
fn an_accepted_but_elderly_library_brings_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so.1.28.2");
    fs::write(&path, with_version("1.28.2")).unwrap();
    let said = in_child(&env::current_exe().unwrap(), None, Some(&path));
    assert!(
        said.starts_with("loaded") && said.contains("ONNX Runtime 1.28.2 can crash"),
        "{said}"
    );
}

#[test]
fn without_a_name_the_library_beside_the_executable_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    for place in ["bin", "lib", "onnxruntime/lib"] {
        fs::create_dir_all(folder.path().join(place)).unwrap();
    }
    let program = folder.path().join("bin/program");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let library = require_engine().path();

    // Nothing there: the system's own, if it has one, else an error that lists the places.
    let said = in_child(&program, None, None);
    let listed = [
        "bin/libonnxruntime.so",
        "bin/../lib/libonnxruntime.so",
        "bin/../onnxruntime/lib/libonnxruntime.so",
    ];
    let not_found = said.starts_with("refused LibraryNotFound") && listed.iter().all(|place| said.contains(place));
    assert!(not_found || said.starts_with("loaded libonnxruntime.so"), "{said}");

    for place in [
        "onnxruntime/lib/libonnxruntime.so.1",
        "lib/libonnxruntime.so.1.32.0",
        "bin/libonnxruntime.so",
    ] {
        std::os::unix::fs::symlink(library, folder.path().join(place)).unwrap();
        let said = in_child(&program, None, None);
        let name = Path::new(place).file_name().unwrap().to_str().unwrap();
        assert!(
            said.starts_with("loaded") && said.contains(&format!("/{name} ")),
            "{place}: {said}"
        );
    }
}

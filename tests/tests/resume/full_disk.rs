//! A write that fails ends the run with an error and leaves what it can go on from.
//!
//! The disk is full for files over a limit, which the shell sets: a write beyond it fails as on a full disk (EFBIG for
//! ENOSPC).

use super::*;

/// Runs `askd-compile` where no file can have more bytes.
fn run_with_limit(workspace: &Workspace, arguments: &str, bytes: usize) -> Outcome {
    let inner = workspace.command(arguments);
    let mut command = Command::new("sh");
    // the signal's default is to end the process; blocks of 512 bytes are POSIX's
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", bytes / 512);
    command
        .args(["-c", &script, "sh"])
        .arg(inner.get_program())
        .args(inner.get_args());
    command.current_dir(inner.get_current_dir().unwrap());
    Outcome::of(command)
}

/// The run fails at the file `at`, and goes on to the bits of a run that never failed.
fn fails_and_goes_on(workspace: &Workspace, arguments: &str, bytes: usize, at: &str) {
    workspace.run(&format!("{arguments} --out whole")).text();
    let broken = format!("{arguments} --checkpoint-seconds 0 --out broken");
    let outcome = run_with_limit(workspace, &broken, bytes);
    assert_eq!(
        outcome.error(1),
        format!("error: broken/{at}: File too large (os error 27)")
    );
    assert_eq!(leftovers(workspace, "broken"), 0);
    assert!(!workspace.path("broken/result.json").exists());
    // full still: the same again
    let outcome = run_with_limit(workspace, &format!("{broken} --resume"), bytes);
    assert!(outcome.error(1).contains(at), "{outcome:?}");
    workspace.run(&format!("{broken} --resume")).text();
    assert!(results(workspace, "broken") == results(workspace, "whole"));
}

// resnet8's weights are 0.30 MB, the momentum as much: checkpoints of the first epoch are 0.60 MB, later ones, which
// hold the best weights too, 0.91 MB

#[test]
fn where_no_checkpoint_fits() {
    fails_and_goes_on(
        &small_workspace(),
        TRAIN,
        400_000,
        "checkpoints/step-000000001.safetensors",
    );
}

#[test]
fn where_the_best_weights_do_not_fit() {
    let arguments = format!("{TRAIN} --checkpoint-seconds 1000");
    let workspace = small_workspace();
    let outcome = run_with_limit(&workspace, &format!("{arguments} --out run"), 200_000);
    let line = outcome.error(1);
    assert!(line.starts_with("error: run/best/weights.safetensors: "), "{line}");
    assert_eq!(leftovers(&workspace, "run"), 0);
}

#[test]
fn where_checkpoints_outgrow_the_room() {
    fails_and_goes_on(
        &small_workspace(),
        TRAIN,
        800_000,
        "checkpoints/step-000000009.safetensors",
    );
}

#[test]
fn between_the_last_step_and_the_end_of_its_epoch() {
    // the checkpoint of the last step stands, that of the closed epoch does not fit
    let arguments = format!("{TRAIN} --max-steps 5");
    fails_and_goes_on(
        &small_workspace(),
        &arguments,
        800_000,
        "checkpoints/step-000000005.safetensors",
    );
}

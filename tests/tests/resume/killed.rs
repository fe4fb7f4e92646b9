//! `kill -9` at random points, also while checkpoints are written.

use std::process::Stdio;

use askd_tests::Random;

use super::*;

/// Points at which the run is killed.
const KILLS: usize = 20;

/// Whether a file is being written into this directory.
fn is_writing(workspace: &Workspace, dir: &str) -> bool {
    let Ok(mut entries) = fs::read_dir(workspace.path(dir)) else {
        return false;
    };
    entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with('.')))
}

/// Starts a run, and kills it after it has a checkpoint of at least this step: while it writes one, or after a delay.
/// Gives whether it was killed; a run that has ended before cannot be.
fn kill(workspace: &Workspace, arguments: &str, run: &str, step: usize, delay: Option<Duration>) -> bool {
    let mut command = workspace.command(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let checkpoints_dir = format!("{run}/checkpoints");
    let reached = |workspace| step == 0 || checkpoints(workspace, run).last().is_some_and(|last| *last >= step);
    let deadline = Instant::now() + Duration::from_secs(300);
    while child.try_wait().unwrap().is_none()
        && !(reached(workspace) && (delay.is_some() || is_writing(workspace, &checkpoints_dir)))
    {
        assert!(Instant::now() < deadline, "step {step} is not reached in five minutes");
    }
    sleep(delay.unwrap_or_default());
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(status.code().is_none_or(|code| code == 0), "{status}");
    !status.success()
}

#[test]
fn killed_twenty_times_a_run_ends_with_the_same_bits() {
    let workspace = small_workspace();
    let teacher = TRAIN.replace("--epochs 3", "--epochs 1");
    workspace.run(&format!("{teacher} --out teacher")).text();
    workspace.run(&format!("{DISTILL} --out whole")).text();
    let whole = results(&workspace, "whole");
    let steps = whole.2.last().unwrap()["step"].as_u64().unwrap() as usize;

    // checkpoints after every step, of which the undisturbed run had none: they change no bit either
    let broken = format!("{DISTILL} --checkpoint-seconds 0 --resume --out broken");
    let mut random = Random::new(4);
    let mut points: Vec<usize> = (0..KILLS)
        .map(|_| (random.unit() * (steps + 1) as f32) as usize)
        .collect();
    points.sort_unstable();
    let (mut killed, mut within_a_write) = (0, 0);
    for (number, step) in points.into_iter().enumerate() {
        // milliseconds: about a step and its checkpoint
        let delay = Duration::from_secs_f32(0.03 * random.unit());
        let delay = (number % 2 == 0).then_some(delay);
        killed += usize::from(kill(&workspace, &broken, "broken", step, delay));
        within_a_write += usize::from(leftovers(&workspace, "broken") > 0);
    }
    println!("killed {killed} times, {within_a_write} times within a write");
    assert!(killed > KILLS / 2 && within_a_write > 0, "{killed} {within_a_write}");

    workspace.run(&broken).text();
    assert!(results(&workspace, "broken") == whole);
    assert_eq!(leftovers(&workspace, "broken"), 0);
}

/// The peer and its momentum are in the checkpoint too.
#[test]
fn mutual_learning_killed_ends_with_the_same_bits() {
    let workspace = small_workspace();
    let dml = "distill --student resnet8 --method dml --data fashion-mnist:fashion --epochs 2 --batch 8";
    workspace.run(&format!("{dml} --out whole")).text();
    let broken = format!("{dml} --checkpoint-seconds 0 --resume --out broken");
    assert!(kill(&workspace, &broken, "broken", 5, Some(Duration::ZERO)));
    assert!(!workspace.path("broken/result.json").exists());
    workspace.run(&broken).text();
    assert!(results(&workspace, "broken") == results(&workspace, "whole"));
}

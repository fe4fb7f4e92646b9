//! A damaged checkpoint costs the steps since the one before; other data than the run began with are refused.

use super::*;

/// A run that has ended, and its checkpoints' paths, the newest last.
fn ended_run(workspace: &Workspace) -> Vec<String> {
    workspace.run(&format!("{TRAIN} --out run")).text();
    let steps = checkpoints(workspace, "run");
    assert_eq!(steps, [18, 27]);
    let path = |step| format!("run/checkpoints/step-{step:09}.safetensors");
    steps.into_iter().map(path).collect()
}

/// What can happen to a file.
fn damages(whole: &[u8]) -> [(&'static str, Vec<u8>); 6] {
    let flipped = |at: usize| {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 16;
        bytes
    };
    let metadata = whole.windows(8).position(|window| window == b"position").unwrap();
    [
        ("cut off", whole[..whole.len() - 1000].to_vec()),
        ("a value changed", flipped(whole.len() - 1000)),
        ("its position changed", flipped(metadata + 30)),
        ("its header's length changed", flipped(5)),
        ("empty", Vec::new()),
        ("garbage", whole.iter().map(|byte| byte ^ 0x5a).collect()),
    ]
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let workspace = small_workspace();
    let newest = ended_run(&workspace).pop().unwrap();
    let before = results(&workspace, "run");
    for (damage, bytes) in damages(&workspace.read(&newest)) {
        workspace.write(&newest, bytes);
        // what a run had made in the meantime, or what else is there, is none of the older checkpoint's
        workspace.write("run/best/weights.safetensors", "garbage");
        workspace.write("run/metrics.jsonl", "garbage");
        let outcome = workspace.run(&format!("{TRAIN} --resume --out run"));
        let warnings: Vec<&str> = outcome
            .stderr
            .lines()
            .filter(|line| line.starts_with("warning: "))
            .collect();
        assert_eq!(warnings.len(), 1, "{damage}: {outcome:?}");
        assert!(
            warnings[0].starts_with(&format!("warning: {newest}: ")),
            "{damage}: {}",
            warnings[0]
        );
        assert!(
            warnings[0].ends_with("; going on from step 18"),
            "{damage}: {}",
            warnings[0]
        );
        outcome.text();
        assert!(results(&workspace, "run") == before, "{damage}");
    }
    // all is well again
    let outcome = workspace.run(&format!("{TRAIN} --resume --out run"));
    assert!(!outcome.stderr.contains("warning"), "{outcome:?}");
    outcome.text();
}

#[test]
fn where_no_checkpoint_is_whole_a_run_says_how_to_go_on() {
    let workspace = small_workspace();
    let all = ended_run(&workspace);
    let before = results(&workspace, "run");
    all.iter().for_each(|path| workspace.write(path, "garbage"));
    let line = workspace.refused(&format!("{TRAIN} --resume --out run"));
    assert!(
        line.starts_with("error: run/checkpoints: expected a whole checkpoint, got "),
        "{line}"
    );
    assert!(all.iter().all(|path| line.contains(path)), "{line}");
    assert!(line.ends_with("start the run again without --resume"), "{line}");
    workspace.run(&format!("{TRAIN} --out run")).text();
    assert!(results(&workspace, "run") == before);
}

#[test]
fn a_run_is_not_resumed_with_other_images() {
    let workspace = small_workspace();
    ended_run(&workspace);
    let before = results(&workspace, "run");
    // a pixel of a training image, one of a validation image, which is never trained on, one of a test image
    let mut refusals = Vec::new();
    for (file, at) in [
        ("train-images-idx3-ubyte", 5000),
        ("train-images-idx3-ubyte", 60_000),
        ("t10k-images-idx3-ubyte", 5000),
    ] {
        let file = format!("fashion/{file}");
        let whole = workspace.read(&file);
        let mut changed = whole.clone();
        changed[at] ^= 1;
        workspace.write(&file, changed);
        refusals.push(workspace.refused(&format!("{TRAIN} --resume --out run")));
        workspace.write(&file, whole);
    }
    let start = "error: --resume: expected the images of the run in --out (sha256 ";
    let digests = refusals.iter().map(|line| {
        let rest = line.strip_prefix(start).unwrap_or_else(|| panic!("{line}"));
        let (stored, given) = rest
            .split_once("), got others in fashion-mnist:fashion (sha256 ")
            .unwrap();
        assert_eq!((stored.len(), given.len()), (64, 65), "{line}");
        (stored, given)
    });
    let mut all: Vec<&str> = digests.flat_map(|(stored, given)| [stored, given]).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 4, "{refusals:?}");
    workspace.run(&format!("{TRAIN} --resume --out run")).text();
    assert!(results(&workspace, "run") == before);
}

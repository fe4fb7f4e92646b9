//! Damage of every kind is seen, and costs no more than the checkpoint that has it.

use super::*;
use crate::evaluate::Evaluation;
use crate::weights::HostTensor;

fn weights(values: &[f32]) -> Weights {
    let tensor = HostTensor::new(vec![values.len()], values.to_vec());
    Weights::from([("layer.weight".to_owned(), tensor)])
}

fn checkpoint(step: usize) -> Checkpoint {
    let record = EpochRecord {
        epoch: 1,
        step: 3,
        learning_rate: 0.1,
        loss: f64::INFINITY,
        train_top1: 100.0 / 3.0,
        terms: [("term".to_owned(), f64::NEG_INFINITY)].into(),
        validation: Some(Evaluation {
            top1: 10.0,
            top5: 50.0,
            loss: 1.0 / 3.0,
            images: 10,
        }),
        teacher_validation: Vec::new(),
        images_per_second: 1e9,
        data_wait_share: 0.0,
    };
    Checkpoint {
        position: Position {
            epoch: 1,
            batch: 2,
            step,
            best: Some((f64::MAX, 1)),
            seconds: 0.1 + 0.2,
            recipe: "a recipe".to_owned(),
            data: "data".to_owned(),
            events: 1 << 40,
            sums: Sums {
                images: 8,
                correct: 3,
                loss: 1e-300,
                terms: [("term".to_owned(), (f64::NEG_INFINITY, 2))].into(),
            },
            records: vec![record],
        },
        state: State::from([
            ("momentum".to_owned(), weights(&[-0.0, f32::MIN_POSITIVE])),
            ("network".to_owned(), weights(&[1.0, f32::INFINITY, 0.1])),
        ]),
        best: Some(weights(&[3.0, 4.0, 5.0])),
    }
}

fn path(run: &Path, step: usize) -> PathBuf {
    run.join(DIRECTORY).join(format!("step-{step:09}.safetensors"))
}

fn steps(run: &Path) -> Vec<PathBuf> {
    list(run).unwrap()
}

#[test]
fn a_checkpoint_reads_back_to_the_bit() {
    let run = tempfile::tempdir().unwrap();
    assert_eq!(load_newest(run.path()).unwrap(), None);
    save(run.path(), checkpoint(5)).unwrap();
    assert_eq!(load_newest(run.path()).unwrap(), Some(checkpoint(5)));
    // before the first epoch has ended; and a mean that is no number, which equals nothing, not even itself
    let mut young = Checkpoint {
        best: None,
        ..checkpoint(6)
    };
    young.position.records.clear();
    young.position.best = None;
    young.position.sums.loss = f64::NAN;
    save(run.path(), young).unwrap();
    let read = load_newest(run.path()).unwrap().unwrap();
    assert!(read.best.is_none() && read.position.best.is_none() && read.position.records.is_empty());
    assert!(read.position.sums.loss.is_nan());
}

#[test]
fn two_are_kept() {
    let run = tempfile::tempdir().unwrap();
    for step in [1, 2, 10] {
        save(run.path(), checkpoint(step)).unwrap();
    }
    assert_eq!(steps(run.path()), [2, 10].map(|step| path(run.path(), step)));
    clear(run.path()).unwrap();
    assert_eq!(load_newest(run.path()).unwrap(), None);
}

#[test]
fn no_bit_can_change_unseen() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), checkpoint(5)).unwrap();
    let path = path(run.path(), 5);
    let whole = fs::read(&path).unwrap();
    let mut seen = 0;
    for bit in 0..8 * whole.len() {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        match load(&path) {
            // blanks that pad the header say nothing, and may become other blanks
            Ok(read) => assert_eq!(read, checkpoint(5), "bit {bit}"),
            Err(_) => seen += 1,
        }
    }
    assert!(seen >= 8 * (whole.len() - 16), "{seen} of {}", 8 * whole.len());
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(load(&path).is_err(), "{length} bytes");
    }
}

/// A file that is well made and yet no checkpoint.
fn write(path: &Path, tensors: &Weights, metadata: &[(&str, String)]) {
    let metadata = metadata.iter().map(|(key, text)| ((*key).to_owned(), text.clone()));
    save_safetensors(path, tensors, Some(metadata.collect())).unwrap();
}

#[test]
fn what_is_no_checkpoint_says_so() {
    let run = tempfile::tempdir().unwrap();
    fs::create_dir(run.path().join(DIRECTORY)).unwrap();
    let path = path(run.path(), 5);
    let position = toml::to_string(&checkpoint(5).position).unwrap();
    let named = Weights::from([("network/weight".to_owned(), HostTensor::new(vec![1], vec![1.0]))]);
    let signed = |position: &str, tensors: &Weights| {
        let position = position.to_owned();
        let digest = digest(&position, tensors);
        [(POSITION, position), (DIGEST, digest)]
    };
    let refused = |tensors: &Weights, metadata: &[(&str, String)], expected: &str| {
        write(&path, tensors, metadata);
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    };
    refused(&named, &[], "without position");
    refused(&named, &[(POSITION, position.clone())], "without sha256");
    refused(&named, &signed("step = \"five\"\n", &named), "a training checkpoint");
    refused(&weights(&[1.0]), &signed(&position, &weights(&[1.0])), "GROUP/NAME");
    write(&path, &named, &signed(&position, &named));
    assert!(load(&path).is_ok());
}

#[test]
fn the_one_before_stands_in_for_a_damaged_one() {
    let run = tempfile::tempdir().unwrap();
    for step in [4, 8] {
        save(run.path(), checkpoint(step)).unwrap();
    }
    fs::write(path(run.path(), 8), b"").unwrap();
    assert_eq!(load_newest(run.path()).unwrap(), Some(checkpoint(4)));
    // the damaged one is gone once there is another to fall back to
    save(run.path(), checkpoint(6)).unwrap();
    assert_eq!(steps(run.path()), [4, 6].map(|step| path(run.path(), step)));

    for step in [4, 6] {
        fs::write(path(run.path(), step), b"garbage of some length").unwrap();
    }
    let error = load_newest(run.path()).unwrap_err().to_string();
    let names = [4, 6].map(|step| path(run.path(), step).display().to_string());
    assert!(names.iter().all(|name| error.contains(name)), "{error}");
    assert!(error.ends_with("; start the run again without --resume"), "{error}");
}

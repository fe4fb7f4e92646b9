use std::sync::Arc;
use std::thread::sleep;

use super::*;
use crate::bundle::{input_of, input_of_files};
use crate::data::{CorruptFiles, DataSpec, Part};

fn loader() -> Loader {
    let set = DataSpec::embedded().load(Part::Test).unwrap();
    Loader {
        set: set.select(0..500),
        preprocess: Preprocess::new(&input_of([1, 28, 28], &[0.0], &[1.0])).unwrap(),
        rounded: None,
        augmentation: Some(Augmentation {
            crop_padding: 2,
            ..Augmentation::default()
        }),
        batch: 64,
        seed: Some(1),
    }
}

fn all(batches: Batches) -> Vec<(Vec<f32>, Vec<u32>)> {
    let batch = |batch: Result<Batch>| batch.map(|batch| (batch.images, batch.labels)).unwrap();
    batches.map(batch).collect()
}

#[test]
fn an_epoch_is_the_same_however_it_is_read() {
    let loader = loader();
    let whole = all(loader.epoch(3, 0).unwrap());
    assert_eq!(whole.len(), loader.batches_per_epoch());
    assert_eq!(whole.iter().map(|batch| batch.1.len()).sum::<usize>(), 500);
    assert!(whole != all(loader.epoch(4, 0).unwrap()));
    // entered in the middle, beside another epoch, by a reader that lags behind
    let other = loader.epoch(4, 0).unwrap();
    let slow = loader.epoch(3, 5).unwrap().map(|batch| {
        sleep(Duration::from_millis(2));
        batch.unwrap().images
    });
    assert!(slow.eq(whole[5..].iter().map(|batch| batch.0.clone())));
    drop(other);
}

#[test]
fn a_reader_that_leaves_ends_the_thread() {
    let loader = loader();
    for taken in 0..4 {
        let mut batches = loader.epoch(0, 0).unwrap();
        assert_eq!(batches.by_ref().take(taken).count(), taken);
        // by then the thread waits for room in the queue; else it is busy
        if taken % 2 == 0 {
            sleep(Duration::from_millis(20));
        }
        drop(batches);
        assert_eq!(
            Arc::strong_count(&loader.set.entries),
            1,
            "the thread still holds its images"
        );
    }
}

#[test]
fn waiting_is_counted() {
    let mut batches = loader().epoch(0, 0).unwrap();
    batches.next().unwrap().unwrap();
    let first = batches.waited();
    assert!(first > Duration::ZERO);
    // whatever the machine does meanwhile, batches in the queue need no waiting
    sleep(Duration::from_millis(300));
    for _ in 0..QUEUED_BATCHES {
        batches.next().unwrap().unwrap();
    }
    assert!(
        batches.waited() - first < Duration::from_millis(100),
        "{:?}",
        batches.waited()
    );
    assert!(batches.by_ref().count() > 0);
    assert!(batches.next().is_none(), "an ended epoch stays ended");
}

/// A data set of image files, PNG and JPEG, one more row and column each; the first is damaged.
fn files(dir: &std::path::Path) -> ImageSet {
    for class in ["train/a", "train/b"] {
        let class = dir.join(class);
        std::fs::create_dir_all(&class).unwrap();
        for number in 0..12 {
            let pixel = |x: u32, y: u32| image::Rgb([(x * 9 + number) as u8, (y * 11) as u8, (x * y) as u8]);
            let picture = image::RgbImage::from_fn(20 + number, 30 - number, pixel);
            let extension = if number % 2 == 0 { "png" } else { "jpg" };
            picture.save(class.join(format!("{number:02}.{extension}"))).unwrap();
        }
    }
    std::fs::write(dir.join("train/a/00.png"), "damaged").unwrap();
    let spec: DataSpec = format!("folder:{}", dir.display()).parse().unwrap();
    spec.load(Part::Train).unwrap().with_corrupt_files(CorruptFiles::Skip)
}

fn file_loader(set: ImageSet) -> Loader {
    Loader {
        set,
        preprocess: Preprocess::new(&input_of([3, 16, 16], &[0.5; 3], &[0.25; 3])).unwrap(),
        ..loader()
    }
}

#[test]
fn files_give_the_same_bits_on_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let loader = Loader {
        batch: 5,
        ..file_loader(files(dir.path()))
    };
    let positions: Vec<usize> = loader.order(2);
    let batch_on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let batch = pool.install(|| loader.make(2, 3, &positions[15..20])).unwrap();
        (batch.images, batch.labels)
    };
    let one = batch_on(1);
    assert!(one == batch_on(3));
    let epoch = all(loader.epoch(2, 0).unwrap());
    assert!(epoch[3] == one);
    assert!(epoch[2..] == all(loader.epoch(2, 2).unwrap()));
    assert!(epoch != all(loader.epoch(3, 0).unwrap()));
}

#[test]
fn pixels_of_nothing_but_damaged_files_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let loader = file_loader(files(dir.path()).select(0..1));
    let error = loader.for_each_pixels(|_, _| panic!("an image")).unwrap_err();
    assert!(error.to_string().contains("among 1, got none"), "{error}");
    let none = file_loader(files(dir.path()).select([]));
    none.for_each_pixels(|_, _| panic!("an image")).unwrap();
}

#[test]
fn a_skipped_file_leaves_images_and_labels_together() {
    let dir = tempfile::tempdir().unwrap();
    let set = files(dir.path());
    let preprocess = Preprocess::new(&input_of_files([3, 16, 16], &[0.5; 3], &[0.25; 3])).unwrap();
    let whole = all(Loader::plain(set.clone(), preprocess.clone(), 24).epoch(0, 0).unwrap()).remove(0);
    assert_eq!(whole.1, [vec![0; 11], vec![1; 12]].concat());
    assert_eq!(set.skipped_files(), 1);
    // the same images without the damaged one, one by one
    let single = all(Loader::plain(set.select(1..24), preprocess.clone(), 1)
        .epoch(0, 0)
        .unwrap());
    assert!(single.iter().flat_map(|batch| &batch.0).eq(&whole.0));
    let batch = Loader::plain(set.clone(), preprocess.clone(), 24)
        .make(0, 0, &[5, 0, 23])
        .unwrap();
    assert_eq!((batch.positions, batch.labels), (vec![5, 23], vec![0, 1]));
    // large images are taken fewer at a time
    let large = Preprocess::new(&input_of_files([3, 224, 224], &[0.5; 3], &[0.25; 3])).unwrap();
    assert_eq!(Loader::plain(set.clone(), large, 250).batch, 20);
    assert_eq!(Loader::plain(set, preprocess, 250).batch, 250);
}

#[test]
fn a_batch_of_skipped_files_alone_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let set = files(dir.path());
    let preprocess = Preprocess::new(&input_of_files([3, 16, 16], &[0.5; 3], &[0.25; 3])).unwrap();
    let loader = |positions: &[usize]| Loader::plain(set.select(positions.to_vec()), preprocess.clone(), 2);
    let batches = |positions: &[usize], first: usize| -> Vec<Result<(usize, Vec<u32>)>> {
        let batches = loader(positions).epoch(0, first).unwrap();
        batches
            .map(|batch| batch.map(|batch| (batch.number, batch.positions)))
            .collect()
    };
    for first in [0, 1] {
        let kept: Vec<_> = batches(&[1, 2, 0, 0, 3], first)
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(kept, [(0, vec![0, 1]), (2, vec![4])][first..]);
    }
    // nothing to see is no result
    let mut none = batches(&[0, 0, 0], 0);
    let error = none.remove(0).unwrap_err().to_string();
    assert!(none.is_empty());
    assert_eq!(error, "--data: expected an image that can be decoded among 3, got none");
}

#[test]
fn half_of_the_crops_are_mirrored() {
    let dir = tempfile::tempdir().unwrap();
    // red grows from left to right
    let class = dir.path().join("train/a");
    std::fs::create_dir_all(&class).unwrap();
    let ramp = image::RgbImage::from_fn(64, 48, |x, _| image::Rgb([4 * x as u8, 0, 0]));
    ramp.save(class.join("ramp.png")).unwrap();
    let spec: DataSpec = format!("folder:{}", dir.path().display()).parse().unwrap();
    let set = spec.load(Part::Train).unwrap().select([0; 200]);
    let mirrored = |horizontal_flip: bool| {
        let augmentation = Some(Augmentation {
            horizontal_flip,
            ..Augmentation::default()
        });
        let loader = Loader {
            augmentation,
            ..file_loader(set.clone())
        };
        let batches = all(loader.epoch(0, 0).unwrap());
        let images = batches.iter().flat_map(|batch| batch.0.chunks_exact(3 * 256));
        images.filter(|image| image[0] > image[15]).count()
    };
    assert_eq!(mirrored(false), 0);
    // 100, standard deviation 7
    assert!((70..130).contains(&mirrored(true)));
}

#[test]
fn pixels_for_a_model_of_pixels_are_rounded() {
    let dir = tempfile::tempdir().unwrap();
    let set = files(dir.path());
    let input = |shape| input_of_files(shape, &[0.0; 3], &[1.0 / 255.0; 3]);
    let plain = Loader::plain(set, Preprocess::new(&input([3, 8, 8])).unwrap(), 24);
    let rounded = Loader {
        rounded: Some(Preprocess::new(&input_of([3, 8, 8], &[0.0; 3], &[1.0 / 255.0; 3])).unwrap()),
        ..plain.clone()
    };
    let [plain, rounded] = [plain, rounded].map(|loader| all(loader.epoch(0, 0).unwrap()).remove(0).0);
    let far = plain.iter().zip(&rounded).map(|(one, other)| (one - other).abs());
    assert!(far.fold(0.0, f32::max) <= 0.5 + 1e-3);
    assert!(rounded.iter().all(|value| (value - value.round()).abs() < 1e-3));
    assert!(plain.iter().any(|value| (value - value.round()).abs() > 0.2));
}

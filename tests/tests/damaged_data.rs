//! Data sets that are cut or changed: the file is named, and nothing is trained on what is left of it.

use askd_tests::{archive, fashion_mnist};
use flate2::Compression;

use crate::refusals::{TRAIN, says, workspace};

#[test]
fn damaged_data_sets_are_named() {
    let workspace = workspace();
    says(&workspace.refused(&TRAIN.replace("ten", "nowhere")), &["nowhere"]);
    for (file, kind, example) in [
        ("test_batch.bin", "cifar10", "ten"),
        ("test.bin", "cifar100", "hundred"),
    ] {
        let whole = workspace.read(format!("{example}/{file}"));
        for length in [0, 1, 3072, whole.len() - 1] {
            workspace.write(format!("{example}/{file}"), &whole[..length]);
            let line = workspace.refused(&TRAIN.replace("cifar10:ten", &format!("{kind}:{example}")));
            says(&line, &[file, "whole records"]);
        }
        let mut wrong = whole;
        // the last label byte of the first record
        wrong[if kind == "cifar10" { 0 } else { 1 }] = 100;
        workspace.write(format!("{example}/{file}"), wrong);
        let line = workspace.refused(&TRAIN.replace("cifar10:ten", &format!("{kind}:{example}")));
        says(&line, &[file, "labels below", "100"]);
    }
    let empty = workspace.path("empty");
    std::fs::create_dir(empty).unwrap();
    for kind in ["cifar10", "cifar100", "fashion-mnist"] {
        says(
            &workspace.refused(&TRAIN.replace("cifar10:ten", &format!("{kind}:empty"))),
            &["empty"],
        );
    }
}

#[test]
fn damaged_archives_are_named() {
    let workspace = workspace();
    // stored, not packed: a changed byte then gives other pixels, and only the checksum at the end tells
    for compression in [Compression::none(), Compression::best()] {
        let whole = archive(&workspace.path("ten"), compression);
        workspace.write("ten.tar.gz", &whole);
        let eval = "eval --model resnet8 --weights good.safetensors --data cifar10:ten.tar.gz";
        assert_eq!(workspace.run(&format!("{eval} --json")).json()["images"], 20);
        for length in [0, 5, whole.len() / 2, whole.len() - 1] {
            workspace.write("ten.tar.gz", &whole[..length]);
            says(&workspace.refused(eval), &["ten.tar.gz", "archive"]);
        }
        let mut changed = whole.clone();
        changed[whole.len() * 3 / 4] ^= 1;
        workspace.write("ten.tar.gz", changed);
        says(
            &workspace.refused(&TRAIN.replace(":ten", ":ten.tar.gz")),
            &["ten.tar.gz", "archive"],
        );
    }
    workspace.write("ten.tar.gz", "not an archive");
    says(
        &workspace.refused(&TRAIN.replace(":ten", ":ten.tar.gz")),
        &["ten.tar.gz", "archive"],
    );
}

#[test]
fn damaged_idx_files_are_named() {
    use std::io::Write;
    let workspace = workspace();
    fashion_mnist(&workspace.path("fashion"), 40, 20);
    let train = TRAIN.replace("cifar10:ten", "fashion-mnist:fashion");
    for file in ["t10k-images-idx3-ubyte", "train-labels-idx1-ubyte"] {
        let plain = workspace.read(format!("fashion/{file}"));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), Compression::none());
        packed.write_all(&plain).unwrap();
        let packed = packed.finish().unwrap();
        std::fs::remove_file(workspace.path(format!("fashion/{file}"))).unwrap();
        let zipped = format!("fashion/{file}.gz");
        let mut changed = packed.clone();
        changed[packed.len() / 2] ^= 1;
        for damaged in [&packed[..packed.len() / 2], &packed[..packed.len() - 1], &changed] {
            workspace.write(&zipped, damaged);
            says(&workspace.refused(&train), &[file, "gzip"]);
        }
        for length in [0, 3, plain.len() - 1] {
            workspace.write(&zipped, &plain[..length]);
            says(&workspace.refused(&train), &[file]);
        }
        workspace.write(&zipped, packed);
    }
}

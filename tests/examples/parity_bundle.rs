//! Makes the bundle that `runtime/tests/parity.rs` runs on every processor, with x86-64's logits in its golden file.
//!
//! ```text
//! cargo run -p askd-tests --example parity_bundle -- runtime/tests/fixtures/parity.askd
//! ```
//!
//! A small ResNet with a projector and a shared classifier, as distillation ships it, with seeded weights; the images are
//! made by arithmetic. To be run on x86-64 only, and again when a new exporter should be held against other processors.

#[path = "../../runtime/tests/common/pictures.rs"]
mod pictures;

use std::env;
use std::error::Error;

use askd_compiler::bundle::{BundleSpec, input_of, write_bundle};
use askd_compiler::onnx::{ModelInfo, write_model};
use askd_compiler::passes;
use askd_models::{CLASSIFIER_MAP, DistilledOptions, FEATURES, Graph, GraphBuilder, LOGITS, Role, distilled_student};
use askd_runtime::{Batch, GoldenData, Image, PixelFormat, Preprocess, Session, SessionOptions};
use askd_tests::random_weights;

const SHAPE: [usize; 3] = [3, 16, 20];
const CLASSES: usize = 10;
const SEED: u64 = 64;
/// Factor of batch norm's scales.
const GAIN: f32 = 2.0;

fn main() -> Result<(), Box<dyn Error>> {
    let out = env::args_os()
        .nth(1)
        .ok_or("usage: parity_bundle OUT.askd, on x86-64")?;
    if !cfg!(target_arch = "x86_64") {
        return Err("the golden logits must be those of x86-64: run this there".into());
    }
    let student = resnet("small-student", [8, 16, 24])?;
    let teacher = resnet("small-teacher", [8, 16, 24])?;
    let trained = distilled_student(&student, &[&teacher], &DistilledOptions::default())?;
    let mut weights = random_weights(&trained, SEED);
    // so that logits are of a trained network's size: small ones agree to 1e-4 whatever was computed
    for parameter in trained.parameters() {
        if parameter.role == Role::Scale {
            let values = &mut weights
                .get_mut(&parameter.name)
                .expect("every parameter has weights")
                .data;
            values.iter_mut().for_each(|value| *value *= GAIN);
        }
    }
    let graph = passes::run_all(&trained, &mut weights)?;
    let input = input_of(SHAPE, &[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]);

    let mut preprocess = Preprocess::new(&input)?;
    let mut images = Vec::new();
    for picture in pictures::pictures() {
        let image = Image::new(&picture.bytes, picture.height, picture.width, PixelFormat::Rgb8)?;
        let mut tensor = vec![0.0; SHAPE.iter().product()];
        preprocess.apply(&image, &mut tensor)?;
        images.extend(tensor);
    }
    let count = images.len() / SHAPE.iter().product::<usize>();
    let model = write_model(&graph, &weights, &ModelInfo::new(Batch::Dynamic))?;
    let mut logits = vec![0.0; count * CLASSES];
    Session::from_onnx(&model, &SessionOptions::default())?.run(&images, &mut logits)?;
    for image in logits.chunks(CLASSES) {
        println!("{image:8.3?}");
    }

    let [channels, height, width] = SHAPE;
    let golden = GoldenData::new([count, channels, height, width], images, logits)?;
    let spec = BundleSpec {
        graph: &graph,
        weights: &weights,
        batch: Batch::Dynamic,
        input,
        labels: (0..CLASSES).map(|class| format!("class {class}")).collect(),
        temperature: 1.0,
        accuracy: Vec::new(),
        golden: &golden,
        sequence: 0,
        device_class: "generic".to_owned(),
        provenance: serde_json::Map::from_iter([
            ("data".to_owned(), "runtime/tests/common/pictures.rs".into()),
            ("golden".to_owned(), "x86-64".into()),
            ("seed".to_owned(), SEED.into()),
        ]),
    };
    write_bundle(out, &spec)?;
    Ok(())
}

/// A CIFAR ResNet-8 with 1x1-convolution shortcuts, in three widths of one's own.
fn resnet(name: &str, widths: [usize; 3]) -> askd_models::Result<Graph> {
    let mut builder = GraphBuilder::new(name, SHAPE);
    let mut x = builder.conv("conv1", builder.input(), widths[0], 3, 1)?;
    x = builder.batch_norm("bn1", x)?;
    x = builder.relu("relu", x)?;
    for (stage, width) in widths.into_iter().enumerate() {
        let layer = |part: &str| format!("layer{}.{part}", stage + 1);
        let stride = if stage == 0 { 1 } else { 2 };
        let mut y = builder.conv(&layer("conv1"), x, width, 3, stride)?;
        y = builder.batch_norm(&layer("bn1"), y)?;
        y = builder.relu(&layer("relu1"), y)?;
        y = builder.conv(&layer("conv2"), y, width, 3, 1)?;
        y = builder.batch_norm(&layer("bn2"), y)?;
        if stage > 0 {
            x = builder.conv(&layer("downsample.0"), x, width, 1, stride)?;
            x = builder.batch_norm(&layer("downsample.1"), x)?;
        }
        x = builder.add(&layer("add"), y, x)?;
        x = builder.relu(&layer("relu2"), x)?;
    }
    let logits = builder.classifier("fc", x, CLASSES)?;
    Ok(builder.finish(&[(FEATURES, x), (CLASSIFIER_MAP, x), (LOGITS, logits)]))
}

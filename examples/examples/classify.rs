//! Classifies an image file with a bundle and prints the five most likely classes.
//!
//! ```text
//! cargo run -p askd-examples --example classify -- out/pilot/student.askd photo.png
//! ```

use std::env;
use std::ffi::OsString;

use anyhow::{Context, bail};
use askd_runtime::{Image, Model, PixelFormat, SessionOptions};
use image::{DynamicImage, ImageReader};

fn main() -> anyhow::Result<()> {
    // ONNX Runtime as Microsoft publishes it reports to it over the network; a device must not.
    askd_runtime::disable_telemetry();
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let [bundle, file] = arguments.as_slice() else {
        bail!("usage: classify BUNDLE.askd IMAGE.png|IMAGE.jpg");
    };

    // Every byte of the bundle is checked here; the self test then shows that this machine computes what it should.
    let model = Model::open(bundle)?;
    let mut session = model.session(&SessionOptions::default())?;
    if let Some(warning) = session.engine().warning() {
        eprintln!("warning: {warning}");
    }
    session.self_test()?;

    let name = || file.to_string_lossy().into_owned();
    let decoded = ImageReader::open(file)
        .with_context(name)?
        .with_guessed_format()
        .with_context(name)?;
    let decoded = decoded.decode().with_context(name)?;
    let (width, height) = (usize::try_from(decoded.width())?, usize::try_from(decoded.height())?);
    // Gray stays gray; everything else becomes RGB. The session scales and normalises.
    let (pixels, format) = match decoded {
        DynamicImage::ImageLuma8(gray) => (gray.into_raw(), PixelFormat::Gray8),
        other => (other.into_rgb8().into_raw(), PixelFormat::Rgb8),
    };
    let image = Image::new(&pixels, height, width, format)?;

    for prediction in session.classify(&image, 5)? {
        println!("{:6.2} %  {}", 100.0 * prediction.probability, prediction.label);
    }
    Ok(())
}

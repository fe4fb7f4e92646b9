//! What [`Session::run`] costs beyond the engine's bare C call: both on one engine session, in turn, in one process.
//!
//! ```text
//! make bench-overhead
//! ```

use std::ffi::CString;
use std::ptr;
use std::time::Instant;

use ort::AsPointer;

use crate::session::Session;
use crate::{Model, SessionOptions};

/// Runs of each way before any is timed.
const WARM_UP: usize = 200;
/// Timed runs of each way.
const RUNS: usize = 4000;

/// The engine's `Run` with everything prepared, as a program in C would call it in its loop.
struct BareCall {
    session: *const ort::sys::OrtSession,
    input: *const ort::sys::OrtValue,
    output: *mut ort::sys::OrtValue,
    input_name: CString,
    output_name: CString,
}

impl BareCall {
    #[expect(unsafe_code, reason = "a benchmark probe: the call that is compared with")]
    fn run(&mut self) {
        let (inputs, outputs) = ([self.input_name.as_ptr()], [self.output_name.as_ptr()]);
        let mut output = self.output;
        // SAFETY: the pointers are those of a live session and of live tensors of the shapes it takes and gives; nothing
        // else uses them meanwhile, for the caller has the session mutably.
        let status = unsafe {
            (ort::api().Run)(
                self.session.cast_mut(),
                ptr::null(),
                inputs.as_ptr(),
                &self.input,
                1,
                outputs.as_ptr(),
                1,
                &mut output,
            )
        };
        assert!(status.0.is_null(), "the bare call failed");
    }
}

fn median_and_p99(mut samples: Vec<f64>) -> (f64, f64) {
    samples.sort_by(f64::total_cmp);
    (samples[samples.len() / 2], samples[samples.len() * 99 / 100])
}

/// Prints microseconds: median and 99th percentile of the bare call and of ours, and the difference of the medians.
fn compare(name: &str, session: &mut Session, output: &mut ort::value::Tensor<f32>) {
    let elements = session.interface().elements();
    let image: Vec<f32> = (0..elements).map(|at| (at % 17) as f32 / 8.0 - 1.0).collect();
    let mut logits = vec![0.0; session.interface().classes];
    let mut bare = BareCall {
        session: session.loaded.inner.ptr(),
        input: session.tensors.input.ptr(),
        output: output.ptr_mut(),
        input_name: CString::new(session.interface.input.as_str()).unwrap(),
        output_name: CString::new(session.interface.output.as_str()).unwrap(),
    };
    let (mut ours, mut theirs) = (Vec::with_capacity(RUNS), Vec::with_capacity(RUNS));
    for round in 0..WARM_UP + RUNS {
        let start = Instant::now();
        bare.run();
        let between = Instant::now();
        session.run(&image, &mut logits).unwrap();
        let end = Instant::now();
        if round >= WARM_UP {
            theirs.push((between - start).as_secs_f64() * 1e6);
            ours.push((end - between).as_secs_f64() * 1e6);
        }
    }
    let ((bare, bare_p99), (run, run_p99)) = (median_and_p99(theirs), median_and_p99(ours));
    let difference = run - bare;
    println!(
        "{name}: bare {bare:.2} us (p99 {bare_p99:.2}), Session::run {run:.2} us (p99 {run_p99:.2}), median difference \
         {difference:.2} us, {:.2} %",
        100.0 * difference / bare
    );
    assert!(
        difference <= 2.0 || difference <= 0.01 * bare,
        "{name}: expected a difference of at most 2 us or 1 %, got {difference:.2} us"
    );
}

#[test]
#[ignore = "a measurement: make bench-overhead"]
fn overhead_of_run_over_the_bare_call() {
    let allocator = ort::memory::Allocator::default();
    let options = SessionOptions::default();
    let tiny = include_bytes!("../../tests/fixtures/tiny_fixed.onnx");
    let mut sessions = vec![("tiny".to_owned(), Session::from_onnx(tiny, &options).unwrap())];
    for bundle in std::env::var("ASKD_BUNDLES").unwrap_or_default().split_whitespace() {
        let model = Model::open(bundle).unwrap_or_else(|error| panic!("{error}"));
        sessions.push((bundle.to_owned(), model.session(&options).unwrap()));
    }
    for (name, session) in &mut sessions {
        let mut output = ort::value::Tensor::<f32>::new(&allocator, [1, session.interface().classes]).unwrap();
        compare(name, session, &mut output);
    }
}

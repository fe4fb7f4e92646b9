//! How much a machine computes at most: one large convolution, which ONNX Runtime runs.

use std::time::{Duration, Instant};

use askd_runtime::{Error, Session, SessionOptions};
use serde::{Deserialize, Serialize};

/// Made by `peak/make_peak.py`.
const MODEL: &[u8] = include_bytes!("../../peak/peak.onnx");
/// Multiply-accumulates of its convolution.
const MACS: usize = CLASSES * 3 * 3 * ELEMENTS;
/// Elements of its input, and of its output.
const ELEMENTS: usize = 128 * 28 * 28;
const CLASSES: usize = 128;
/// How long it is run at least, and how often.
const TIME: Duration = Duration::from_millis(300);
const RUNS: usize = 5;

/// The most that was reached on a machine, in floats of 32 bits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// Thousand millions of operations a second, a multiplication and an addition being two.
    pub gflops: f64,
    /// Threads that computed.
    pub threads: u16,
    /// What was computed.
    pub of: String,
}

impl Peak {
    /// Measures it: the fastest of the runs that fit into 0.3 s, of 5 at least.
    ///
    /// No peak of the processor's maker, which no engine reaches, but what this ONNX Runtime reaches on this provider with
    /// so many threads, where everything is in its favour. Runs with small integers may exceed it.
    ///
    /// # Errors
    /// Those of [`Session::from_onnx`] and [`Session::run`].
    pub fn measure(options: &SessionOptions) -> Result<Self, Error> {
        let mut session = Session::from_onnx(MODEL, options)?;
        let image: Vec<f32> = (0..ELEMENTS).map(|index| (index % 251) as f32 / 125.0 - 1.0).collect();
        let mut logits = vec![0.0; CLASSES];
        let start = Instant::now();
        let mut fastest = Duration::MAX;
        let mut runs = 0;
        while runs < RUNS || start.elapsed() < TIME {
            let run = Instant::now();
            session.run(&image, &mut logits)?;
            fastest = fastest.min(run.elapsed());
            runs += 1;
        }
        Ok(Self {
            gflops: 2.0 * MACS as f64 / fastest.as_secs_f64() / 1e9,
            threads: options.intra_op_threads,
            of: "3x3 convolution, 128 to 128 channels, 28x28, f32".to_owned(),
        })
    }
}

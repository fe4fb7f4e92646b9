//! Depthwise convolution of maps of a few pixels: a vector holds the same pixel of one channel of several images.

use rayon::prelude::*;

use super::super::conv2d::sum_chunks;
use super::super::element::Element;
use super::super::im2col::Window;
use super::super::simd::vectorised;

/// Images of a task: one vector of `f32`.
const LANES: usize = 16;

/// One pixel of so many images.
type Lanes<T> = [T; LANES];

/// An output pixel, a tap, and the input pixel that the tap meets there.
#[derive(Clone, Copy)]
struct Meeting {
    output: usize,
    tap: usize,
    input: usize,
}

fn meetings(window: &Window) -> Vec<Meeting> {
    let mut meetings = Vec::new();
    for tap in 0..window.taps() {
        let (ky, kx) = (tap / window.kernel.1, tap % window.kernel.1);
        for oy in window.rows(ky) {
            for ox in window.columns(kx) {
                let (iy, ix) = (
                    oy * window.stride + ky - window.padding.0,
                    ox * window.stride + kx - window.padding.1,
                );
                meetings.push(Meeting {
                    output: oy * window.output.1 + ox,
                    tap,
                    input: iy * window.input.1 + ix,
                });
            }
        }
    }
    meetings
}

/// As [`super::forward`].
pub(super) fn forward<T: Element>(window: &Window, x: &[T], w: &[T], channels: usize, y: &mut [T]) {
    let (pixels_in, pixels_out, taps) = (window.input_pixels(), window.output_pixels(), window.taps());
    let meetings = meetings(window);
    y.par_chunks_mut(LANES * channels * pixels_out)
        .zip(x.par_chunks(LANES * channels * pixels_in))
        .for_each(|(y, x)| {
            let (mut inputs, mut outputs) = (buffer(pixels_in), buffer(pixels_out));
            vectorised(
                #[inline(always)]
                || {
                    for (channel, w) in w.chunks_exact(taps).enumerate() {
                        gather(x, channels, channel, pixels_in, &mut inputs);
                        outputs.fill([T::ZERO; LANES]);
                        for meeting in &meetings {
                            add_scaled(&mut outputs[meeting.output], &inputs[meeting.input], w[meeting.tap]);
                        }
                        scatter(&outputs, channels, channel, pixels_out, y);
                    }
                },
            );
        });
}

/// As [`super::backward`].
pub(super) fn backward<T: Element>(
    window: &Window,
    x: &[T],
    w: &[T],
    dy: &[T],
    channels: usize,
    dx: Option<&mut [T]>,
) -> Vec<T> {
    let (task_in, task_out) = (
        LANES * channels * window.input_pixels(),
        LANES * channels * window.output_pixels(),
    );
    let meetings = meetings(window);
    let mut partial = vec![T::ZERO; x.len().div_ceil(task_in) * w.len()];
    let inputs = x.par_chunks(task_in).zip(dy.par_chunks(task_out));
    let tasks = partial.par_chunks_mut(w.len()).zip(inputs);
    let run = |dw: &mut [T], (x, dy): (&[T], &[T]), dx: Option<&mut [T]>| {
        vectorised(
            #[inline(always)]
            || backward_task(window, &meetings, (x, dy), channels, w, dw, dx),
        )
    };
    match dx {
        Some(dx) => tasks
            .zip(dx.par_chunks_mut(task_in))
            .for_each(|((dw, inputs), dx)| run(dw, inputs, Some(dx))),
        None => tasks.for_each(|(dw, inputs)| run(dw, inputs, None)),
    }
    sum_chunks(partial, w.len())
}

/// Gradients of one task's images.
#[inline(always)]
fn backward_task<T: Element>(
    window: &Window,
    meetings: &[Meeting],
    (x, dy): (&[T], &[T]),
    channels: usize,
    w: &[T],
    dw: &mut [T],
    mut dx: Option<&mut [T]>,
) {
    let (pixels_in, pixels_out, taps) = (window.input_pixels(), window.output_pixels(), window.taps());
    let (mut inputs, mut outputs) = (buffer(pixels_in), buffer(pixels_out));
    let (mut gradients, mut of_taps) = (buffer(pixels_in), buffer(taps));
    for (channel, (w, dw)) in w.chunks_exact(taps).zip(dw.chunks_exact_mut(taps)).enumerate() {
        gather(x, channels, channel, pixels_in, &mut inputs);
        gather(dy, channels, channel, pixels_out, &mut outputs);
        gradients.fill([T::ZERO; LANES]);
        of_taps.fill([T::ZERO; LANES]);
        for meeting in meetings {
            let dy = &outputs[meeting.output];
            add_scaled(&mut gradients[meeting.input], dy, w[meeting.tap]);
            let products = of_taps[meeting.tap].iter_mut().zip(&inputs[meeting.input]).zip(dy);
            products.for_each(|((sum, x), dy)| *sum += *x * *dy);
        }
        for (dw, lanes) in dw.iter_mut().zip(&of_taps) {
            *dw = lanes.iter().fold(T::ZERO, |sum, lane| sum + *lane);
        }
        if let Some(dx) = &mut dx {
            scatter(&gradients, channels, channel, pixels_in, dx);
        }
    }
}

fn buffer<T: Element>(len: usize) -> Vec<Lanes<T>> {
    vec![[T::ZERO; LANES]; len]
}

#[inline(always)]
fn add_scaled<T: Element>(sums: &mut Lanes<T>, values: &Lanes<T>, scale: T) {
    sums.iter_mut()
        .zip(values)
        .for_each(|(sum, value)| *sum += *value * scale);
}

/// One channel of a few images, pixel by pixel; lanes without an image are zero.
#[inline(always)]
fn gather<T: Element>(images: &[T], channels: usize, channel: usize, pixels: usize, lanes: &mut [Lanes<T>]) {
    for (lane, image) in images.chunks_exact(channels * pixels).enumerate() {
        let plane = &image[channel * pixels..][..pixels];
        lanes
            .iter_mut()
            .zip(plane)
            .for_each(|(lanes, pixel)| lanes[lane] = *pixel);
    }
}

/// The opposite of [`gather`].
#[inline(always)]
fn scatter<T: Element>(lanes: &[Lanes<T>], channels: usize, channel: usize, pixels: usize, images: &mut [T]) {
    for (lane, image) in images.chunks_exact_mut(channels * pixels).enumerate() {
        let plane = &mut image[channel * pixels..][..pixels];
        plane
            .iter_mut()
            .zip(lanes)
            .for_each(|(pixel, lanes)| *pixel = lanes[lane]);
    }
}

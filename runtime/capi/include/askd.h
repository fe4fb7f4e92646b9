/*
 * askd: verifies a bundle of an image classifier and runs it with ONNX Runtime.
 *
 * Rules for every function (docs/c-abi.md):
 * - What can fail returns an askd_status. "Statuses" lists what a function returns beside OK, without ASKD_STATUS_.
 * - Arguments come in this order: the object, inputs, outputs. Outputs are written only on success.
 * - Pointers must not be NULL unless their function says so. Lengths and capacities count elements.
 * - Nothing of the caller's memory is kept after the call.
 * - Objects are freed by the caller, once, by the function of their type ending in _free, which accepts NULL.
 * - Texts are UTF-8 and end with NUL.
 *
 * Made by cbindgen from runtime/capi/src: do not edit.
 */

#ifndef ASKD_H
#define ASKD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ASKD_VERSION_MAJOR 0
#define ASKD_VERSION_MINOR 1
#define ASKD_VERSION_PATCH 0

/**
 * ONNX Runtime's own kernels on the CPU; in every build of it.
 */
#define ASKD_PROVIDER_CPU 0

/**
 * XNNPACK's kernels on the CPU.
 */
#define ASKD_PROVIDER_XNNPACK 1

/**
 * Arm Compute Library's kernels on Arm CPUs.
 */
#define ASKD_PROVIDER_ACL 2

/**
 * CUDA and cuDNN on an NVIDIA GPU.
 */
#define ASKD_PROVIDER_CUDA 3

/**
 * CUDA where that can run, else the CPU; `askd_session_provider` says which one it is, `askd_session_fallback` why.
 */
#define ASKD_PROVIDER_CUDA_OR_CPU 4

/**
 * TensorRT on an NVIDIA GPU; nodes that it does not know run by CUDA.
 */
#define ASKD_PROVIDER_TENSORRT 5

/**
 * OpenVINO's kernels on x86-64 CPUs, where the library was built with them.
 */
#define ASKD_PROVIDER_OPENVINO 6

/**
 * Each node runs as written.
 */
#define ASKD_OPTIMISATION_NONE 0

/**
 * Rewrites that any device can use, such as constant folding.
 */
#define ASKD_OPTIMISATION_BASIC 1

/**
 * Also fusions of operators that only some devices have.
 */
#define ASKD_OPTIMISATION_EXTENDED 2

/**
 * Also memory layouts of the processor at hand.
 */
#define ASKD_OPTIMISATION_ALL 3

/**
 * One byte a pixel: luma.
 */
#define ASKD_PIXEL_FORMAT_GRAY8 1

/**
 * Three bytes a pixel: red, green, blue.
 */
#define ASKD_PIXEL_FORMAT_RGB8 2

/**
 * A verified bundle in memory: its manifest, one variant's ONNX bytes and its golden data. Never changes, so any number of
 * threads may use it at a time.
 */
typedef struct askd_model askd_model;

/**
 * A model loaded into ONNX Runtime. One thread at a time uses it; a second one gets BUSY and changes nothing.
 */
typedef struct askd_session askd_session;

/**
 * What a caller may choose about a session. One thread at a time uses it.
 */
typedef struct askd_session_options askd_session_options;

/**
 * How a call ended: one of the `ASKD_STATUS_` numbers. Later versions may return numbers that are not listed here.
 */
typedef uint32_t askd_status;

/**
 * One file of a bundle, in the caller's memory.
 */
typedef struct askd_file {
    /**
     * Its name in `askd.json`: UTF-8, ending with NUL.
     */
    const char *name;
    /**
     * `size` bytes.
     */
    const uint8_t *data;
    /**
     * In bytes.
     */
    size_t size;
} askd_file;

/**
 * The shape of one image as the model takes it.
 */
typedef struct askd_input_shape {
    /**
     * C: 1 for gray, 3 for RGB.
     */
    size_t channels;
    /**
     * H, in pixels.
     */
    size_t height;
    /**
     * W, in pixels.
     */
    size_t width;
} askd_input_shape;

/**
 * One class that an image may show.
 */
typedef struct askd_prediction {
    /**
     * The class, from 0; `askd_model_label` has its name.
     */
    uint32_t class_index;
    /**
     * Its probability, 0 to 1.
     */
    float probability;
} askd_prediction;

/**
 * An image in the caller's memory: pixels 0 to 255, rows from top to bottom without gaps, channels interleaved.
 */
typedef struct askd_image {
    /**
     * `size` bytes.
     */
    const uint8_t *pixels;
    /**
     * height * width * bytes of a pixel.
     */
    size_t size;
    /**
     * In pixels, not zero.
     */
    size_t height;
    /**
     * In pixels, not zero.
     */
    size_t width;
    /**
     * An `ASKD_PIXEL_FORMAT_` number.
     */
    uint32_t format;
} askd_image;

/**
 * What a passed self test saw.
 */
typedef struct askd_self_test {
    /**
     * Images compared.
     */
    size_t images;
    /**
     * Largest absolute difference of a logit.
     */
    float max_abs_diff;
} askd_self_test;

/**
 * The call did what it is for.
 */
#define ASKD_STATUS_OK 0

/**
 * A bug in the library: the call ended in a panic. Free the objects that were passed to it.
 */
#define ASKD_STATUS_PANIC 1

/**
 * A failure that this version has no number for; the text tells.
 */
#define ASKD_STATUS_OTHER 2

/**
 * A pointer is NULL that must not be.
 */
#define ASKD_STATUS_NULL_POINTER 10

/**
 * A pointer's address does not suit its type.
 */
#define ASKD_STATUS_MISALIGNED_POINTER 11

/**
 * An integer stands for none of the values that there are, such as of providers.
 */
#define ASKD_STATUS_UNKNOWN_VALUE 12

/**
 * A text is not UTF-8.
 */
#define ASKD_STATUS_NOT_UTF8 13

/**
 * An input, an output or an image has not the length that the model or its sides ask for.
 */
#define ASKD_STATUS_WRONG_LENGTH 14

/**
 * A text does not fit into the caller's buffer.
 */
#define ASKD_STATUS_BUFFER_TOO_SMALL 15

/**
 * An output shares memory with an input.
 */
#define ASKD_STATUS_OVERLAP 16

/**
 * Another thread is in a call with the same session.
 */
#define ASKD_STATUS_BUSY 17

/**
 * The model has no such class.
 */
#define ASKD_STATUS_NO_SUCH_CLASS 18

/**
 * A session option that the provider would ignore.
 */
#define ASKD_STATUS_OPTION 19

/**
 * The model takes images of another type: pixels, or normalised ones.
 */
#define ASKD_STATUS_INPUT_TYPE 20

/**
 * There is no usable ONNX Runtime library.
 */
#define ASKD_STATUS_LIBRARY 30

/**
 * The process already uses another ONNX Runtime library.
 */
#define ASKD_STATUS_LIBRARY_CONFLICT 31

/**
 * The provider that was demanded cannot run here.
 */
#define ASKD_STATUS_PROVIDER_UNAVAILABLE 32

/**
 * A strict session was demanded, and the provider does not know every node of the model.
 */
#define ASKD_STATUS_CPU_NODES 33

/**
 * ONNX Runtime reported a failure.
 */
#define ASKD_STATUS_ENGINE 34

/**
 * The directory is no bundle.
 */
#define ASKD_STATUS_NOT_A_BUNDLE 50

/**
 * A file is missing, or cannot be read or written.
 */
#define ASKD_STATUS_FILE 51

/**
 * A file is not the one that the manifest vouches for: size or SHA-256 differ.
 */
#define ASKD_STATUS_DIGEST 52

/**
 * `askd.json` is damaged.
 */
#define ASKD_STATUS_MANIFEST 53

/**
 * `askd.json` follows a schema that this version does not know.
 */
#define ASKD_STATUS_SCHEMA 54

/**
 * The bundle has no variant of that name.
 */
#define ASKD_STATUS_NO_SUCH_VARIANT 55

/**
 * The ONNX model is not what the manifest says, or not what a model may be.
 */
#define ASKD_STATUS_MODEL 56

/**
 * The golden file is malformed, or disagrees with the manifest.
 */
#define ASKD_STATUS_GOLDEN 57

/**
 * The self test failed: this device computes something else. The bundle must not be used on it.
 */
#define ASKD_STATUS_SELF_TEST 70

/**
 * A logit is not a finite number.
 */
#define ASKD_STATUS_LOGIT 71

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library that is linked, such as `0.1.0`. Never NULL.
 *
 * The text is constant and belongs to the library. `ASKD_VERSION_MAJOR`, `_MINOR` and `_PATCH` are the header's version.
 */
const char *askd_version(void);

/**
 * What `status` means, in a few words. Never NULL.
 *
 * The text is constant and belongs to the library. `askd_last_error_text` tells what happened, with names and values.
 */
const char *askd_status_text(askd_status status);

/**
 * Copies the text of the last failure on this thread: one line of UTF-8, empty if nothing failed yet.
 *
 * A call that succeeds leaves it as it is, and so does this function. A text that does not fit is cut between characters,
 * unlike other texts, since a report of a failure should not fail. `length` gets the whole text's bytes, without the NUL.
 *
 * `buffer` may be NULL if `capacity` is 0: then only `length` is written. `length` may be NULL.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, BUFFER_TOO_SMALL for no byte at all. Threads: any.
 */
askd_status askd_last_error_text(char *buffer,
                                 size_t capacity,
                                 size_t *length);

/**
 * The name of an `ASKD_PROVIDER_` number, such as `cuda-or-cpu`; `unknown` for other numbers. Never NULL.
 *
 * The text is constant and belongs to the library.
 */
const char *askd_provider_text(uint32_t provider);

/**
 * Loads ONNX Runtime, once a process; later calls find it loaded.
 *
 * `path` names the library file and no other. With NULL, the file that the variable ORT_DYLIB_PATH names; without that,
 * `libonnxruntime.so` beside the executable or in `../lib`, `../onnxruntime/lib` or `../../onnxruntime/lib` from there;
 * last, what the system's loader finds. Need not be called: the first session loads it too.
 *
 * The builds that Microsoft publishes report to it over the network, unless the variable ORT_DISABLE_TELEMETRY is 1 when the
 * library is loaded: `askd_engine_warning` tells then.
 *
 * Statuses: LIBRARY, LIBRARY_CONFLICT if `path` is another library than the one loaded, ENGINE. Threads: any.
 */
askd_status askd_engine_load(const char *path);

/**
 * Copies ONNX Runtime's version, such as `1.32.0`; empty if the library does not tell. Loads it as `askd_engine_load(NULL)`.
 *
 * `length` gets the bytes without the NUL, and may be NULL. `buffer` may be NULL if `capacity` is 0: then only `length`
 * is written.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, BUFFER_TOO_SMALL, and those of `askd_engine_load`. Threads: any.
 */
askd_status askd_engine_version(char *buffer,
                                size_t capacity,
                                size_t *length);

/**
 * Copies the path of the library in use, or the bare name by which the system's loader found it; bytes that are not
 * UTF-8 are replaced. Otherwise as `askd_engine_version`.
 */
askd_status askd_engine_path(char *buffer, size_t capacity, size_t *length);

/**
 * Copies one line on a reason for care, such as a version with known crashes; empty if there is none. Otherwise as
 * `askd_engine_version`.
 */
askd_status askd_engine_warning(char *buffer, size_t capacity, size_t *length);

/**
 * Tells whether ONNX Runtime was built with a provider, an `ASKD_PROVIDER_` number; which says nothing of what this
 * machine can run. False for CUDA_OR_CPU, which is a rule and no provider.
 *
 * Statuses: NULL_POINTER, UNKNOWN_VALUE, and those of `askd_engine_load`. Threads: any.
 */
askd_status askd_engine_has_provider(uint32_t provider, bool *has);

/**
 * Opens the bundle in directory `dir` with its default variant. Every byte is checked against the manifest's digests, and
 * copied: the files may change or go away afterwards.
 *
 * `model` gets a model that the caller owns and frees by `askd_model_free`. Sessions do not need it to live on.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, NOT_A_BUNDLE, FILE, DIGEST, MANIFEST, SCHEMA, MODEL, GOLDEN. Threads: any.
 */
askd_status askd_model_open(const char *dir,
                            struct askd_model **model);

/**
 * As `askd_model_open`, with the variant called `variant`, UTF-8.
 *
 * Statuses: those of `askd_model_open`, NOT_UTF8, NO_SUCH_VARIANT. Threads: any.
 */
askd_status askd_model_open_variant(const char *dir, const char *variant, struct askd_model **model);

/**
 * As `askd_model_open`, but maps the ONNX file instead of copying it, which saves its size in private memory.
 *
 * The caller vouches that no process changes or truncates a file of the bundle while the model lives, as on a read-only
 * file system. A change after the check is undefined behaviour, a truncation ends the process by SIGBUS.
 *
 * Statuses: those of `askd_model_open`. Threads: any.
 */
askd_status askd_model_open_mapped(const char *dir, struct askd_model **model);

/**
 * A bundle whose files are in memory already, as where they are linked into the firmware: with its default variant.
 *
 * `manifest` holds the `manifest_size` bytes of `askd.json`, `files` the `file_count` other files that are used. All is
 * copied; none of it is needed after the call. Otherwise as `askd_model_open`.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, NOT_UTF8, FILE for one that is not there, DIGEST, MANIFEST, SCHEMA, MODEL,
 * GOLDEN. Threads: any.
 */
askd_status askd_model_from_bytes(const uint8_t *manifest,
                                  size_t manifest_size,
                                  const struct askd_file *files,
                                  size_t file_count,
                                  struct askd_model **model);

/**
 * Frees a model; NULL is nothing to free. Sessions made from it live on.
 */
void askd_model_free(struct askd_model *model);

/**
 * Tells the shape of the model's input: one image is channels * height * width floats.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER. Threads: any, several at a time too.
 */
askd_status askd_model_input_shape(const struct askd_model *model, struct askd_input_shape *shape);

/**
 * Tells K, the number of classes: one image gives as many logits.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER. Threads: any, several at a time too.
 */
askd_status askd_model_classes(const struct askd_model *model, size_t *classes);

/**
 * Tells whether one run takes any number of images; otherwise it takes exactly one.
 *
 * Statuses: NULL_POINTER. Threads: any, several at a time too.
 */
askd_status askd_model_is_batch_dynamic(const struct askd_model *model, bool *is_dynamic);

/**
 * Tells whether the model takes raw pixels and normalises them itself (`askd_session_run_u8`); otherwise it takes normalised
 * floats (`askd_session_run`). `askd_session_run_image` and `askd_session_classify` do for both.
 *
 * Statuses: NULL_POINTER. Threads: any, several at a time too.
 */
askd_status askd_model_takes_pixels(const struct askd_model *model,
                                    bool *takes_pixels);

/**
 * Tells the bundle's sequence number, which rises with every bundle made for one product. The library accepts every
 * number; to refuse an older bundle is the caller's decision.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER. Threads: any, several at a time too.
 */
askd_status askd_model_sequence(const struct askd_model *model, uint64_t *sequence);

/**
 * Tells the divisor of the logits before softmax; 1 where none was fitted.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER. Threads: any, several at a time too.
 */
askd_status askd_model_temperature(const struct askd_model *model, float *temperature);

/**
 * Copies the name of class `class_index`, from 0: UTF-8, with a NUL at its end.
 *
 * `length` gets the bytes without the NUL, and may be NULL. `buffer` may be NULL if `capacity` is 0: then only `length`
 * is written.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, NO_SUCH_CLASS, BUFFER_TOO_SMALL. Threads: any, several at a time too.
 */
askd_status askd_model_label(const struct askd_model *model,
                             uint32_t class_index,
                             char *buffer,
                             size_t capacity,
                             size_t *length);

/**
 * Copies the name of the variant that was opened, such as `fp32`. `buffer` and `length` are as for `askd_model_label`.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, BUFFER_TOO_SMALL. Threads: any, several at a time too.
 */
askd_status askd_model_variant_name(const struct askd_model *model, char *buffer, size_t capacity, size_t *length);

/**
 * Copies the kind of device that the bundle is meant for; `generic` runs anywhere. `buffer` and `length` are as for
 * `askd_model_label`.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, BUFFER_TOO_SMALL. Threads: any, several at a time too.
 */
askd_status askd_model_device_class(const struct askd_model *model, char *buffer, size_t capacity, size_t *length);

/**
 * Makes options that have every default.
 *
 * `options` gets options that the caller owns and frees by `askd_session_options_free`. Sessions do not need them to live
 * on.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER. Threads: any.
 */
askd_status askd_session_options_new(struct askd_session_options **options);

/**
 * Frees options; NULL is nothing to free.
 */
void askd_session_options_free(struct askd_session_options *options);

/**
 * The device to run on, an `ASKD_PROVIDER_` number; the CPU by default. A contract: making the session fails if it
 * cannot run there.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE. Threads: one at a time.
 */
askd_status askd_session_options_set_provider(struct askd_session_options *options, uint32_t provider);

/**
 * Which of several such devices, from 0.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE above 65535. Threads: one at a time.
 */
askd_status askd_session_options_set_device_id(struct askd_session_options *options, uint32_t device_id);

/**
 * Whether every node must run on the provider, 0 or 1. 0 by default: ONNX Runtime then runs nodes that the provider does
 * not know on the CPU.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE. Threads: one at a time.
 */
askd_status askd_session_options_set_strict(struct askd_session_options *options,
                                            uint32_t strict);

/**
 * Threads within one operator, the caller's included; 1 by default, 0 for one a core.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE above 65535. Threads: one at a time.
 */
askd_status askd_session_options_set_threads(struct askd_session_options *options, uint32_t threads);

/**
 * Whether idle threads spin, 0 or 1; 0 by default. Spinning shortens runs that follow each other closely, and heats the
 * rest.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE. Threads: one at a time.
 */
askd_status askd_session_options_set_spinning(struct askd_session_options *options, uint32_t spinning);

/**
 * Whether ONNX Runtime keeps the memory of a run on the CPU for the next one, 0 or 1; 1 by default.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE. Threads: one at a time.
 */
askd_status askd_session_options_set_memory_arena(struct askd_session_options *options, uint32_t memory_arena);

/**
 * Most bytes of that memory on the device; 0, the default, for no limit. For CUDA alone: a session on another provider
 * fails by OPTION.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER. Threads: one at a time.
 */
askd_status askd_session_options_set_memory_limit(struct askd_session_options *options, uint64_t bytes);

/**
 * How much ONNX Runtime may rewrite the graph before the first run, an `ASKD_OPTIMISATION_` number; ALL by default.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE. Threads: one at a time.
 */
askd_status askd_session_options_set_optimisation(struct askd_session_options *options, uint32_t optimisation);

/**
 * The ONNX Runtime library, or NULL, the default, to look for it as `askd_engine_load` does. The path is copied.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER. Threads: one at a time.
 */
askd_status askd_session_options_set_library(struct askd_session_options *options, const char *path);

/**
 * Directory in which TensorRT keeps the engines it made, for a later start to be quick, or NULL, the default, for none.
 * For TensorRT alone: a session on another provider fails by OPTION. Only trusted programs may be able to write there. The
 * path is copied.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER. Threads: one at a time.
 */
askd_status askd_session_options_set_cache(struct askd_session_options *options,
                                           const char *path);

/**
 * The `capacity` most likely classes for `logits` that `askd_session_run` gave for one image, most likely first, with the
 * bundle's temperature; all of them if there are fewer. `count` gets how many.
 *
 * For those who preprocess images themselves; `askd_session_classify` does all of it. Allocates while it works.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER; WRONG_LENGTH unless there is a logit for each class; LOGIT if one is not
 * finite. Threads: any, several at a time too.
 */
askd_status askd_model_top_k(const struct askd_model *model,
                             const float *logits,
                             size_t logits_length,
                             struct askd_prediction *predictions,
                             size_t capacity,
                             size_t *count);

/**
 * Makes a session of `model`: loads ONNX Runtime if that has not happened yet, and gives it the checked bytes. `options`
 * may be NULL for the defaults.
 *
 * `session` gets a session that the caller owns and frees by `askd_session_free`. Model and options may be freed before.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, LIBRARY, LIBRARY_CONFLICT, PROVIDER_UNAVAILABLE, CPU_NODES, OPTION, ENGINE,
 * MODEL, FILE for a cache that cannot be written. Threads: any.
 */
askd_status askd_session_new(const struct askd_model *model,
                             const struct askd_session_options *options,
                             struct askd_session **session);

/**
 * Frees a session that no thread is using; NULL is nothing to free.
 */
void askd_session_free(struct askd_session *session);

/**
 * Tells the device the session runs on, an `ASKD_PROVIDER_` number; never CUDA_OR_CPU, but which of the two it is.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, BUSY. Threads: one at a time.
 */
askd_status askd_session_provider(const struct askd_session *session, uint32_t *provider);

/**
 * Copies why a session that was to run by CUDA_OR_CPU runs on the CPU; empty if it does not. `buffer` and `length` are as
 * for `askd_model_label`.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, BUFFER_TOO_SMALL, BUSY. Threads: one at a time.
 */
askd_status askd_session_fallback(const struct askd_session *session,
                                  char *buffer,
                                  size_t capacity,
                                  size_t *length);

/**
 * Runs N preprocessed images: `input` holds N * channels * height * width normalised floats, `output` gets N * classes raw
 * logits. N is 1 unless the batch is dynamic. The first run with a new N allocates, later ones with it do not.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, INPUT_TYPE for a model of pixels, WRONG_LENGTH, OVERLAP, BUSY, ENGINE.
 * Threads: one at a time.
 */
askd_status askd_session_run(struct askd_session *session,
                             const float *input,
                             size_t input_length,
                             float *output,
                             size_t output_length);

/**
 * Runs N images as pixels on a model that normalises them itself: `pixels` holds N * height * width * channels bytes, channels
 * interleaved; otherwise as `askd_session_run`.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, INPUT_TYPE for a model of normalised images, WRONG_LENGTH, OVERLAP, BUSY, ENGINE.
 * Threads: one at a time.
 */
askd_status askd_session_run_u8(struct askd_session *session,
                                const uint8_t *pixels,
                                size_t pixels_length,
                                float *output,
                                size_t output_length);

/**
 * Preprocesses one image of any size as training did, and runs it: `output` gets the raw logits, one a class. Allocates
 * when the images' size changes, and not otherwise.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE, WRONG_LENGTH, OVERLAP, BUSY, ENGINE. Threads: one at a time.
 */
askd_status askd_session_run_image(struct askd_session *session,
                                   const struct askd_image *image,
                                   float *output,
                                   size_t output_length);

/**
 * The `capacity` most likely classes of one image, most likely first, with the bundle's temperature; all of them if there
 * are fewer. `count` gets how many. Allocates when the images' size changes, and not otherwise.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE, WRONG_LENGTH, BUSY, ENGINE; LOGIT if the model gives a number
 * that is not finite. Threads: one at a time.
 */
askd_status askd_session_classify(struct askd_session *session,
                                  const struct askd_image *image,
                                  struct askd_prediction *predictions,
                                  size_t capacity,
                                  size_t *count);

/**
 * Runs the bundle's golden images and compares the logits with those the compiler saw. Do so at least once after every
 * update of model, library or device.
 *
 * Statuses: NULL_POINTER, MISALIGNED_POINTER, BUSY, ENGINE; SELF_TEST if a logit differs by more than the bundle allows:
 * this device computes something else, so the bundle must not be used on it. Threads: one at a time.
 */
askd_status askd_session_self_test(struct askd_session *session,
                                   struct askd_self_test *result);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ASKD_H */

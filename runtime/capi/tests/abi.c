/*
 * Every function of askd.h, called from C: abi BUNDLE.askd. Run under sanitizers by programs.rs; the bundle is the tests' own,
 * with images of 3x4x4 and three classes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "askd.h"

/* Not assert: it must run in every build. */
#define MUST(condition)                                                                                               \
    do {                                                                                                              \
        if (!(condition)) {                                                                                           \
            char text[512] = "";                                                                                      \
            askd_last_error_text(text, sizeof text, NULL);                                                            \
            fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, text);                                         \
            exit(EXIT_FAILURE);                                                                                       \
        }                                                                                                             \
    } while (0)
#define OK(call) MUST((call) == ASKD_STATUS_OK)

enum { ELEMENTS = 48, CLASSES = 3 };

/* The bytes of a file of the bundle, to be freed. */
static uint8_t *read_file(const char *bundle, const char *name, size_t *size)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", bundle, name);
    FILE *file = fopen(path, "rb");
    MUST(file);
    /* Room for exactly what is there: a read past its end is seen. */
    MUST(fseek(file, 0, SEEK_END) == 0);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size);
    MUST(bytes && fread(bytes, 1, *size, file) == *size);
    fclose(file);
    return bytes;
}

static void facts(const askd_model *model)
{
    askd_input_shape shape;
    size_t classes, length;
    bool is_dynamic;
    uint64_t sequence;
    float temperature;
    char text[4];
    OK(askd_model_input_shape(model, &shape));
    MUST(shape.channels == 3 && shape.height == 4 && shape.width == 4);
    OK(askd_model_classes(model, &classes));
    MUST(classes == CLASSES);
    OK(askd_model_is_batch_dynamic(model, &is_dynamic));
    bool takes_pixels = true;
    OK(askd_model_takes_pixels(model, &takes_pixels));
    MUST(!takes_pixels);
    OK(askd_model_sequence(model, &sequence));
    OK(askd_model_temperature(model, &temperature));
    MUST(!is_dynamic && sequence == 1 && temperature == 2.0f);
    OK(askd_model_label(model, 1, text, sizeof text, &length));
    MUST(strcmp(text, "dog") == 0 && length == 3);
    MUST(askd_model_label(model, 1, text, 3, NULL) == ASKD_STATUS_BUFFER_TOO_SMALL);
    MUST(askd_model_variant_name(model, text, sizeof text, NULL) == ASKD_STATUS_BUFFER_TOO_SMALL);
    OK(askd_model_variant_name(model, NULL, 0, &length));
    OK(askd_model_device_class(model, NULL, 0, &length));
    MUST(length == strlen("generic"));
}

static void runs(const askd_model *model, askd_session *session)
{
    float *input = malloc(ELEMENTS * sizeof *input), *logits = malloc(CLASSES * sizeof *logits);
    uint8_t *pixels = malloc(ELEMENTS);
    askd_prediction *best = malloc(2 * sizeof *best);
    askd_image image = {pixels, ELEMENTS, 4, 4, ASKD_PIXEL_FORMAT_RGB8};
    askd_self_test test;
    size_t count;
    MUST(input && logits && pixels && best);
    for (int i = 0; i < ELEMENTS; i++) {
        input[i] = (float)(i % 7);
        pixels[i] = (uint8_t)(5 * i);
    }
    OK(askd_session_self_test(session, &test));
    MUST(test.images == 2);
    OK(askd_session_run(session, input, ELEMENTS, logits, CLASSES));
    OK(askd_session_run_image(session, &image, logits, CLASSES));
    OK(askd_model_top_k(model, logits, CLASSES, best, 2, &count));
    uint32_t first = best[0].class_index;
    OK(askd_session_classify(session, &image, best, 2, &count));
    MUST(count == 2 && best[0].class_index == first && best[0].probability >= best[1].probability);
    MUST(askd_session_run_u8(session, pixels, ELEMENTS, logits, CLASSES) == ASKD_STATUS_INPUT_TYPE);
    MUST(askd_session_run(session, input, ELEMENTS - 1, logits, CLASSES) == ASKD_STATUS_WRONG_LENGTH);
    MUST(askd_session_run(session, input, ELEMENTS, (float *)(void *)((char *)logits + 1), CLASSES) ==
         ASKD_STATUS_MISALIGNED_POINTER);
    image.format = 77;
    MUST(askd_session_run_image(session, &image, logits, CLASSES) == ASKD_STATUS_UNKNOWN_VALUE);
    free(input);
    free(logits);
    free(pixels);
    free(best);
}

static askd_session *with_options(const askd_model *model)
{
    askd_session_options *options = NULL;
    askd_session *session = NULL;
    OK(askd_session_options_new(&options));
    OK(askd_session_options_set_provider(options, ASKD_PROVIDER_CPU));
    OK(askd_session_options_set_device_id(options, 0));
    OK(askd_session_options_set_strict(options, true));
    OK(askd_session_options_set_threads(options, 2));
    OK(askd_session_options_set_spinning(options, false));
    OK(askd_session_options_set_memory_arena(options, true));
    OK(askd_session_options_set_memory_limit(options, 0));
    OK(askd_session_options_set_optimisation(options, ASKD_OPTIMISATION_BASIC));
    OK(askd_session_options_set_library(options, NULL));
    OK(askd_session_options_set_cache(options, "cache"));
    MUST(askd_session_new(model, options, &session) == ASKD_STATUS_OPTION && !session);
    OK(askd_session_options_set_cache(options, NULL));
    OK(askd_session_new(model, options, &session));
    askd_session_options_free(options);
    return session;
}

int main(int argc, char **argv)
{
    MUST(argc == 2);
    char text[1024];
    uint32_t provider;
    bool has;
    printf("%s, engine ", askd_version());
    OK(askd_engine_load(NULL));
    OK(askd_engine_version(text, sizeof text, NULL));
    OK(askd_engine_has_provider(ASKD_PROVIDER_CPU, &has));
    printf("%s, %s %d, ", text, askd_provider_text(ASKD_PROVIDER_CPU), has);
    OK(askd_engine_path(text, sizeof text, NULL));
    OK(askd_engine_warning(text, sizeof text, NULL));

    size_t sizes[3];
    uint8_t *bytes[3] = {read_file(argv[1], "askd.json", &sizes[0]), read_file(argv[1], "golden.safetensors", &sizes[1]),
                         read_file(argv[1], "model.fp32.onnx", &sizes[2])};
    askd_file files[] = {{"golden.safetensors", bytes[1], sizes[1]}, {"model.fp32.onnx", bytes[2], sizes[2]}};
    askd_model *models[4] = {NULL, NULL, NULL, NULL};
    OK(askd_model_open(argv[1], &models[0]));
    OK(askd_model_open_variant(argv[1], "fp32", &models[1]));
    OK(askd_model_open_mapped(argv[1], &models[2]));
    OK(askd_model_from_bytes(bytes[0], sizes[0], files, 2, &models[3]));
    for (int i = 0; i < 3; i++)
        free(bytes[i]);
    for (int i = 0; i < 4; i++) {
        facts(models[i]);
        askd_session *session = with_options(models[i]);
        OK(askd_session_provider(session, &provider));
        OK(askd_session_fallback(session, text, sizeof text, NULL));
        MUST(provider == ASKD_PROVIDER_CPU && text[0] == '\0');
        runs(models[i], session);
        askd_model_free(models[i]);
        askd_session_free(session);
    }
    askd_model *none = NULL;
    askd_status status = askd_model_open("/nowhere", &none);
    OK(askd_last_error_text(text, sizeof text, NULL));
    printf("%s: %s\n", askd_status_text(status), text);
    askd_model_free(none);
    askd_session_free(NULL);
    askd_session_options_free(NULL);
    return EXIT_SUCCESS;
}

/*
 * Classifies an image file with a bundle and prints the five most likely classes.
 *
 *   cargo build --release -p askd-runtime-capi
 *   cc -std=c11 -Iruntime/capi/include -o classify examples/c/classify.c target/release/libaskd.a -lpthread -ldl -lm
 *   ./classify out/pilot/student.askd photo.ppm
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>

#include "askd.h"
#include "pnm.h"

/* Prints what the last call on this thread said. */
static int failed(void)
{
    char text[512];
    if (askd_last_error_text(text, sizeof text, NULL) == ASKD_STATUS_OK)
        fprintf(stderr, "%s\n", text);
    return EXIT_FAILURE;
}

static int classify(askd_model *model, askd_session *session, const askd_image *image)
{
    char warning[512];
    size_t length;
    if (askd_engine_warning(warning, sizeof warning, &length) == ASKD_STATUS_OK && length > 0)
        fprintf(stderr, "warning: %s\n", warning);

    /* Shows that this machine computes what it should. */
    askd_self_test test;
    if (askd_session_self_test(session, &test) != ASKD_STATUS_OK)
        return failed();

    askd_prediction predictions[5];
    size_t count;
    if (askd_session_classify(session, image, predictions, 5, &count) != ASKD_STATUS_OK)
        return failed();
    for (size_t i = 0; i < count; i++) {
        char label[256];
        if (askd_model_label(model, predictions[i].class_index, label, sizeof label, NULL) != ASKD_STATUS_OK)
            return failed();
        printf("%6.2f %%  %s\n", 100.0 * predictions[i].probability, label);
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: classify BUNDLE.askd IMAGE.ppm|IMAGE.pgm\n");
        return EXIT_FAILURE;
    }
    askd_image image;
    uint8_t *pixels = NULL;
    const char *wrong = pnm_read(argv[2], &image, &pixels);
    if (wrong) {
        fprintf(stderr, "%s: %s\n", argv[2], wrong);
        return EXIT_FAILURE;
    }

    /* ONNX Runtime as Microsoft publishes it reports to it over the network; a device must not. */
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);
    /* Every byte of the bundle is checked here; ONNX Runtime is loaded by the session. */
    askd_model *model = NULL;
    askd_session *session = NULL;
    int code;
    if (askd_model_open(argv[1], &model) != ASKD_STATUS_OK || askd_session_new(model, NULL, &session) != ASKD_STATUS_OK)
        code = failed();
    else
        code = classify(model, session, &image);

    askd_session_free(session); /* NULL is nothing to free */
    askd_model_free(model);
    free(pixels);
    return code;
}

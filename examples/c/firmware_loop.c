/*
 * A camera's loop: frames at a fixed rate, a deadline for each, a watchdog, and new bundles picked up between frames.
 *
 *   cargo build --release -p askd-runtime-capi
 *   cc -std=c11 -Iruntime/capi/include -o firmware_loop examples/c/firmware_loop.c target/release/libaskd.a -lpthread -ldl -lm
 *   ./firmware_loop /var/lib/camera/bundles --frames 600 --rate 30
 *
 * In the directory are bundles, NAME.askd, renamed into place when they are complete and never changed afterwards. The one
 * with the highest sequence number serves, if it passes its self test on this device; else the one before serves on.
 */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "askd.h"

enum { HEIGHT = 48, WIDTH = 64, PATHS = 64, PATH = 1024 };
/* The watchdog ends a process whose loop stands still, as a board's own resets the board: seconds. */
static const unsigned WATCHDOG = 10;

static volatile sig_atomic_t stopped;
static void stop(int number) { (void)number; stopped = 1; }

/* What serves, and the bundles that were judged last: a directory holds fewer of them at a time. */
struct server {
    askd_session *session;
    uint64_t sequence;
    char judged[PATHS][PATH];
    size_t count;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void sleep_until(double time)
{
    struct timespec t = {.tv_sec = (time_t)time, .tv_nsec = (long)((time - (double)(time_t)time) * 1e9)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* What the camera delivers: a pattern that moves. */
static void capture(uint8_t *pixels, unsigned long frame)
{
    for (size_t i = 0; i < (size_t)HEIGHT * WIDTH * 3; i++)
        pixels[i] = (uint8_t)(i + 5 * frame);
}

/* A tested session for the bundle at `path`; NULL for one that is older than what serves, or that fails. */
static askd_session *prepare(const struct server *server, const char *path, uint64_t *sequence)
{
    askd_model *model = NULL;
    askd_session *session = NULL;
    askd_self_test test;
    askd_status status = askd_model_open(path, &model);
    if (status == ASKD_STATUS_OK)
        status = askd_model_sequence(model, sequence);
    if (status == ASKD_STATUS_OK && server->session && *sequence <= server->sequence) {
        askd_model_free(model);
        return NULL;
    }
    if (status == ASKD_STATUS_OK)
        status = askd_session_new(model, NULL, &session);
    askd_model_free(model);
    if (status == ASKD_STATUS_OK)
        status = askd_session_self_test(session, &test);
    if (status == ASKD_STATUS_OK)
        return session;
    char text[512] = "";
    askd_last_error_text(text, sizeof text, NULL);
    askd_session_free(session);
    if (server->session)
        printf("refused %s: %s; sequence %llu serves on\n", path, text, (unsigned long long)server->sequence);
    else
        printf("refused %s: %s\n", path, text);
    return NULL;
}

/* Looks for a bundle that was not judged yet; at most one a call, so that frames do not wait long. */
static bool pick_up(struct server *server, const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return false;
    char path[PATH];
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(dir));) {
        const char *end = strrchr(entry->d_name, '.');
        int length = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        found = end && strcmp(end, ".askd") == 0 && length < PATH;
        for (size_t i = 0; found && i < server->count && i < PATHS; i++)
            found = strcmp(server->judged[i], path) != 0;
    }
    closedir(dir);
    if (!found)
        return false;
    strcpy(server->judged[server->count++ % PATHS], path);
    uint64_t sequence = 0;
    askd_session *session = prepare(server, path, &sequence);
    if (session) {
        askd_session_free(server->session);
        server->session = session;
        server->sequence = sequence;
        printf("swapped to sequence %llu\n", (unsigned long long)sequence);
    }
    fflush(stdout);
    return true;
}

static int serve(struct server *server, const char *folder, unsigned long frames, double rate)
{
    static uint8_t pixels[HEIGHT * WIDTH * 3];
    const askd_image image = {pixels, sizeof pixels, HEIGHT, WIDTH, ASKD_PIXEL_FORMAT_RGB8};
    const double period = 1.0 / rate, start = now();
    unsigned long classified = 0, dropped = 0, late = 0;
    double report = start + 1.0;
    for (unsigned long frame = 0; frame < frames && !stopped; frame++) {
        alarm(WATCHDOG);
        double due = start + (double)frame * period;
        sleep_until(due);
        if (now() > due + period) { /* a newer frame is there already: this one is dropped */
            dropped++;
        } else {
            askd_prediction best;
            size_t count;
            capture(pixels, frame);
            if (askd_session_classify(server->session, &image, &best, 1, &count) == ASKD_STATUS_OK)
                classified++;
            if (now() > due + period) /* the deadline: the next frame */
                late++;
            pick_up(server, folder);
        }
        bool last = frame + 1 == frames || stopped;
        if (last || now() >= report) {
            printf("frames=%lu classified=%lu dropped=%lu late=%lu bundle=%llu\n", frame + 1, classified, dropped, late,
                   (unsigned long long)server->sequence);
            fflush(stdout);
            report = now() + 1.0;
        }
    }
    alarm(0);
    return classified > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    unsigned long frames = 600;
    double rate = 30.0;
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--frames") == 0)
            frames = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--rate") == 0)
            rate = strtod(argv[i + 1], NULL);
    }
    if (argc < 2 || argc % 2 != 0 || frames == 0 || !(rate > 0.0)) {
        fprintf(stderr, "usage: firmware_loop BUNDLE_DIR [--frames N] [--rate HZ]\n");
        return EXIT_FAILURE;
    }
    /* ONNX Runtime as Microsoft publishes it reports to it over the network; a device must not. */
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    static struct server server;
    while (pick_up(&server, argv[1]))
        ;
    int code = EXIT_FAILURE;
    if (server.session)
        code = serve(&server, argv[1], frames, rate);
    else
        fprintf(stderr, "%s: no bundle that can serve\n", argv[1]);
    askd_session_free(server.session);
    return code;
}

/*
 * Classifies an image file with a bundle and prints the five most likely classes: classify.c, with owners and exceptions.
 *
 *   cargo build --release -p askd-runtime-capi
 *   c++ -std=c++17 -Iruntime/capi/include -o classify examples/c/classify.cc target/release/libaskd.a -lpthread -ldl -lm
 *   ./classify out/pilot/student.askd photo.ppm
 */
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

#include "askd.h"
#include "pnm.h"

namespace {

/* Throws what the last call on this thread said, if it failed. */
void check(askd_status status)
{
    if (status == ASKD_STATUS_OK)
        return;
    std::array<char, 512> text{};
    askd_last_error_text(text.data(), text.size(), nullptr);
    throw std::runtime_error(text.data());
}

template <auto Free> struct Freed {
    template <typename T> void operator()(T *object) const { Free(object); }
};
using Model = std::unique_ptr<askd_model, Freed<askd_model_free>>;
using Session = std::unique_ptr<askd_session, Freed<askd_session_free>>;
using Pixels = std::unique_ptr<uint8_t, Freed<std::free>>;

Model open(const char *bundle)
{
    askd_model *model = nullptr;
    check(askd_model_open(bundle, &model));
    return Model(model);
}

Session start(const Model &model)
{
    askd_session *session = nullptr;
    check(askd_session_new(model.get(), nullptr, &session));
    return Session(session);
}

std::string label(const Model &model, uint32_t class_index)
{
    size_t length = 0;
    check(askd_model_label(model.get(), class_index, nullptr, 0, &length));
    std::string text(length + 1, '\0'); // and the NUL
    check(askd_model_label(model.get(), class_index, text.data(), text.size(), nullptr));
    text.resize(length);
    return text;
}

void run(const char *bundle, const char *file)
{
    askd_image image{};
    uint8_t *bytes = nullptr;
    if (const char *wrong = pnm_read(file, &image, &bytes))
        throw std::runtime_error(std::string(file) + ": " + wrong);
    const Pixels pixels(bytes);

    // Every byte of the bundle is checked here; the self test then shows that this machine computes what it should.
    const Model model = open(bundle);
    const Session session = start(model);
    size_t length = 0;
    check(askd_engine_warning(nullptr, 0, &length));
    if (length > 0) {
        std::string warning(length + 1, '\0');
        check(askd_engine_warning(warning.data(), warning.size(), nullptr));
        std::fprintf(stderr, "warning: %s\n", warning.c_str());
    }
    askd_self_test test{};
    check(askd_session_self_test(session.get(), &test));

    std::array<askd_prediction, 5> predictions{};
    size_t count = 0;
    check(askd_session_classify(session.get(), &image, predictions.data(), predictions.size(), &count));
    for (size_t i = 0; i < count; i++)
        std::printf("%6.2f %%  %s\n", 100.0 * predictions[i].probability, label(model, predictions[i].class_index).c_str());
}

} // namespace

int main(int argc, char **argv)
try {
    if (argc != 3)
        throw std::runtime_error("usage: classify BUNDLE.askd IMAGE.ppm|IMAGE.pgm");
    // ONNX Runtime as Microsoft publishes it reports to it over the network; a device must not.
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);
    run(argv[1], argv[2]);
    return EXIT_SUCCESS;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return EXIT_FAILURE;
}

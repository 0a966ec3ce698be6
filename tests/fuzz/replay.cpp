// SPDX-License-Identifier: MIT

// fuzz_NAME CORPUS [INPUTS [SECONDS]]: the main of a fuzz target without libFuzzer. It gives the target
// every file of the folder, then inputs made of them, always the same ones: as many as INPUTS (50,000),
// for at most SECONDS (2). fuzz_NAME FILE gives it that file alone. An input that the target does not
// survive, or that takes 20 s, is written to the file crash-NAME in the working folder.

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

// Where a sanitizer is linked, it calls this before it ends the program.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

namespace fs = std::filesystem;

std::string crash_file;                 // NOLINT: for a signal handler
const char* current = nullptr;          // NOLINT
volatile std::size_t current_size = 0;  // NOLINT

void keep_input() {
    const int file = ::open(crash_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    const bool kept = current != nullptr && file >= 0 &&
                      ::write(file, current, current_size) == static_cast<ssize_t>(current_size);
    const std::string_view says = kept ? "the input is in " : "the input could not be kept in ";
    (void)!::write(2, says.data(), says.size());
    (void)!::write(2, crash_file.data(), crash_file.size());
    (void)!::write(2, "\n", 1);
}

void on_signal(int signal) {
    keep_input();
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

void catch_crashes() {
    if (__sanitizer_set_death_callback != nullptr) {
        __sanitizer_set_death_callback(keep_input);
    }
    static std::array<char, 64 * 1024> stack{};  // the other one may be what is full
    stack_t alternative{};
    alternative.ss_sp = stack.data();
    alternative.ss_size = stack.size();
    ::sigaltstack(&alternative, nullptr);
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK;
    for (const int signal : {SIGABRT, SIGALRM, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
        if (__sanitizer_set_death_callback == nullptr || signal == SIGABRT || signal == SIGALRM) {
            ::sigaction(signal, &action, nullptr);
        }
    }
}

std::string read(const fs::path& path) {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

void give(const std::string& input) {
    // In memory of exactly its size, so that a read past its end is one past the allocation.
    const auto copy = std::make_unique<char[]>(input.size());
    std::copy(input.begin(), input.end(), copy.get());
    current = copy.get();
    current_size = input.size();
    ::alarm(20);
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(copy.get()), input.size());
    current = nullptr;
}

class Mutator {
public:
    explicit Mutator(std::vector<std::string> corpus) : corpus_{std::move(corpus)} {
        corpus_.emplace_back();
    }

    std::string next() {
        std::string input = corpus_[below(corpus_.size())];
        for (std::size_t changes = 1 + below(6); changes > 0; --changes) {
            change(input);
        }
        return input;
    }

private:
    std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }

    char odd_byte() {
        static constexpr std::string_view odd{"\0\x01\x7F\x80\xFF\x1F\x20\"\\[]{}:,-0\r\n", 19};
        return below(2) == 0 ? odd[below(odd.size())] : static_cast<char>(below(256));
    }

    void change(std::string& input) {
        const std::size_t at = below(input.size());
        const std::size_t some = 1 + below(16);
        switch (below(8)) {
            case 0:  // a bit
                if (!input.empty()) {
                    input[at] = static_cast<char>(input[at] ^ 1 << below(8));
                }
                break;
            case 1:  // a byte
                if (!input.empty()) {
                    input[at] = odd_byte();
                }
                break;
            case 2: input.insert(at, 1, odd_byte()); break;
            case 3: input.erase(at, some); break;
            case 4: input.resize(at); break;
            case 5: input.insert(at, input.substr(below(input.size()), some)); break;
            case 6: {  // a piece of another
                const std::string& other = corpus_[below(corpus_.size())];
                input.insert(at, other.substr(below(other.size()), 4 * some));
                break;
            }
            default:  // the same, many times
                if (!input.empty() && input.size() < 4096) {
                    input.insert(at, below(8) == 0 ? 100'000 : 32 * some, input[at]);
                }
        }
    }

    std::vector<std::string> corpus_;
    std::mt19937_64 random_{1};  // NOLINT: the same inputs in every run
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s CORPUS|FILE [INPUTS [SECONDS]]\n", argv[0]);
        return 2;
    }
    const fs::path given{argv[1]};
    const long inputs = argc > 2 ? std::atol(argv[2]) : 50'000;
    const std::chrono::seconds bound{argc > 3 ? std::atol(argv[3]) : 2};
    crash_file = "crash-" + fs::path{argv[0]}.filename().string();
    catch_crashes();
    if (!fs::is_directory(given)) {
        give(read(given));
        return 0;
    }
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator{given}) {
        files.push_back(entry.path());
    }
    if (files.empty()) {
        std::fprintf(stderr, "%s is empty\n", argv[1]);
        return 1;
    }
    std::sort(files.begin(), files.end());
    std::vector<std::string> corpus;
    for (const fs::path& file : files) {
        corpus.push_back(read(file));
        give(corpus.back());
    }
    Mutator mutator{std::move(corpus)};
    const auto end = std::chrono::steady_clock::now() + bound;
    long given_inputs = 0;
    while (given_inputs < inputs && std::chrono::steady_clock::now() < end) {
        give(mutator.next());
        ++given_inputs;
    }
    std::printf("%zu files and %ld inputs made of them\n", files.size(), given_inputs);
    return given_inputs > 0 || inputs == 0 ? 0 : 1;
}

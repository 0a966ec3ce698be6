// SPDX-License-Identifier: MIT

/// @file
/// Caffeine, in a Java process that is asked over its pipes (Caffeine.java), where there is one.

#ifndef LARDER_TESTS_BENCHMARKS_PEERS_CAFFEINE_HPP
#define LARDER_TESTS_BENCHMARKS_PEERS_CAFFEINE_HPP

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

namespace larder_bench {

/// The process that `$LARDER_CAFFEINE` starts; run.sh sets it. Between two questions it waits.
class Caffeine {
public:
    static constexpr const char* name = "Caffeine (JVM)";

    [[nodiscard]] static bool there() { return std::getenv("LARDER_CAFFEINE") != nullptr; }

    Caffeine() {
        std::array<int, 2> to{};
        std::array<int, 2> from{};
        if (::pipe(to.data()) != 0 || ::pipe(from.data()) != 0) {
            throw std::runtime_error{"no pipe"};
        }
        process_ = ::fork();
        if (process_ == 0) {
            ::dup2(to[0], 0);
            ::dup2(from[1], 1);
            for (const int end : {to[0], to[1], from[0], from[1]}) {
                ::close(end);
            }
            ::execl("/bin/sh", "sh", "-c", std::getenv("LARDER_CAFFEINE"), nullptr);
            ::_exit(127);
        }
        ::close(to[0]);
        ::close(from[1]);
        ask_ = ::fdopen(to[1], "w");
        answers_ = ::fdopen(from[0], "r");
    }
    ~Caffeine() {
        std::fclose(ask_);  // it ends with its input
        std::fclose(answers_);
        ::waitpid(process_, nullptr, 0);
    }
    Caffeine(const Caffeine&) = delete;
    Caffeine& operator=(const Caffeine&) = delete;

    /// Sends a line, and gives the number that it answers.
    double operator()(const std::string& line) {
        std::fprintf(ask_, "%s\n", line.c_str());
        std::fflush(ask_);
        std::array<char, 256> answer{};
        if (std::fgets(answer.data(), static_cast<int>(answer.size()), answers_) == nullptr) {
            throw std::runtime_error{"Caffeine gave no answer to: " + line};
        }
        return std::atof(answer.data());
    }

private:
    ::pid_t process_ = -1;
    std::FILE* ask_ = nullptr;
    std::FILE* answers_ = nullptr;
};

}  // namespace larder_bench

#endif  // LARDER_TESTS_BENCHMARKS_PEERS_CAFFEINE_HPP

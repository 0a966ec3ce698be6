// SPDX-License-Identifier: MIT

/// @file
/// A forked child that ends in order, or not in time.

#ifndef LARDER_TESTS_SUPPORT_CHILD_HPP
#define LARDER_TESTS_SUPPORT_CHILD_HPP

#include <cstdio>
#include <cstdlib>
#include <exception>

#include <sys/wait.h>
#include <unistd.h>

namespace larder_test {

/// Threads in a child of a process with threads: ThreadSanitizer does not know them.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool can_fork = false;
#else
inline constexpr bool can_fork = true;
#endif

/// Runs in a forked child, which must end within half a minute.
///
/// @param f  returns why it has failed; null: it has not
/// @return 0 if all was well, 1 if it has failed, -1 if it was late, or crashed
template <class F>
int in_child(F&& f) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(30);
        const char* why = nullptr;
        try {
            why = f();
        } catch (const std::exception& error) {
            std::fprintf(stderr, "the child: %s\n", error.what());
            ::_exit(1);
        }
        if (why != nullptr) {
            std::fprintf(stderr, "the child: %s\n", why);
            ::_exit(1);
        }
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_CHILD_HPP

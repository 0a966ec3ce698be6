// SPDX-License-Identifier: MIT

#include "killed.hpp"

#include "visitor.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <system_error>
#include <thread>

extern char** environ;  // NOLINT: POSIX says so

namespace examples {

namespace {

using Time = std::chrono::steady_clock;  // one for all processes of the machine

constexpr std::chrono::milliseconds before_the_kill{250};

// An acknowledged write; small enough for a pipe to take it in one piece.
struct Receipt {
    std::uint64_t rank;
    std::uint64_t revision;
    Time::rep when;
};

[[noreturn]] void fail(int code, const char* what) {
    throw std::system_error{code, std::generic_category(), what};
}

// A running program, whose standard output is read.
class Child {
public:
    explicit Child(const std::vector<std::string>& command) {
        std::array<int, 2> ends{};
        if (pipe(ends.data()) != 0) {
            fail(errno, "pipe");
        }
        output_ = ends[0];
        fcntl(output_, F_SETFD, FD_CLOEXEC);
        std::vector<char*> arguments;
        for (const std::string& word : command) {
            arguments.push_back(const_cast<char*>(word.c_str()));  // which posix_spawn leaves alone
        }
        arguments.push_back(nullptr);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        posix_spawn_file_actions_addclose(&actions, ends[1]);
        const int code =
            posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
        posix_spawn_file_actions_destroy(&actions);
        close(ends[1]);
        if (code != 0) {
            close(output_);
            fail(code, arguments[0]);
        }
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() {
        kill_now();
        waitpid(pid_, nullptr, 0);
        close(output_);
    }

    void kill_now() noexcept { kill(pid_, SIGKILL); }

    // False at the end of its output: it has ended.
    bool next(Receipt& receipt) {
        auto* const to = reinterpret_cast<char*>(&receipt);
        for (std::size_t have = 0; have < sizeof receipt;) {
            const ssize_t got = read(output_, to + have, sizeof receipt - have);
            if (got == 0) {
                return false;
            }
            if (got > 0) {
                have += static_cast<std::size_t>(got);
            } else if (errno != EINTR) {
                fail(errno, "read");
            }
        }
        return true;
    }

private:
    pid_t pid_ = 0;
    int output_ = -1;
};

}  // namespace

void kill_in_the_middle(const std::vector<std::string>& command, const MakeContestant& make,
                        Strategy strategy, const std::filesystem::path& database,
                        Measured& measured) {
    std::vector<Receipt> receipts;
    Time::time_point killed{};
    {
        Child writer{command};
        Receipt receipt{};
        while (writer.next(receipt)) {
            receipts.push_back(receipt);
            const auto since = Time::duration{receipt.when - receipts.front().when};
            if (killed == Time::time_point{} && since >= before_the_kill) {
                writer.kill_now();
                killed = Time::now();
            }
        }
    }
    if (killed == Time::time_point{}) {
        throw std::runtime_error{"the writing process ended by itself"};
    }

    Database db{database.string()};
    make(strategy, db).reset();  // whoever comes next writes what a journal still has
    std::vector<std::uint64_t> revisions;
    for (std::size_t rank = 0; rank < popular_pages; ++rank) {
        revisions.push_back(Pages{db}.load(page_of(rank)).value().revision);
    }
    measured.acknowledged = receipts.size();
    for (const Receipt& receipt : receipts) {
        if (receipt.revision > revisions[receipt.rank]) {
            ++measured.lost;
            const auto age = killed - Time::time_point{Time::duration{receipt.when}};
            measured.lost_within = std::max(measured.lost_within,
                                            std::chrono::duration<double, std::milli>(age).count());
        }
    }
}

void write_until_killed(const MakeContestant& make, Strategy strategy,
                        const std::string& database) {
    Database db{database};
    Acknowledged acknowledged(popular_pages);
    const auto contestant = make(strategy, db);
    std::vector<std::jthread> threads;
    for (std::size_t number = 0; number < visitors; ++number) {
        threads.emplace_back([&, number] {
            Visitor visitor{number, *contestant, acknowledged};
            for (;;) {
                visitor.request([](std::size_t rank, std::uint64_t revision) {
                    const Receipt receipt{rank, revision, Time::now().time_since_epoch().count()};
                    if (write(STDOUT_FILENO, &receipt, sizeof receipt) != sizeof receipt) {
                        std::_Exit(EXIT_FAILURE);  // nobody reads any more
                    }
                });
            }
        });
    }
    threads.clear();
    std::abort();  // they do not end
}

}  // namespace examples

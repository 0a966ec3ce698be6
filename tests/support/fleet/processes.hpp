// SPDX-License-Identifier: MIT

/// @file
/// Processes that do the same work, are killed at any moment, and are started again.

#ifndef LARDER_TESTS_SUPPORT_FLEET_PROCESSES_HPP
#define LARDER_TESTS_SUPPORT_FLEET_PROCESSES_HPP

#include "support/fleet/moment.hpp"

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace larder_test {

/// Forks `members` processes, each of which calls `work(life, member)` and ends when that returns.
///
/// A life is the time of one process: a member that was killed is born again under a new number, by
/// `tend`. They die with their parent. Use it from a process that has one thread.
///
/// Thread safety: one thread.
class Processes {
public:
    using Life = unsigned;
    using Work = std::function<void(Life, std::size_t member)>;

    Processes(std::size_t members, Work work) : work_{std::move(work)}, members_(members) {
        for (Member& member : members_) {
            start(member);
        }
    }
    Processes(const Processes&) = delete;
    Processes& operator=(const Processes&) = delete;
    ~Processes() {
        for (Member& member : members_) {
            if (member.pid > 0) {
                ::kill(member.pid, SIGKILL);
                ::waitpid(member.pid, nullptr, 0);
            }
        }
    }

    [[nodiscard]] std::size_t size() const noexcept { return members_.size(); }

    /// kill -9, at whatever it is doing.
    void kill(std::size_t member) const { send(member, SIGKILL); }
    /// It stands still, wherever it is, until it is thawed.
    void freeze(std::size_t member) const { send(member, SIGSTOP); }
    void thaw(std::size_t member) const { send(member, SIGCONT); }

    /// Buries who has ended; starts those again that were killed if `again`.
    ///
    /// @return  whether any of them lives
    bool tend(bool again) {
        bool any = false;
        for (Member& member : members_) {
            int status = 0;
            if (member.pid > 0 && ::waitpid(member.pid, &status, WNOHANG) == member.pid) {
                member.pid = -1;
                deaths_[member.life] = moment();
                const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
                killed_ += killed ? 1 : 0;
                if (killed && again) {
                    start(member);
                } else if (!killed && status != 0) {
                    failures_.push_back("life " + std::to_string(member.life) + " ended with " +
                                        (WIFSIGNALED(status)
                                             ? "signal " + std::to_string(WTERMSIG(status))
                                             : "code " + std::to_string(WEXITSTATUS(status))));
                }
            }
            any = any || member.pid > 0;
        }
        return any;
    }

    /// Waits until all have ended; who has not by then is killed, and that is a failure.
    void join(std::chrono::milliseconds within) {
        const auto end = std::chrono::steady_clock::now() + within;
        for (bool late = false; tend(false);) {
            if (!late && std::chrono::steady_clock::now() > end) {
                late = true;
                for (const Member& member : members_) {
                    if (member.pid > 0) {
                        failures_.push_back("life " + std::to_string(member.life) + " hangs");
                        ::kill(member.pid, SIGKILL);
                    }
                }
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
        }
    }

    /// What ended otherwise than by its work's return or by SIGKILL.
    [[nodiscard]] const std::vector<std::string>& failures() const noexcept { return failures_; }

    /// How many lives SIGKILL has ended.
    [[nodiscard]] std::size_t killed() const noexcept { return killed_; }

    /// When each life that has ended was found to have.
    [[nodiscard]] const std::map<Life, Moment>& deaths() const noexcept { return deaths_; }

private:
    struct Member {
        pid_t pid = -1;
        Life life = 0;
    };

    void send(std::size_t member, int signal) const {
        if (members_.at(member).pid > 0) {
            ::kill(members_[member].pid, signal);
        }
    }

    void start(Member& member) {
        member.life = born_++;
        const pid_t parent = ::getpid();
        std::fflush(nullptr);
        member.pid = ::fork();
        if (member.pid < 0) {
            throw std::runtime_error{"no process"};
        }
        if (member.pid == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) {
                ::_exit(0);
            }
            std::signal(SIGTERM, SIG_DFL);  // the test framework's handlers report on their process
            std::signal(SIGABRT, SIG_DFL);
            try {
                work_(member.life, static_cast<std::size_t>(&member - members_.data()));
            } catch (const std::exception& e) {
                std::fprintf(stderr, "life %u: %s\n", member.life, e.what());
                ::_exit(3);
            }
            ::_exit(0);  // what the parent has made is not this process's to destroy
        }
    }

    Work work_;
    std::vector<Member> members_;
    Life born_ = 0;
    std::size_t killed_ = 0;
    std::map<Life, Moment> deaths_{};
    std::vector<std::string> failures_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FLEET_PROCESSES_HPP

// SPDX-License-Identifier: MIT

// Forked children, threads that take no signals, and the library's timers.

#include "support/catch.hpp"
#include "support/child.hpp"

#include <larder/detail/support/process.hpp>
#include <larder/detail/support/task_scope.hpp>
#include <larder/detail/support/ticker.hpp>
#include <larder/executor.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <future>
#include <latch>
#include <mutex>
#include <optional>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using larder::detail::ForkLocal;
using larder::detail::quiet_thread;
using larder::detail::TaskScope;
using larder::detail::Ticker;

namespace {

// What a forked child answers; -1 if it does not end in time.
template <class F>
int in_child(F&& f) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(30);
        ::_exit(f() ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("a child has its own, and leaves the parent's alone", "[process]") {
    struct Locked {
        std::mutex mutex{};
        int number = 0;
    };
    ForkLocal<Locked> local;
    local.get().number = 1;
    CHECK(local.find() != nullptr);
    const std::scoped_lock lock{local.get().mutex};  // held at the fork
    CHECK(in_child([&] {
              if (local.find() != nullptr) {
                  return false;
              }
              const std::scoped_lock mine{local.get().mutex};
              return local.get().number == 0 && local.find() == &local.get();
          }) == 0);
    CHECK(local.get().number == 1);
}

TEST_CASE("a thread of the library takes no signals", "[process]") {
    std::promise<sigset_t> blocked;
    quiet_thread([&] {
        sigset_t mine;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &mine);
        blocked.set_value(mine);
    }).join();
    const sigset_t theirs = blocked.get_future().get();
    CHECK(::sigismember(&theirs, SIGTERM) == 1);
    CHECK(::sigismember(&theirs, SIGUSR1) == 1);
    sigset_t mine;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mine);
    CHECK(::sigismember(&mine, SIGTERM) == 0);
}

TEST_CASE("a ticker takes its step when kicked, and again when the step says so", "[process]") {
    std::atomic<int> steps{0};
    std::latch third{3};
    Ticker ticker{[&]() -> Ticker::Next {
        if (++steps <= 3) {
            third.count_down();
            return steps < 3 ? std::optional{Ticker::Duration{1ms}} : std::nullopt;
        }
        return std::nullopt;
    }};
    CHECK(steps == 0);
    REQUIRE(ticker.kick());
    third.wait();
    CHECK(steps == 3);
    ticker.stop();
    CHECK_FALSE(ticker.kick());
    CHECK(steps == 3);
}

TEST_CASE("a ticker lives on in a child that kicks it", "[process]") {
    if (!larder_test::can_fork) {
        return;
    }
    std::atomic<int> steps{0};
    std::optional<Ticker> ticker;
    ticker.emplace([&]() -> Ticker::Next {
        ++steps;
        steps.notify_all();
        return std::nullopt;
    });
    REQUIRE(ticker->kick());
    steps.wait(0);
    CHECK(in_child([&] {
              if (!ticker->kick()) {
                  return false;
              }
              steps.wait(1);
              ticker.reset();
              return steps == 2;
          }) == 0);
    CHECK(in_child([&] {
              ticker.reset();  // without having used it
              return true;
          }) == 0);
}

TEST_CASE("a child does not wait for what the parent runs, and lets nothing begin after",
          "[process]") {
    TaskScope scope;
    const TaskScope::Pass running{scope};
    REQUIRE(running);
    CHECK(in_child([&] {
              scope.close();
              return !TaskScope::Pass{scope};
          }) == 0);
    CHECK(in_child([&] {
              {
                  const TaskScope::Pass mine{scope};
                  if (!mine || scope.running() != 1) {
                      return false;
                  }
              }
              scope.close();
              return true;
          }) == 0);
    CHECK(scope.running() == 1);
}

TEST_CASE("an executor's threads are a child's own", "[process]") {
    if (!larder_test::can_fork) {
        return;
    }
    std::optional<larder::Executor> executor = larder::Executor::threads(2);
    std::promise<void> ran;
    REQUIRE(executor->submit([&] { ran.set_value(); }));
    ran.get_future().get();
    CHECK(in_child([&] {
              std::promise<void> here;
              if (!executor->submit([&] { here.set_value(); }) ||
                  here.get_future().wait_for(20s) != std::future_status::ready) {
                  return false;
              }
              executor.reset();
              return true;
          }) == 0);
}

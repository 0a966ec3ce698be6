// SPDX-License-Identifier: MIT

// Calls that are carried out together: who leaves the chain is woken, but for the one who works here.

#include "support/catch.hpp"

#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/call_chain.hpp>

#include <array>
#include <cstddef>
#include <vector>

using larder::redis::detail::Call;
using larder::redis::detail::CallChain;

namespace {

// Three calls, of which the first is that of the thread that works here.
struct Three {
    std::array<Call, 3> calls{};
    CallChain chain{calls[0]};

    Three() {
        for (std::size_t i = 0; i < calls.size(); ++i) {
            calls[i].commands = 1;
            calls[i].next = i + 1 < calls.size() ? &calls[i + 1] : nullptr;
        }
        chain.assign(calls[0]);
    }

    [[nodiscard]] std::vector<std::size_t> unfinished() const {
        std::vector<std::size_t> which;
        chain.each([&](const Call& call) {
            which.push_back(static_cast<std::size_t>(&call - calls.data()));
        });
        return which;
    }
    [[nodiscard]] bool woken(std::size_t i) const { return calls[i].role == Call::done; }
};

}  // namespace

TEST_CASE("who is finished leaves, and is woken", "[redis]") {
    Three three;
    three.calls[1].answered = 1;
    CHECK(three.unfinished() == std::vector<std::size_t>{0, 2});
    CHECK(three.chain.remove_finished());
    CHECK(three.woken(1));
    CHECK_FALSE(three.woken(2));
    CHECK(three.calls[0].next == &three.calls[2]);
    three.calls[0].fail(Call::Failure::broken, nullptr);
    CHECK(three.chain.remove_finished());
    CHECK_FALSE(three.woken(0));  // its thread is here
    CHECK(three.chain.first() == &three.calls[2]);
    three.calls[2].fail(Call::Failure::timed_out, nullptr);
    CHECK_FALSE(three.chain.remove_finished());
    CHECK(three.woken(2));
    CHECK(three.chain.first() == nullptr);
}

TEST_CASE("those before an end leave, whatever became of them", "[redis]") {
    Three three;
    three.chain.remove_until(&three.calls[2]);
    CHECK(three.woken(1));
    CHECK_FALSE(three.woken(2));
    CHECK(&three.chain.remove_first() == &three.calls[2]);
    CHECK_FALSE(three.woken(2));  // it goes on by itself
    CHECK(three.chain.first() == nullptr);
}

TEST_CASE("any is asked from a call on", "[redis]") {
    Three three;
    three.calls[0].repeatable = true;
    const auto repeatable = [](const Call& call) { return call.repeatable; };
    CHECK(CallChain::any(three.chain.first(), repeatable));
    CHECK_FALSE(CallChain::any(&three.calls[1], repeatable));
    CHECK_FALSE(CallChain::any(nullptr, repeatable));
}

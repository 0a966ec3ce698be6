// SPDX-License-Identifier: MIT

/// @file
/// The contract of all functions of the slot protocol together.

#ifndef LARDER_TESTS_CONTRACT_ONE_ORDER_HPP
#define LARDER_TESTS_CONTRACT_ONE_ORDER_HPP

#include "bench.hpp"
#include "support/catch.hpp"
#include "support/history.hpp"

#include <larder/detail/flight/waiting.hpp>
#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace larder_test {

/// The slot protocol as policies use it: reads and writes of one key are explained by one order.
template <class S>
void history_contract(Rig<S>& rig) {
    using namespace contract;
    using B = Bench<S>;
    using V = typename B::V;
    B b{rig};
    auto& store = b.store;
    std::atomic<int> row{0};  // the database: a version that grows with each write
    const auto dawdle = [](int n) {
        for (int i = n % 7; i > 0; --i) {
            std::this_thread::yield();
        }
    };

    // Loads with a lease in hand, and tells who has joined.
    const auto load = [&](typename B::Opening& opening, int n, bool forced) {
        dawdle(n);
        const int version = row;
        dawdle(n / 7);
        const bool kept =
            store.fill(b.k, opening.lease, b.value(version), {minute_with_grace}).kept;
        if (forced && !kept) {
            store.erase(b.k);
        }
        larder::detail::Lead<larder::Fetched<V>>{std::move(opening.lead)}.complete(
            {b.value(version), {}, {}, {}});
        return version;
    };
    const auto query = [&](int n) {
        int version = -1;
        store.peek(b.k, [&](const V* value, auto remaining, Ttl, bool) {
            if (value != nullptr && remaining > remaining.zero()) {
                version = b.number(*value);
            }
        });
        if (version >= 0) {
            return version;
        }
        typename B::Opening opening = store.open(b.k);
        switch (opening.slot) {
            case Slot::hit: return b.number(*opening.copy->entry.value);
            case Slot::lead: return load(opening, n, false);
            case Slot::join:
                static_cast<void>(larder::detail::BlockedThread{*opening.flight}.wait({}));
                return opening.flight->brought()
                           ? b.number(
                                 *larder::detail::as_flight_of<larder::Fetched<V>>(*opening.flight)
                                      .result()
                                      ->value)
                           : -1;
            default: return row.load();
        }
    };
    const auto get = [&](int n) {
        int version = query(n);
        while (version < 0) {  // whom it waited for has gone
            version = query(n);
        }
        return version;
    };
    const auto refresh = [&](int n) {
        typename B::Opening opening = store.open_refresh(b.k, true);
        return opening.slot == Slot::lead ? load(opening, n, true) : row.load();
    };
    const auto put = [&](int n) {
        const Ticket ticket = store.begin_write(b.k, 1h);
        dawdle(n);
        const int version = ++row;
        dawdle(n / 7);
        b.finish(ticket, version);
        return version;
    };

    SECTION("reads, writes, refreshes and invalidations are explained by one order") {
        History history;
        at_once(7, [&](int who) {
            for (int n = 0; n < 200; ++n) {
                switch (who) {
                    case 0:
                    case 1: history.write([&] { return put(n + who); }); break;
                    case 2: history.read([&] { return refresh(n); }); break;
                    case 3:
                        store.erase(b.k);
                        dawdle(n);
                        break;
                    default: history.read([&] { return get(n + who); }); break;
                }
            }
        });
        CHECK(history.unexplained() == std::vector<std::string>{});
        CHECK(history.size() == 6 * 200);
        CHECK(get(0) == row);
        CHECK(b.nothing_in_hand());
    }
}

}  // namespace larder_test

#endif  // LARDER_TESTS_CONTRACT_ONE_ORDER_HPP

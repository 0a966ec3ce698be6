// SPDX-License-Identifier: MIT

// A flusher that stands still with changes in hand, past its claim, while others write and remove what it
// has: when it goes on, nothing is undone.

#include "support/behind/databases.hpp"
#include "support/catch.hpp"
#include "support/fleet/processes.hpp"
#include "support/fleet/shared.hpp"
#include "support/redis_server.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using namespace larder_test;

namespace {

const larder::Options options{.ttl = 1h};

auto cache_over(const RedisServer& server, const RowRepository& rows, larder::Ttl delay) {
    larder::redis::Client client{server.unix_url()};
    return larder::WriteBehind{larder::RedisStore<int, std::string>{client, "row"},
                               rows,
                               larder::RedisJournal<int, std::string>{client, "row"},
                               options,
                               {.delay = delay, .claim = 200ms, .drain = 0ms}};
}

struct Seen {
    std::atomic<bool> stands{false};
    std::atomic<bool> over{false};
    std::atomic<int> wrote{0};
};

void a_stalled_flusher_undoes_nothing(const TestDatabase& database) {
    const RedisServer server;
    const RowRepository rows = database.repository();
    const Shared<Seen> seen;
    // What it is to write late: a row that was changed since, one that was removed, a removal of one that
    // was written, and one that is as it was.
    {
        larder::RedisJournal<int, std::string> journal{larder::redis::Client{server.unix_url()},
                                                       "row"};
        for (const int key : {1, 2, 4}) {
            journal.record({key, "old", 0});
        }
        journal.record({3, std::nullopt, 0});
    }
    Processes stalled{1, [&](Processes::Life, std::size_t) {
                          const RowRepository mine = database.repository();
                          mine.before_write() = [&](std::span<const RowChange> changes) {
                              if (changes.size() == 4 && !seen->stands.exchange(true)) {
                                  std::raise(SIGSTOP);
                              }
                              ++seen->wrote;
                          };
                          auto cache = cache_over(server, mine, 0ms);
                          while (!seen->over) {
                              std::this_thread::sleep_for(1ms);
                          }
                      }};
    while (!seen->stands) {
        std::this_thread::sleep_for(1ms);
    }
    auto cache = cache_over(server, rows, 1h);
    cache.put(1, "new");
    cache.remove(2);
    cache.put(3, "new");
    CHECK(cache.flush(30s) == 0);  // once the claims have ended
    const std::map<int, std::string> right{{1, "new"}, {3, "new"}, {4, "old"}};
    const auto table = database.connect();
    CHECK(table->rows() == right);

    const int before = seen->wrote;
    CHECK(before == 0);
    stalled.thaw(0);
    while (seen->wrote == before) {
        std::this_thread::sleep_for(1ms);
    }
    seen->over = true;
    stalled.join(30s);
    CHECK(stalled.failures() == std::vector<std::string>{});
    CHECK(table->rows() == right);
    for (const int key : {1, 2, 3, 4}) {
        const auto at = right.find(key);
        CHECK(cache.get(key) == (at == right.end() ? std::nullopt : std::optional{at->second}));
    }
    CHECK(cache.dead_letters().empty());
    CHECK(cache.journal().size() == 0);
    std::map<int, std::uint64_t> newest;
    for (const RowStep& step : table->history()) {
        CHECK(step.version >= newest[step.key]);
        newest[step.key] = step.version;
    }
}

}  // namespace

TEST_CASE("a stalled flusher undoes nothing: SQLite", "[stalled]") {
    a_stalled_flusher_undoes_nothing(SqliteDatabase{});
}

#ifdef LARDER_TEST_POSTGRES
TEST_CASE("a stalled flusher undoes nothing: PostgreSQL", "[stalled]") {
    a_stalled_flusher_undoes_nothing(PostgresDatabase{});
}
#endif

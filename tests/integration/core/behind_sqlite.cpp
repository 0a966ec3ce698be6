// SPDX-License-Identifier: MIT

// WriteBehind over a SqliteJournal: what was put is read, written once its time comes, and outlives the
// policy; the rows are fenced by versions.

#include "support/catch.hpp"
#include "support/fleet/folder.hpp"

#include <larder/codec/raw.hpp>
#include <larder/larder.hpp>
#include <larder/sqlite.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using Store = larder::MemoryStore<int, std::string>;
using Journal = larder::SqliteJournal<int, std::string, larder::RawCodec<>>;

namespace {

/// Rows with their versions, those of removed ones, too.
class Rows {
public:
    bool down = false;

    std::optional<std::string> load(int key) {
        const std::scoped_lock lock{mutex_};
        const auto row = rows_.find(key);
        return row == rows_.end() ? std::nullopt : row->second.value;
    }
    bool save(int key, const std::string& value, std::uint64_t version) {
        return write(key, value, version);
    }
    bool remove(int key, std::uint64_t version) { return write(key, std::nullopt, version); }
    bool went_back() {
        const std::scoped_lock lock{mutex_};
        return went_back_;
    }

private:
    struct Row {
        std::optional<std::string> value{};
        std::uint64_t version = 0;
    };

    bool write(int key, std::optional<std::string> value, std::uint64_t version) {
        const std::scoped_lock lock{mutex_};
        if (down) {
            throw std::runtime_error{"the database is down"};
        }
        Row& row = rows_[key];
        went_back_ = went_back_ || row.version > version;
        if (row.version > version) {
            return false;
        }
        row = {std::move(value), version};
        return true;
    }

    std::mutex mutex_{};
    std::map<int, Row> rows_{};
    bool went_back_ = false;
};

}  // namespace

TEST_CASE("what was put behind a SqliteJournal outlives the policy", "[write_behind]") {
    const larder_test::Folder folder;
    const std::string path = folder.path() / "a.journal";
    Rows rows;
    {
        larder::WriteBehind cache{
            Store{}, std::ref(rows), Journal{path}, {}, {.delay = 1h, .drain = 0ms}};
        cache.put(1, "one");
        cache.put(2, "two");
        CHECK(cache.flush(10s) == 0);
        CHECK(rows.load(1) == "one");
        rows.down = true;
        cache.put(1, "one again");
        cache.remove(2);
        cache.put(3, "three");
        CHECK(cache.get(1) == "one again");
        CHECK_FALSE(cache.get(2));
        cache.invalidate(1);
        CHECK(cache.get(1) == "one again");
        CHECK(cache.stats().pending == 3);
    }
    rows.down = false;
    CHECK(rows.load(1) == "one");
    larder::WriteBehind cache{Store{}, std::ref(rows), Journal{path}, {}, {.delay = 1h}};
    CHECK(cache.get(1) == "one again");
    CHECK_FALSE(cache.get(2));
    cache.put(3, "three again");
    CHECK(cache.flush(10s) == 0);
    CHECK(rows.load(1) == "one again");
    CHECK_FALSE(rows.load(2));
    CHECK(rows.load(3) == "three again");
    CHECK(cache.dead_letters().empty());
    CHECK_FALSE(rows.went_back());
}

TEST_CASE("many threads put behind a SqliteJournal, and each row ends as its last put",
          "[write_behind]") {
    constexpr int writers = 8;
    constexpr int writes = 100;
    const larder_test::Folder folder;
    Rows rows;
    larder::WriteBehind cache{Store{},
                              std::ref(rows),
                              Journal{folder.path() / "a.journal"},
                              {},
                              {.batch = 7, .delay = 1ms}};
    {
        std::vector<std::jthread> crowd;
        for (int writer = 0; writer < writers; ++writer) {
            crowd.emplace_back([&, writer] {
                for (int i = 0; i < writes; ++i) {
                    const int key = writer * 10 + i % 10;
                    i % 7 == 0 ? cache.remove(key) : cache.put(key, std::to_string(i));
                }
            });
        }
    }
    CHECK(cache.flush(30s) == 0);
    for (int writer = 0; writer < writers; ++writer) {
        for (int i = writes - 10; i < writes; ++i) {
            CHECK(rows.load(writer * 10 + i % 10) ==
                  (i % 7 == 0 ? std::nullopt : std::optional{std::to_string(i)}));
        }
    }
    CHECK(cache.dead_letters().empty());
}

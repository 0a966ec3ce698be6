// SPDX-License-Identifier: MIT

// SqliteJournal over a real file: what it refuses to open, what it makes of damage, what outlives it, and
// who may use it.

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/fleet/folder.hpp"

#include <larder/codec/raw.hpp>
#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/sqlite.hpp>

#include <sqlite3.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <limits>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

using namespace std::chrono_literals;
using larder_test::Folder;
using Bytes = larder::SqliteJournal<std::string, std::string, larder::RawCodec<>>;
using Numbers = larder::SqliteJournal<int, int, larder::RawCodec<int>>;

namespace {

constexpr std::size_t all = 1000;

template <class J = Bytes>
std::string why_not(const std::string& path) {
    try {
        J journal{path};
    } catch (const larder::StoreError& error) {
        return error.what();
    }
    return "";
}

void run_sql(const std::string& path, const std::string& sql) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    REQUIRE(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    REQUIRE(sqlite3_close(db) == SQLITE_OK);
}

std::string read_file(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}
void write_file(const std::string& path, std::string_view bytes) {
    std::ofstream{path, std::ios::binary | std::ios::trunc} << bytes;
}

struct NoCodec {
    static constexpr bool textual = true;
    std::string encode(const int&) const { throw larder::CodecError{"no"}; }
    int decode(std::string_view) const { return 0; }
};

bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("what is no journal is not opened, and left as it is", "[journal]") {
    const Folder folder;
    const std::string path = folder.path() / "a.journal";
    SECTION("no database") {
        write_file(path, std::string(5000, 'x'));
        CHECK(says(why_not(path), path + ": it cannot be opened: file is not a database"));
        CHECK(read_file(path) == std::string(5000, 'x'));
    }
    SECTION("a database of something else") {
        run_sql(path, "CREATE TABLE t(x); PRAGMA application_id = 7");
        const std::string before = read_file(path);
        CHECK(says(why_not(path), "it is a database of something else: its application_id is 7"));
        CHECK(read_file(path) == before);
    }
    SECTION("a later schema") {
        Bytes{path};
        run_sql(path, "PRAGMA user_version = 2");
        CHECK(says(why_not(path),
                   "its schema has version 2, this larder knows 1: a later larder made it"));
    }
    SECTION("no table") {
        Bytes{path};
        run_sql(path, "DROP TABLE letters");
        CHECK(says(why_not(path), "no such table: letters"));
    }
    SECTION("no folder") {
        CHECK(says(why_not(folder.path() / "none" / "a.journal"), "unable to open database file"));
    }
    SECTION("a folder") {
        CHECK(says(why_not(folder.path()), "unable to open database file"));
    }
    SECTION("a name with a zero byte, which is not cut there") {
        const std::string cut = (folder.path() / "cut").string();
        CHECK_THROWS_AS(Bytes{cut + std::string(1, '\0') + "off"}, std::invalid_argument);
        CHECK_FALSE(std::filesystem::exists(cut));
    }
    SECTION("nothing that outlives the process") {
        CHECK(says(why_not(":memory:"), "its journal_mode is memory"));
    }
    SECTION("an option that makes no sense") {
        CHECK_THROWS_AS((Bytes{path, {.wait = -1ms}}), std::invalid_argument);
    }
}

TEST_CASE("what was recorded outlives the journal, its attempts and letters, too", "[journal]") {
    const Folder folder;
    const std::string path = folder.path() / "a.journal";
    using Journal = larder::SqliteJournal<std::tuple<int, std::string>, std::vector<int>>;
    const std::tuple key{1, std::string{"a:b"}};
    const std::tuple other{2, std::string{}};
    std::uint64_t version = 0;
    std::vector<larder::DeadLetter<std::tuple<int, std::string>, std::vector<int>>> letters;
    {
        Journal journal{path};
        CHECK(journal.path() == path);
        journal.record({other, std::vector{3}, 0});
        REQUIRE(journal.bury(journal.claim(all, 1h, 0ms).at(0), "why"));
        version = journal.record({key, std::vector{1, 2}, 0});
        journal.defer(journal.claim(all, 1h, 0ms).at(0), 1h);
        letters = journal.dead_letters();
    }
    Journal journal{path};
    CHECK(journal.pending(key)->value == std::vector{1, 2});
    CHECK(journal.pending(key)->version == version);
    const auto claims = journal.claim(all, 1h, 0ms);  // it does not wait for its next try
    REQUIRE(claims.size() == 1);
    CHECK(claims[0].change.key == key);
    CHECK(claims[0].attempts == 1);
    const auto kept = journal.dead_letters();
    REQUIRE(kept.size() == 1);
    CHECK(kept[0].change.key == other);
    CHECK(kept[0].why == "why");
    CHECK(kept[0].attempts == 1);
    CHECK(kept[0].first == letters.at(0).first);
    CHECK(kept[0].last == letters.at(0).last);
    REQUIRE(journal.bury(claims[0], "why not"));
    CHECK(journal.dead_letters().at(1).attempts == 2);
    CHECK(journal.dead_letters().at(1).first < journal.dead_letters().at(1).last);
    CHECK(journal.revive(other));
    CHECK(journal.pending(other)->version == letters.at(0).change.version);
}

TEST_CASE("a change is as old as it is, also for the next process", "[journal]") {
    const Folder folder;
    const std::string path = folder.path() / "a.journal";
    Numbers{path}.record({1, 10, 0});
    Numbers{path}.record({2, 20, 0});
    run_sql(path, "UPDATE changes SET since = since - 3600000000000 WHERE key = x'31'");
    run_sql(path, "UPDATE changes SET since = since + 3600000000000 WHERE key = x'32'");
    Numbers journal{path};
    CHECK(journal.oldest() >= 1h);
    CHECK(journal.oldest() < 2h);
    CHECK(journal.claim(all, 1min, 30min).size() == 1);
    CHECK(journal.claim(all, 1min, 0ms).size() == 1);  // a clock that was set back
}

// Rule W4.
TEST_CASE("versions grow when all is settled and the clock was set back", "[journal]") {
    const Folder folder;
    const std::string path = folder.path() / "a.journal";
    const std::int64_t future = larder::detail::SqliteRows::now() + 3'600'000'000'000;
    Numbers{path};
    run_sql(path, "UPDATE versions SET last = " + std::to_string(future) + ", seal = " +
                      std::to_string(larder::detail::SqliteRows::seal({}, future, std::nullopt)));
    auto last = static_cast<std::uint64_t>(future);
    for (int round = 0; round < 3; ++round) {
        Numbers journal{path};
        const std::uint64_t version = journal.record({1, 10, 0});
        CHECK(version == last + 1);
        last = version;
        CHECK(journal.settle(journal.claim(all, 1min, 0ms)) == std::vector{true});
    }
}

TEST_CASE("what does not decode is a dead letter, kept as it is, and keeps nobody waiting",
          "[journal]") {
    const Folder folder;
    const std::string path = folder.path() / "a.journal";
    {
        Bytes bytes{path};
        bytes.record({"1", std::string{"no number"}, 0});
        bytes.record({"no number", std::string{"2"}, 0});
        bytes.record({"3", std::string{"30"}, 0});
    }
    {
        Numbers journal{path};
        CHECK(journal.size() == 3);
        CHECK_THROWS_AS(journal.pending(1), larder::StoreError);
        const auto claims = journal.claim(1, 1min, 0ms);
        REQUIRE(claims.size() == 1);
        CHECK(claims[0].change.key == 3);
        CHECK(journal.undecodable() == 2);
        CHECK_FALSE(journal.pending(1));
        CHECK(journal.dead_letters().empty());
        CHECK(journal.size() == 1);
    }
    Bytes bytes{path};
    const auto letters = bytes.dead_letters();
    REQUIRE(letters.size() == 2);
    CHECK(letters[0].change.key == "1");
    CHECK(letters[0].change.value == "no number");
    CHECK(says(letters[0].why, "the value does not decode: "));
    CHECK(letters[1].change.key == "no number");
    CHECK(letters[1].why == "the key does not decode");
    CHECK(bytes.size() == 1);
}

TEST_CASE("a key that many threads record at once has one change in the file, the last one",
          "[journal]") {
    constexpr int writers = 8;
    constexpr int writes = 40;
    const Folder folder;
    const std::string path = folder.path() / "a.journal";
    std::array<std::optional<int>, 2> last{};
    {
        Numbers journal{path};
        std::vector<std::jthread> crowd;
        for (int writer = 0; writer < writers; ++writer) {
            crowd.emplace_back([&, writer] {
                for (int i = 0; i < writes; ++i) {
                    journal.record({i % 2, writer * writes + i, 0});
                    if (writer == 0 && i % 5 == 0) {
                        (void)journal.settle(journal.claim(all, 1min, 0ms));
                    }
                }
            });
        }
        crowd.clear();
        for (int key = 0; key < 2; ++key) {
            if (const auto change = journal.pending(key)) {
                last.at(static_cast<std::size_t>(key)) = change->value;
            }
        }
    }
    Numbers journal{path};
    CHECK(journal.buried() == 0);
    for (int key = 0; key < 2; ++key) {
        const auto change = journal.pending(key);
        CHECK((change ? change->value : std::nullopt) == last.at(static_cast<std::size_t>(key)));
    }
}

TEST_CASE("a second change of a key that somebody has put into the file is kept as a dead letter",
          "[journal]") {
    const Folder folder;
    const std::string path = folder.path() / "a.journal";
    std::int64_t version = static_cast<std::int64_t>(Numbers{path}.record({1, 10, 0}));
    const auto put_second = [&] {
        const std::int64_t seal = larder::detail::SqliteRows::seal("1", ++version, "20");
        run_sql(path, "INSERT INTO changes VALUES(" + std::to_string(version) +
                          ", x'31', 9000000000000000000, x'3230', " + std::to_string(seal) +
                          ", 0, 0)");
    };
    put_second();
    CHECK(Numbers{path}.pending(1)->value == 10);
    CHECK(Numbers{path}.buried() == 1);
    put_second();
    CHECK(says(why_not<Numbers>(path), "it is damaged: its dead letters"));
}

TEST_CASE("a key that is not equal to itself is not recorded", "[journal]") {
    const Folder folder;
    larder::SqliteJournal<double, int, larder::RawCodec<int>> journal{folder.path() / "a.journal"};
    CHECK_THROWS_AS(journal.record({std::nan(""), 1, 0}), std::invalid_argument);
    CHECK(journal.size() == 0);
}

TEST_CASE("a value that does not encode is not recorded", "[journal]") {
    const Folder folder;
    larder::SqliteJournal<int, int, NoCodec> journal{folder.path() / "a.journal"};
    CHECK_THROWS_AS(journal.record({1, 1, 0}), larder::CodecError);
    CHECK(journal.size() == 0);
}

TEST_CASE("one journal at a time has the file", "[journal]") {
    const Folder folder;
    const std::string path = folder.path() / "a.journal";
    std::optional<Numbers> journal{path};
    const Numbers copy = *journal;
    CHECK(says(why_not<Numbers>(path), path + ": it cannot be opened: another process has it, or "
                                              "another journal of this one"));
    journal->record({1, 10, 0});
    journal.reset();
    CHECK(copy.pending(1)->value == 10);
    CHECK_FALSE(why_not<Numbers>(path).empty());
}

TEST_CASE("another process cannot open the file, and can once this one was killed", "[journal]") {
    if (!larder_test::can_fork) {
        return;
    }
    const Folder folder;
    const std::string path = folder.path() / "a.journal";
    std::array<int, 2> tell{};
    REQUIRE(::pipe(tell.data()) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(30);
        Numbers journal{path};
        for (int key = 0;; ++key) {
            journal.record({key, key, 0});
            if (::write(tell[1], &key, sizeof key) != sizeof key) {
                ::_exit(1);
            }
        }
    }
    ::close(tell[1]);
    int last = -1;
    while (last < 100) {
        REQUIRE(::read(tell[0], &last, sizeof last) == sizeof last);
    }
    CHECK(says(why_not<Numbers>(path), "another process has it"));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (int key = 0; ::read(tell[0], &key, sizeof key) == sizeof key;) {
        last = key;
    }
    ::close(tell[0]);
    Numbers journal{path};
    for (int key = 0; key <= last; ++key) {
        REQUIRE(journal.pending(key)->value == key);
    }
    CHECK(journal.size() <= static_cast<std::size_t>(last) + 2);
    CHECK(journal.claim(10'000, 1min, 0ms).size() == journal.size());
}

TEST_CASE("a forked child must not use the journal, and does it no harm", "[journal]") {
    if (!larder_test::can_fork) {
        return;
    }
    const Folder folder;
    const std::string path = folder.path() / "a.journal";
    {
        Numbers journal{path};
        journal.record({1, 10, 0});
        CHECK(larder_test::in_child([&]() -> const char* {
                  const Numbers mine = std::move(journal);  // destroyed here
                  const auto is_refused = [](const auto& ask) {
                      try {
                          ask();
                          return false;
                      } catch (const larder::StoreError& error) {
                          return says(error.what(), "the journal is that of the parent process");
                      }
                  };
                  if (!is_refused([&] { (void)mine.pending(1); })) {
                      return "it was asked";
                  }
                  return is_refused([&] { (void)mine.size(); }) ? nullptr : "it was counted";
              }) == 0);
        journal.record({2, 20, 0});
        CHECK(journal.pending(1)->value == 10);
    }
    CHECK(Numbers{path}.size() == 2);
}

TEST_CASE("a damaged file is refused, or shows what is whole and what is not", "[journal]") {
    const Folder folder;
    const std::string path = folder.path() / "a.journal";
    constexpr std::size_t keys = 60;
    {
        Bytes journal{path};
        for (std::size_t key = 0; key < keys; ++key) {
            journal.record({"key " + std::to_string(key), std::string(key * 5, 'v'), 0});
        }
        for (const auto& claimed : journal.claim(10, 1min, 0ms)) {
            REQUIRE(journal.bury(claimed, "why"));
        }
    }
    const std::string whole = read_file(path);
    std::mt19937 random{5};
    std::size_t refused = 0;
    std::size_t lettered = 0;
    for (int round = 0; round < 1500; ++round) {
        std::string bytes = whole;
        const std::size_t at = random() % bytes.size();
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
        if (round % 10 == 0) {
            bytes.resize(random() % bytes.size());
        }
        write_file(path, bytes);
        INFO("round " << round << ", byte " << at << ", " << bytes.size() << " bytes");
        try {
            Bytes journal{path};
            std::size_t damaged = 0;
            for (const auto& letter : journal.dead_letters()) {
                damaged += letter.why == "its bytes in the file are damaged" ? 1U : 0U;
            }
            lettered += damaged;
            // Of an empty file nobody can tell what was in it.
            REQUIRE((bytes.empty() || journal.size() + journal.dead_letters().size() == keys));
            std::size_t right = 0;
            for (std::size_t key = 0; key < keys; ++key) {
                if (const auto change = journal.pending("key " + std::to_string(key))) {
                    REQUIRE(change->value == std::string(key * 5, 'v'));
                    ++right;
                }
            }
            REQUIRE(right == journal.size());
            const auto claims = journal.claim(all, 1min, 0ms);
            REQUIRE(journal.settle(claims) == std::vector<bool>(claims.size(), true));
        } catch (const larder::StoreError&) {
            ++refused;
        }
        std::filesystem::remove(path + "-wal");
    }
    CHECK(refused > 50);
    CHECK(lettered > 50);
}

// SPDX-License-Identifier: MIT

// What a durable put costs: acknowledged writes a second of 64 threads into a SqliteJournal, beside one wait
// for the disk a write, and how fast the journal is claimed and settled. Interleaved, medians, and the
// median of the ratios within a round.
// FOLDER says on which disk: it is there, and gets a folder that is removed again.
//   benchmark_sqlite_journal [FOLDER [MILLISECONDS [ROUNDS]]]

#include "compare.hpp"

#include <larder/codec/raw.hpp>
#include <larder/larder.hpp>
#include <larder/sqlite.hpp>

#include <sqlite3.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using Journal = larder::SqliteJournal<int, std::string, larder::RawCodec<>>;
using larder_bench::median;

constexpr int keys = 20'000;
const std::string value(100, 'v');

/// Made anew, with nothing in it.
std::string fresh_file(const std::filesystem::path& folder, const std::string& name) {
    for (const char* const end : {"", "-wal", "-shm"}) {
        std::filesystem::remove(folder / (name + end));
    }
    return folder / name;
}

/// A table of the same rows, and a transaction for each write.
class ByHand {
public:
    explicit ByHand(const std::string& path) {
        sqlite3* raw = nullptr;
        require(sqlite3_open(path.c_str(), &raw));
        database_.reset(raw);
        run("PRAGMA locking_mode = EXCLUSIVE");
        run("PRAGMA journal_mode = WAL");
        run("PRAGMA synchronous = FULL");
        run("CREATE TABLE row(id INTEGER PRIMARY KEY, value BLOB NOT NULL)");
        sqlite3_stmt* upsert = nullptr;
        require(sqlite3_prepare_v2(raw, "INSERT OR REPLACE INTO row VALUES(?1, ?2)", -1, &upsert,
                                   nullptr));
        upsert_.reset(upsert);
    }
    void put(int key) {
        const std::scoped_lock lock{mutex_};
        sqlite3_bind_int(upsert_.get(), 1, key);
        sqlite3_bind_blob(upsert_.get(), 2, value.data(), static_cast<int>(value.size()),
                          SQLITE_STATIC);
        sqlite3_step(upsert_.get());
        require(sqlite3_reset(upsert_.get()));  // in a transaction of its own
    }

private:
    struct Close {
        void operator()(sqlite3* database) const noexcept { sqlite3_close(database); }
        void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
    };
    static void require(int code) {
        if (code != SQLITE_OK) {
            throw std::runtime_error{sqlite3_errstr(code)};
        }
    }
    void run(const char* sql) {
        require(sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr));
    }

    std::mutex mutex_{};
    std::unique_ptr<sqlite3, Close> database_{};
    std::unique_ptr<sqlite3_stmt, Close> upsert_{};
};

/// Writes a second of so many threads.
template <class Put>
double rate(int threads, std::chrono::milliseconds time, const Put& put) {
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> done{0};
    const auto begin = std::chrono::steady_clock::now();
    {
        std::vector<std::jthread> writers;
        for (int writer = 0; writer < threads; ++writer) {
            writers.emplace_back([&, writer] {
                std::mt19937 random{static_cast<unsigned>(writer)};
                std::uint64_t mine = 0;
                for (; !over; ++mine) {
                    put(static_cast<int>(random() % keys));
                }
                done += mine;
            });
        }
        std::this_thread::sleep_for(time);
        over = true;
    }
    const larder_bench::Seconds took = std::chrono::steady_clock::now() - begin;
    return static_cast<double>(done) / took.count();
}

/// Claims and settles a second, 100 at once, of a journal with one change a key.
double drain_rate(Journal& journal) {
    const std::size_t before = journal.size();
    const auto begin = std::chrono::steady_clock::now();
    for (;;) {
        const auto claims = journal.claim(100, 1min, 0ms);
        if (claims.empty()) {
            break;
        }
        (void)journal.settle(claims);
    }
    const larder_bench::Seconds took = std::chrono::steady_clock::now() - begin;
    return static_cast<double>(before) / took.count();
}

struct Nothing {
    std::optional<std::string> load(int) { return std::nullopt; }
    bool save(int, const std::string&, std::uint64_t) { return true; }
    bool remove(int, std::uint64_t) { return true; }
};

struct Series {
    const char* name;
    std::vector<double> rates{};
    std::vector<double> ratios{};
};

}  // namespace

int main(int count, char** arguments) {
    const std::filesystem::path folder =
        (count > 1 ? std::filesystem::path{arguments[1]} : std::filesystem::temp_directory_path()) /
        "larder-journal";
    const std::chrono::milliseconds time{count > 2 ? std::atoi(arguments[2]) : 500};
    const int rounds = count > 3 ? std::atoi(arguments[3]) : 5;
    if (!std::filesystem::create_directory(folder)) {
        std::fprintf(stderr, "%s is there: it would be removed\n", folder.c_str());
        return 1;
    }
    Series all[] = {{"one transaction a write, 64 threads"},
                    {"SqliteJournal, 1 thread"},
                    {"SqliteJournal, 64 threads"},
                    {"WriteBehind::put over it, 64 threads"},
                    {"claim and settle, 100 at once"}};
    for (int round = 0; round < rounds; ++round) {
        ByHand by_hand{fresh_file(folder, "by_hand")};
        const double alone = rate(64, time, [&](int key) { by_hand.put(key); });
        const auto take = [&](Series& series, double writes) {
            series.rates.push_back(writes);
            series.ratios.push_back(writes / alone);
        };
        take(all[0], alone);
        Journal journal{fresh_file(folder, "journal")};
        const auto record = [&](int key) { journal.record({key, value, 0}); };
        take(all[1], rate(1, time, record));
        take(all[2], rate(64, time, record));
        take(all[4], drain_rate(journal));
        larder::MemoryStore<int, std::string> store{{.capacity = 10'000}};
        larder::WriteBehind behind{store, Nothing{}, journal, {}, {.delay = 1h, .drain = 0ms}};
        take(all[3], rate(64, time, [&](int key) { behind.put(key, value); }));
    }
    for (const Series& series : all) {
        std::printf("%-40s %9.0f a second, %5.1f times\n", series.name, median(series.rates),
                    median(series.ratios));
    }
    std::filesystem::remove_all(folder);
}

// SPDX-License-Identifier: MIT

// Two services on a Redis Cluster, each with near copies of its own; one is killed while you watch. For
// examples/fleet.sh, which starts the cluster, and kills a primary of it, too.
//
// fleet URL [SECONDS]: of a cluster, or of one server.

#include "support/database.hpp"
#include "support/scratch_folder.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iomanip>
#include <iostream>
#include <new>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using larder::redis::Durability;

struct Item {
    std::string name{};
    std::int64_t number{};  // counts its writes
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Item, name, number)

namespace {

constexpr int items = 200;  // even ones are written by the first service, odd ones by the second
constexpr std::array strategies{"CacheAside", "WriteThrough", "RefreshAhead", "WriteBehind"};
constexpr std::array services{"north", "south"};

// What a service tells of one strategy. It stays when the service is killed.
struct Told {
    std::atomic<std::uint64_t> reads, near, far, loads, writes, refused, backwards;
};

// In memory that the processes share.
struct Board {
    std::array<std::array<Told, strategies.size()>, services.size()> told;
    std::array<std::array<std::atomic<std::int64_t>, items>, strategies.size()> acknowledged;
    std::atomic<bool> stop;

    static Board& make() {
        void* memory = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            throw std::bad_alloc{};
        }
        return *new (memory) Board{};
    }
};

// A table whose rows have versions, which strategies that write at once do not need.
class Table {
public:
    Table(examples::Database& db, std::size_t strategy) : db_{&db}, name_{strategies[strategy]} {}

    void create() const {
        db_->exec("CREATE TABLE " + name_ +
                  " (id INTEGER PRIMARY KEY, name TEXT, number INTEGER, version INTEGER)");
        for (int id = 0; id < items; ++id) {
            save(id, {"item " + std::to_string(id), 0}, 0);
        }
    }

    std::optional<Item> load(int id) const {
        std::this_thread::sleep_for(2ms);  // as over a network
        auto row = db_->prepare("SELECT name, number FROM " + name_ + " WHERE id = ?", id);
        return row.step()
                   ? std::optional{Item{row.column<std::string>(0), row.column<std::int64_t>(1)}}
                   : std::nullopt;
    }
    bool save(int id, const Item& item, std::uint64_t version) const {
        return db_
            ->prepare(
                "INSERT INTO " + name_ +
                    " VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name,"
                    " number = excluded.number, version = excluded.version"
                    " WHERE version <= excluded.version RETURNING id",
                id, item.name, item.number, version)
            .step();
    }
    void save(int id, const Item& item) const { save(id, item, 0); }
    bool remove(int id, std::uint64_t version) const {  // nobody does in this example
        return save(id, {}, version);
    }
    void remove(int id) const { remove(id, 0); }

private:
    examples::Database* db_;
    std::string name_;
};

// Asks for items, the first more often than the last, and writes some of its own, until it is told to stop.
template <class Cache>
void visit(Board& board, std::size_t service, std::size_t strategy, Cache& cache) {
    Told& told = board.told[service][strategy];
    std::array<std::int64_t, items> seen{};
    std::mt19937_64 random{std::random_device{}()};
    std::uniform_real_distribution<> uniform{0.0, 1.0};
    while (!board.stop) {
        for (int i = 0; i < 50; ++i) {
            const auto id = static_cast<std::size_t>(items * std::pow(uniform(random), 3.0));
            try {
                const std::int64_t number = cache.get(static_cast<int>(id)).value().number;
                told.backwards += number < seen[id] ? 1U : 0U;
                seen[id] = std::max(seen[id], number);
                ++told.reads;
            } catch (const std::exception&) {
                ++told.refused;
            }
        }
        const std::size_t mine = 2 * (random() % (items / 2)) + service;
        const std::int64_t number = board.acknowledged[strategy][mine] + 1;
        try {
            cache.put(static_cast<int>(mine), {"item " + std::to_string(mine), number});
            board.acknowledged[strategy][mine] = seen[mine] = number;
            ++told.writes;
        } catch (const std::exception&) {
            ++told.refused;
        }
        const larder::Stats stats = cache.stats();
        told.near = stats.near_hits;
        told.far = stats.hits - stats.near_hits;
        told.loads = stats.loads;
        std::this_thread::sleep_for(2ms);
    }
}

// Near copies in this process, in front of those that all processes share.
auto shared_items(const larder::redis::Client& redis, std::size_t strategy) {
    return larder::TieredStore{
        larder::MemoryStore<int, Item>{{.capacity = 10'000}},
        larder::RedisStore<int, Item>{redis, std::string{"fleet-"} + strategies[strategy]},
        {.ttl = 30s}};
}

void serve(Board& board, std::size_t service, const std::string& url, const std::string& path) {
    examples::Database db{path};
    const larder::redis::Client redis{url};
    larder::CacheAside aside{shared_items(redis, 0), Table{db, 0}, {.ttl = 1h}};
    larder::WriteThrough through{shared_items(redis, 1), Table{db, 1}, {.ttl = 1h}};
    larder::RefreshAhead ahead{shared_items(redis, 2), Table{db, 2}, {.ttl = 2s}};
    larder::WriteBehind behind{
        shared_items(redis, 3),
        Table{db, 3},
        larder::RedisJournal<int, Item>{
            redis,
            std::string{"fleet-"} + strategies[3],
            {.durability = redis.clustered() ? Durability::replicas(1) : Durability::memory}},
        {.ttl = 1h},
        {.claim = 3s}};
    {
        const std::array visitors{
            std::jthread{[&] { visit(board, service, 0, aside); }},
            std::jthread{[&] { visit(board, service, 1, through); }},
            std::jthread{[&] { visit(board, service, 2, ahead); }},
            std::jthread{[&] { visit(board, service, 3, behind); }},
        };
    }
    behind.flush(10s);
}

pid_t start(Board& board, std::size_t service, const std::string& url, const std::string& path) {
    const pid_t child = ::fork();
    if (child == 0) {
        try {
            serve(board, service, url, path);
            std::_Exit(EXIT_SUCCESS);
        } catch (const std::exception& error) {
            std::cerr << services[service] << ": " << error.what() << '\n';
        }
        std::_Exit(EXIT_FAILURE);
    }
    return child;
}

// "north: 41,200 reads, 97 % of them near", since the last time.
void tell(const Board& board, std::size_t service, std::array<std::uint64_t, 5>& before) {
    std::array<std::uint64_t, 5> now{};
    for (const Told& told : board.told[service]) {
        now[0] += told.reads;
        now[1] += told.near;
        now[2] += told.loads;
        now[3] += told.writes;
        now[4] += told.refused;
    }
    const auto since = [&](std::size_t i) {
        return now[i] < before[i] ? now[i] : now[i] - before[i];
    };
    const std::uint64_t reads = since(0);
    std::cout << "   " << services[service] << std::setw(9) << reads << " reads, " << std::setw(3)
              << (reads == 0 ? 0 : 100 * std::min(since(1), reads) / reads) << " % near,"
              << std::setw(5) << since(2) << " loads," << std::setw(5) << since(3) << " writes";
    if (since(4) > 0) {
        std::cout << ", " << since(4) << " refused";
    }
    std::cout << '\n';
    before = now;
}

// What each strategy did, and whether the database has what was acknowledged. A read that went back gave
// something older than its service had seen before: a primary that is killed may take copies with it that
// were not with its replica yet.
bool report(const Board& board, examples::Database& db) {
    std::cout << "\nstrategy          reads     near      far    loads   writes  refused"
                 "  went back  lost\n";
    bool right = true;
    std::uint64_t went_back = 0;
    for (std::size_t s = 0; s < strategies.size(); ++s) {
        const auto sum = [&](auto member) {
            return board.told[0][s].*member + board.told[1][s].*member;
        };
        int lost = 0;
        for (int id = 0; id < items; ++id) {
            const auto row = Table{db, s}.load(id);
            lost +=
                !row || row->number < board.acknowledged[s][static_cast<std::size_t>(id)] ? 1 : 0;
        }
        const std::uint64_t backwards = sum(&Told::backwards);
        std::cout << std::left << std::setw(14) << strategies[s] << std::right;
        for (const auto member :
             {&Told::reads, &Told::near, &Told::far, &Told::loads, &Told::writes, &Told::refused}) {
            std::cout << std::setw(9) << sum(member);
        }
        std::cout << std::setw(11) << backwards << std::setw(6) << lost << '\n';
        right = right && lost == 0;
        went_back += backwards;
    }
    if (went_back > 0) {
        std::cout
            << "\nCopies went back that the killed primary had not passed on to its replica.\n";
    }
    return right;
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc < 2) {
        std::cerr << "usage: fleet URL [SECONDS]\n";
        return EXIT_FAILURE;
    }
    const std::string url = argv[1];
    const int seconds = argc > 2 ? std::atoi(argv[2]) : 10;
    const examples::ScratchFolder folder;
    const std::string path = folder.path() / "shop.db";
    Board& board = Board::make();
    {
        examples::Database db{path};
        for (std::size_t s = 0; s < strategies.size(); ++s) {
            Table{db, s}.create();
        }
    }
    std::array<pid_t, services.size()> children{};
    for (std::size_t i = 0; i < services.size(); ++i) {
        children[i] = start(board, i, url, path);
    }
    std::array<std::array<std::uint64_t, 5>, services.size()> before{};
    for (int second = 1; second <= seconds; ++second) {
        std::this_thread::sleep_for(1s);
        std::cout << "after " << second << " s\n";
        for (std::size_t i = 0; i < services.size(); ++i) {
            tell(board, i, before[i]);
        }
        if (second == seconds / 3) {
            std::cout << "   south is killed: kill -9\n";
            ::kill(children[1], SIGKILL);
            ::waitpid(children[1], nullptr, 0);
        }
        if (second == seconds / 3 + 1) {
            std::cout << "   south is started again\n";
            children[1] = start(board, 1, url, path);
            before[1][1] = before[1][2] = 0;  // what it counts anew
        }
        std::cout << std::flush;
    }
    board.stop = true;
    bool well = true;
    for (const pid_t child : children) {
        int status = 0;
        ::waitpid(child, &status, 0);
        well = well && status == 0;
    }
    examples::Database db{path};
    well = report(board, db) && well;
    return well ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}

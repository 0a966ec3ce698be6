// SPDX-License-Identifier: MIT

// A fleet of processes with near copies of one hot key that changes every second, as the fleet grows:
//   benchmark_fleet_simulation [--plots=FOLDER] [PROCESSES]…
// In one process, with a clock of its own: each process of the fleet is a CacheAside over a TieredStore
// with a MemoryStore of its own, and reads the key 100 times a second at random; one of them writes it once
// a second. The far store is one for all, and tells each process of every change after 0.2 to 1 ms. What is
// asked of it takes no time here, so there are no reads that meet a load: who reads first loads, and that
// is one load a change, as leases see to with threads, too (integration/redis/processes.cpp).
//
// Printed is what one second costs: messages between the processes and Redis, both ways, those that tell of
// changes apart; loads of the database; how old the oldest value was that was served, counted from when a
// newer one was acknowledged. Then the same with channels that break without a word, one a process every
// twenty seconds: nobody hears of it, near copies are served until the channel has been silent for too long.
//   --plots   draws messages and staleness by the size of the fleet (SVG) there

#include "support/watched_store.hpp"
#include "svg.hpp"

#include <larder/larder.hpp>
#include <larder/store/tiered.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using larder::ManualClock;
using Time = std::chrono::steady_clock::time_point;
using Number = std::uint64_t;
using Memory = larder::MemoryStore<int, Number, ManualClock>;
using Shared = larder_test::WatchedStore<Memory>;

constexpr int hot = 1;
constexpr auto duration = 10s;
constexpr auto reads_every = 10ms;  // on average
constexpr auto silence = 3s;        // longer than that, and near copies are not served
constexpr auto heartbeat = 1s;
constexpr auto cuts_every = 20s;   // a process, on average
constexpr auto reconnect = 100ms;  // after the silence was noticed

// How old a value is that somebody is given.
class Table {
public:
    explicit Table(ManualClock clock) : clock_{std::move(clock)} {}

    std::optional<Number> load(int) {
        ++loads_;
        return number_;
    }
    void save(int, Number number) { number_ = number; }
    void remove(int) {}

    void acknowledged(Number number) { newer_than_.resize(number, clock_.now()); }
    [[nodiscard]] double age_ms(Number number) const {
        return number >= newer_than_.size()
                   ? 0
                   : std::chrono::duration<double, std::milli>(clock_.now() - newer_than_[number])
                         .count();
    }
    [[nodiscard]] std::size_t loads() const { return loads_; }

private:
    ManualClock clock_;
    Number number_ = 0;
    std::size_t loads_ = 0;
    std::vector<Time> newer_than_{};  // by number: when the next one was acknowledged
};

struct Result {
    double reads{}, near{}, asked{}, told{}, loads{}, worst_ms{};
};

// Runs the events of a fleet in the order of their times.
class Fleet {
public:
    Fleet(std::size_t processes, bool cuts)
        : cuts_{cuts}, table_{clock_}, shared_{Memory{{.capacity = 16}, clock_}} {
        for (std::size_t i = 0; i < processes; ++i) {
            caches_.push_back(std::make_unique<Cache>(
                larder::TieredStore{
                    Memory{{.capacity = 16}, clock_}, shared_, {.ttl = 30s, .silence = silence}},
                std::ref(table_), larder::Options{.ttl = 1h}));
            shared_.channel(i).delay();
        }
    }

    Result run() {
        for (std::size_t i = 0; i < caches_.size(); ++i) {
            after(exponential(reads_every), [this, i] { read(i); });
            after(uniform(0ms, heartbeat), [this, i] { beat(i); });
            if (cuts_) {
                after(exponential(cuts_every), [this, i] { cut(i); });
            }
        }
        after(500ms, [this] { write(); });
        const Time end = clock_.now() + duration;
        while (!events_.empty() && events_.top().at < end) {
            const Event next = events_.top();
            events_.pop();
            clock_.advance(next.at - clock_.now());
            next.run();
        }
        result_.loads = static_cast<double>(table_.loads());
        result_.asked += 2.0 * static_cast<double>(shared_.asked());
        for (double* part :
             {&result_.reads, &result_.near, &result_.asked, &result_.told, &result_.loads}) {
            *part /= std::chrono::duration<double>(duration).count();
        }
        return result_;
    }

private:
    using Cache =
        larder::CacheAside<larder::TieredStore<Memory, Shared>, std::reference_wrapper<Table>>;

    struct Event {
        Time at;
        std::size_t number;  // of two at one time the one that was planned first
        std::function<void()> run;
        friend bool operator<(const Event& a, const Event& b) {
            return std::pair{a.at, a.number} > std::pair{b.at, b.number};
        }
    };

    void read(std::size_t process) {
        const auto got = caches_[process]->fetch(hot);
        ++result_.reads;
        result_.near += got.source == larder::Source::near_hit ? 1 : 0;
        result_.worst_ms = std::max(result_.worst_ms, table_.age_ms(got.value.value()));
        spread();
        after(exponential(reads_every), [this, process] { read(process); });
    }

    void write() {
        caches_[random_() % caches_.size()]->put(hot, ++written_);
        table_.acknowledged(written_);
        spread();
        after(1s, [this] { write(); });
    }

    // What was told waits in the channels: each message is on its way for a while.
    void spread() {
        const std::size_t changes = shared_.changes() - spread_;
        spread_ += changes;
        result_.asked += 2.0 * static_cast<double>(changes);
        if (changes == 0) {
            return;
        }
        for (std::size_t i = 0; i < caches_.size(); ++i) {
            if (const std::size_t held = shared_.channel(i).held(); held > 0) {
                result_.told += static_cast<double>(changes);
                after(uniform(200us, 1ms),
                      [this, i, changes] { shared_.channel(i).deliver(changes); });
            }
        }
    }

    void beat(std::size_t process) {
        shared_.channel(process).beat();
        result_.asked += 2;
        after(heartbeat, [this, process] { beat(process); });
    }

    void cut(std::size_t process) {
        shared_.channel(process).cut();
        after(silence + reconnect, [this, process] {
            shared_.channel(process).notice();
            shared_.channel(process).subscribe(larder::NearFlush::silence);
            after(exponential(cuts_every), [this, process] { cut(process); });
        });
    }

    void after(std::chrono::nanoseconds time, std::function<void()> run) {
        events_.push({clock_.now() + time, planned_++, std::move(run)});
    }
    std::chrono::nanoseconds exponential(std::chrono::nanoseconds mean) {
        return std::chrono::nanoseconds{static_cast<std::int64_t>(
            std::exponential_distribution<>{1.0 / static_cast<double>(mean.count())}(random_))};
    }
    std::chrono::nanoseconds uniform(std::chrono::nanoseconds from, std::chrono::nanoseconds to) {
        return std::chrono::nanoseconds{
            std::uniform_int_distribution<std::int64_t>{from.count(), to.count()}(random_)};
    }

    const bool cuts_;
    ManualClock clock_{};
    Table table_;
    Shared shared_;
    std::vector<std::unique_ptr<Cache>> caches_{};
    std::priority_queue<Event> events_{};
    std::size_t planned_ = 0;
    std::size_t spread_ = 0;
    Number written_ = 0;
    std::mt19937_64 random_{42};
    Result result_{};
};

using Points = std::vector<std::pair<double, double>>;

void plot(const std::filesystem::path& folder, const std::vector<std::size_t>& sizes,
          const std::vector<Result>& whole, const std::vector<Result>& cut) {
    using larder_bench::Axis;
    using larder_bench::Scale;
    const auto points = [&](const std::vector<Result>& results, auto&& f) {
        Points all;
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            all.emplace_back(static_cast<double>(sizes[i]), f(results[i]));
        }
        return all;
    };
    const Axis processes{"processes", Scale::logarithmic};
    larder_bench::Plot messages{"Messages of one hot key",
                                "100 reads a second each, one change a second",
                                processes,
                                {"a second", Scale::logarithmic}};
    messages.add("every read asks Redis",
                 points(whole, [](const Result& r) { return 2 * r.reads; }));
    messages.add("asked, with near copies", points(whole, [](const Result& r) { return r.asked; }));
    messages.add("told of changes", points(whole, [](const Result& r) { return r.told; }));
    messages.add("loads of the database", points(whole, [](const Result& r) { return r.loads; }));
    messages.write(folder / "fleet_messages.svg");
    larder_bench::Plot age{"The oldest value served",
                           "since a newer one was acknowledged",
                           processes,
                           {"milliseconds", Scale::logarithmic}};
    const auto worst = [](const Result& r) { return std::max(r.worst_ms, 0.01); };
    age.add("all channels whole", points(whole, worst));
    age.add("channels break without a word", points(cut, worst));
    age.write(folder / "fleet_staleness.svg");
}

std::vector<Result> table(const char* title, const std::vector<std::size_t>& sizes, bool cuts) {
    std::printf("%s, a second:\n%9s %9s %7s %9s %9s %9s %7s %10s\n", title, "processes", "reads",
                "near", "asked", "told", "a process", "loads", "oldest");
    std::vector<Result> results;
    for (const std::size_t size : sizes) {
        const Result r = results.emplace_back(Fleet{size, cuts}.run());
        std::printf("%9zu %9.0f %5.1f %% %9.0f %9.0f %9.1f %7.1f %7.2f ms\n", size, r.reads,
                    100 * r.near / r.reads, r.asked, r.told,
                    (r.asked + r.told) / static_cast<double>(size), r.loads, r.worst_ms);
    }
    return results;
}

}  // namespace

int main(int argc, char** argv) try {
    constexpr std::string_view plots = "--plots=";
    std::optional<std::filesystem::path> folder;
    std::vector<std::size_t> sizes;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word.starts_with(plots)) {
            folder = word.substr(plots.size());
        } else {
            sizes.push_back(std::stoul(std::string{word}));
        }
    }
    if (sizes.empty()) {
        sizes = {1, 10, 100, 1000};
    }
    const std::vector<Result> whole = table("All channels whole", sizes, false);
    const std::vector<Result> cut = table("Channels break, one a process every 20 s", sizes, true);
    if (folder) {
        plot(*folder, sizes, whole, cut);
    }
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return EXIT_FAILURE;
}

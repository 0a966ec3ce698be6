// SPDX-License-Identifier: MIT

// Statistics as JSON and for Prometheus, and the histogram of load times.

#include "support/catch.hpp"

#include <larder/detail/support/latency_histogram.hpp>
#include <larder/stats.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using larder::LoadTimes;
using larder::Stats;

namespace {

// Every number differs, so that no two can be taken for each other.
Stats numbered() {
    Stats s;
    std::uint64_t n = 100;
    for (std::uint64_t* field : {&s.hits,         &s.near_hits,   &s.stale_hits,
                                 &s.misses,       &s.loads,       &s.load_failures,
                                 &s.joined,       &s.bypassed,    &s.fenced_fills,
                                 &s.lost_tickets, &s.refreshes,   &s.refresh_failures,
                                 &s.evictions,    &s.expirations, &s.store_errors,
                                 &s.undecodable,  &s.oversized,   &s.retries,
                                 &s.refused,      &s.buried,      &s.queued_invalidations,
                                 &s.entries,      &s.weight,      &s.capacity}) {
        *field = ++n;
    }
    s.breaker = larder::Breaker::half_open;
    s.pending = ++n;
    for (std::uint64_t* field : {&s.discarded, &s.batches, &s.batched, &s.dead_letters}) {
        *field = ++n;
    }
    s.near_mode = larder::NearMode::ttl;
    for (std::uint64_t* field :
         {&s.near_invalidations, &s.near_cuts, &s.near_silences, &s.near_server_flushes,
          &s.near_topology_changes, &s.near_overflows}) {
        *field = ++n;
    }
    s.oldest = 1230ms;
    s.load_times.buckets[3] = 2;   // less than 8 us
    s.load_times.buckets[10] = 1;  // less than 1024 us
    s.load_times.count = 3;
    s.load_times.total = 1010us;
    return s;
}

std::size_t count(const std::string& text, const std::string& what) {
    std::size_t found = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
        ++found;
    }
    return found;
}

bool has_line(const std::string& text, const std::string& line) {
    return ('\n' + text).find('\n' + line + '\n') != std::string::npos;
}

}  // namespace

TEST_CASE("statistics begin at zero, with a store that is asked", "[stats]") {
    const Stats stats;
    CHECK(stats.hits == 0);
    CHECK(stats.buried == 0);
    CHECK(stats.oldest == 0ms);
    CHECK(stats.breaker == larder::Breaker::closed);
    CHECK(stats.load_times.count == 0);
    CHECK(stats.load_times.quantile(0.5) == 0us);
}

TEST_CASE("as JSON", "[stats]") {
    CHECK(to_json(numbered()) ==
          R"({"hits":101,"near_hits":102,"stale_hits":103,"misses":104,"loads":105,)"
          R"("load_failures":106,"joined":107,"bypassed":108,"fenced_fills":109,)"
          R"("lost_tickets":110,"refreshes":111,"refresh_failures":112,"evictions":113,)"
          R"("expirations":114,"store_errors":115,"undecodable":116,"oversized":117,)"
          R"("retries":118,"refused":119,"buried":120,"discarded":126,"batches":127,)"
          R"("batched":128,"near_invalidations":130,"near_cuts":131,"near_silences":132,)"
          R"("near_server_flushes":133,"near_topology_changes":134,"near_overflows":135,)"
          R"("queued_invalidations":121,"pending":125,"dead_letters":129,)"
          R"("entries":122,"weight":123,"capacity":124,"breaker":2,"near_mode":2,)"
          R"("oldest_milliseconds":1230,)"
          R"("load_times":{"count":3,"total":1010,"p50":8,"p99":1024}})");
}

TEST_CASE("for Prometheus", "[stats]") {
    const std::string text = to_prometheus("products", numbered());
    CAPTURE(text);
    CHECK(has_line(text, "# HELP larder_hits_total Reads that a fresh copy answered."));
    CHECK(has_line(text, "# TYPE larder_hits_total counter"));
    CHECK(has_line(text, "larder_hits_total{cache=\"products\"} 101"));
    CHECK(has_line(text, "larder_buried_total{cache=\"products\"} 120"));
    // What also goes down is no counter.
    CHECK(has_line(text, "# TYPE larder_pending gauge"));
    CHECK(has_line(text, "larder_pending{cache=\"products\"} 125"));
    CHECK(has_line(text, "# TYPE larder_dead_letters gauge"));
    CHECK(has_line(text, "larder_dead_letters{cache=\"products\"} 129"));
    CHECK(has_line(text, "larder_discarded_total{cache=\"products\"} 126"));
    CHECK(has_line(text, "larder_batches_total{cache=\"products\"} 127"));
    CHECK(has_line(text, "larder_batched_total{cache=\"products\"} 128"));
    CHECK(has_line(text, "larder_queued_invalidations{cache=\"products\"} 121"));
    CHECK(has_line(text, "larder_entries{cache=\"products\"} 122"));
    CHECK(has_line(text, "larder_weight{cache=\"products\"} 123"));
    CHECK(has_line(text, "larder_capacity{cache=\"products\"} 124"));
    CHECK(has_line(text, "larder_breaker{cache=\"products\"} 2"));
    CHECK(has_line(text, "larder_near_mode{cache=\"products\"} 2"));
    CHECK(has_line(text, "larder_near_invalidations_total{cache=\"products\"} 130"));
    CHECK(has_line(text, "larder_near_overflows_total{cache=\"products\"} 135"));
    CHECK(has_line(text, "larder_oldest_pending_seconds{cache=\"products\"} 1.230000"));
    CHECK(text.back() == '\n');
    // 29 counters, 9 gauges and a histogram.
    CHECK(count(text, "# TYPE ") == 39);
    CHECK(count(text, "# HELP ") == 39);
}

TEST_CASE("several caches for Prometheus are one text", "[stats]") {
    Stats other = numbered();
    other.hits = 7;
    other.capacity = 0;
    const std::string text =
        larder::to_prometheus({{"users", numbered()}, {"orders", other}, {"pages", Stats{}}});
    CAPTURE(text);
    CHECK(has_line(text,
                   "larder_hits_total{cache=\"users\"} 101\n"
                   "larder_hits_total{cache=\"orders\"} 7\n"
                   "larder_hits_total{cache=\"pages\"} 0\n"
                   "# HELP larder_near_hits_total Hits that a near copy answered."));
    CHECK(count(text, "# TYPE ") == 39);
    CHECK(count(text, "larder_load_seconds_count{") == 3);
    CHECK(count(text, "larder_capacity{") == 1);  // of a store without a bound, nothing
    CHECK(count(text, "larder_entries{") == 1);

    const std::vector<larder::NamedStats> named{
        {"users", numbered()}, {"orders", other}, {"pages", {}}};
    CHECK(larder::to_prometheus(named) == text);
    CHECK(larder::to_prometheus({{"products", numbered()}}) ==
          to_prometheus("products", numbered()));
    CHECK(count(to_prometheus("far", other), "larder_capacity") == 0);
}

TEST_CASE("the buckets of a Prometheus histogram add up", "[stats]") {
    const std::string text = to_prometheus("p", numbered());
    CAPTURE(text);
    CHECK(has_line(text, "# TYPE larder_load_seconds histogram"));
    CHECK(has_line(text, "larder_load_seconds_bucket{cache=\"p\",le=\"0.000004\"} 0"));
    CHECK(has_line(text, "larder_load_seconds_bucket{cache=\"p\",le=\"0.000008\"} 2"));
    CHECK(has_line(text, "larder_load_seconds_bucket{cache=\"p\",le=\"0.000512\"} 2"));
    CHECK(has_line(text, "larder_load_seconds_bucket{cache=\"p\",le=\"0.001024\"} 3"));
    CHECK(has_line(text, "larder_load_seconds_bucket{cache=\"p\",le=\"2147.483648\"} 3"));
    CHECK(has_line(text, "larder_load_seconds_bucket{cache=\"p\",le=\"+Inf\"} 3"));
    CHECK(has_line(text, "larder_load_seconds_sum{cache=\"p\"} 0.001010"));
    CHECK(has_line(text, "larder_load_seconds_count{cache=\"p\"} 3"));
}

TEST_CASE("a name cannot break out of its label", "[stats]") {
    const std::string text = to_prometheus("a\"b\\c\nd", Stats{});
    CHECK(has_line(text, R"(larder_hits_total{cache="a\"b\\c\nd"} 0)"));
}

TEST_CASE("a quantile is a bound of its bucket", "[stats]") {
    LoadTimes times;
    times.buckets[1] = 90;  // less than 2 us
    times.buckets[5] = 9;   // less than 32 us
    times.buckets[9] = 1;   // less than 512 us
    times.count = 100;
    CHECK(times.quantile(0.5) == 2us);
    CHECK(times.quantile(0.9) == 2us);
    CHECK(times.quantile(0.91) == 32us);
    CHECK(times.quantile(0.99) == 32us);
    CHECK(times.quantile(0.995) == 512us);
    CHECK(times.quantile(1.0) == 512us);
    CHECK(times.quantile(0.0) == 2us);    // the least that there was, not an empty bucket
    CHECK(times.quantile(1.5) == 512us);  // more than all is all
}

TEST_CASE("a load is counted where it belongs", "[stats]") {
    larder::detail::LatencyHistogram timer;
    timer.record(0ns);
    timer.record(999ns);
    timer.record(1us);
    timer.record(3us);
    timer.record(4us);
    timer.record(-5us);             // a clock that went back
    timer.record(24h * 365 * 100);  // longer than the histogram
    const LoadTimes times = timer.read();
    CHECK(times.buckets[0] == 3);
    CHECK(times.buckets[1] == 1);
    CHECK(times.buckets[2] == 1);
    CHECK(times.buckets[3] == 1);
    CHECK(times.buckets[LoadTimes::size - 1] == 1);
    CHECK(times.count == 7);
    CHECK(times.total == 8us + 24h * 365 * 100);
    // Not less than what was measured: 3 us lies under its bound.
    CHECK(times.quantile(5.0 / 7) == 4us);
}

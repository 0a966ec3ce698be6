// SPDX-License-Identifier: MIT

/// @file
/// Sequence over Redis: ids that all processes take from one counter.

#ifndef LARDER_REDIS_SEQUENCE_HPP
#define LARDER_REDIS_SEQUENCE_HPP

#include <larder/redis/client.hpp>
#include <larder/redis/key_name.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/script.hpp>
#include <larder/sequence.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis {

/// A sequence's counter in Redis, where every process sees it: `Sequence{client, "product", floor}`.
///
/// `floor()` is asked at the start, and whenever the counter is gone (evicted, flushed, a server that
/// lost its memory): it must know of every id that was handed out and used, rows that wait in a
/// write-behind journal included. Of those `RedisJournal::greatest_key` knows:
///
/// ```cpp
/// larder::Sequence ids{redis, "product", [&] {
///     return std::max(table.greatest_id(), journal.greatest_key().value_or(0));
/// }};
/// ```
///
/// Thread safety: all members may run concurrently.
class Counter {
public:
    /// @throws std::invalid_argument  as `require_namespace`
    Counter(Client client, const std::string& name)
        : client_{std::move(client)}, key_{"~sequence:" + name} {
        require_namespace(name);
    }

    /// Takes `count` ids; the last of them.
    ///
    /// @throws StoreError           the server cannot be asked; ids may have been taken, and are lost
    /// @throws std::overflow_error  there are no more
    template <class Floor>
    std::int64_t add(std::int64_t count, Floor& floor) {
        if (started_.load(std::memory_order_acquire)) {
            const Reply last = increment(count, {});
            if (!last.is_nil()) {
                return note(last.integer());
            }
        }
        const std::scoped_lock lock{mutex_};
        const auto least = static_cast<std::int64_t>(std::invoke(floor));
        const std::int64_t known = (std::max)(least, greatest_.load(std::memory_order_relaxed));
        const std::int64_t last = note(increment(count, std::to_string(known)).integer());
        started_.store(true, std::memory_order_release);
        return last;
    }

private:
    std::int64_t note(std::int64_t last) noexcept {
        std::int64_t seen = greatest_.load(std::memory_order_relaxed);
        while (seen < last &&
               !greatest_.compare_exchange_weak(seen, last, std::memory_order_relaxed)) {}
        return last;
    }

    Reply increment(std::int64_t count, std::string_view least) const {
        // Numbers as texts: a script's own are exact to 53 bits only.
        static const Script script{R"(
local function less(a, b)
  local minus = string.sub(a, 1, 1) == '-'
  if minus ~= (string.sub(b, 1, 1) == '-') then return minus end
  if minus then a, b = b, a end
  return #a < #b or (#a == #b and a < b)
end
local last = redis.call('GET', KEYS[1])
if ARGV[2] == '' then
  if not last then return false end
elseif not last or less(last, ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[2])
end
redis.call('INCRBY', KEYS[1], ARGV[1])
return redis.call('GET', KEYS[1]))"};
        const std::string more = std::to_string(count);
        Pipeline pipeline;
        pipeline.repeatable();  // ids that are taken twice are lost, and nothing else
        pipeline.script(script, std::array<std::string_view, 1>{key_},
                        std::array<std::string_view, 2>{more, least});
        Reply reply = client_.run_one(pipeline);
        if (reply.is_error()) {
            if (reply.text().find("overflow") != std::string_view::npos) {
                throw std::overflow_error{"larder: Sequence has given its last id: " + more +
                                          " more do not fit 64 bits"};
            }
            client_.throw_error("INCRBY " + key_, reply);
        }
        return reply;
    }

    Client client_;
    std::string key_;
    std::atomic<bool> started_{false};
    // What this process was given is not given again, whatever the floor knows of it.
    std::atomic<std::int64_t> greatest_{(std::numeric_limits<std::int64_t>::min)()};
    std::mutex mutex_{};
};

}  // namespace redis

template <class Floor>
Sequence(redis::Client, std::string, Floor) -> Sequence<Floor, redis::Counter>;

LARDER_NS_END

#endif  // LARDER_REDIS_SEQUENCE_HPP

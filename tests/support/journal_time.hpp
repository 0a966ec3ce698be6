// SPDX-License-Identifier: MIT

/// @file
/// Time passes for the journals of a redis-server: tests need not wait for it.

#ifndef LARDER_TESTS_SUPPORT_JOURNAL_TIME_HPP
#define LARDER_TESTS_SUPPORT_JOURNAL_TIME_HPP

#include "support/redis_server.hpp"

#include <larder/entry.hpp>

#include <string>

namespace larder_test {

/// Every change has waited for so much longer, and every claim ends earlier by as much.
inline void pass_journal_time(const RedisServer& server, larder::Ttl by) {
    static const std::string script = R"(
for _, k in ipairs(redis.call('KEYS', '~journal:*')) do
  local unit = string.find(k, ':later$') and 1 or (string.find(k, ':waiting$') or string.find(k, ':held$')) and 1000
  for _, hand in ipairs(string.find(k, ':hands$') and redis.call('ZRANGE', k, 0, -1) or {}) do
    local claims, field = string.gsub(k, ':hands$', ':claims'), '!' .. string.sub(hand, 1, 12)
    local list = string.sub(redis.call('HGET', claims, field), 17)
    local since = string.format('%016.0f', tonumber(string.sub(hand, 13, 28)) - ARGV[1] * 1000)
    redis.call('HSET', claims, field, since .. list)
    redis.call('ZADD', k, string.format('%.0f', redis.call('ZSCORE', k, hand) - ARGV[1]),
               string.sub(hand, 1, 12) .. since .. string.sub(hand, 29))
    redis.call('ZREM', k, hand)
  end
  if unit then
    local all = redis.call('ZRANGE', k, 0, -1, 'WITHSCORES')
    for i = 1, #all, 2 do
      redis.call('ZADD', k, string.format('%.0f', tonumber(all[i + 1]) - ARGV[1] * unit), all[i])
    end
  end
end)";
    static_cast<void>(server.run("EVAL", script, "0", std::to_string(by.count())));
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_JOURNAL_TIME_HPP

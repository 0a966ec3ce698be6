// SPDX-License-Identifier: MIT

/// @file
/// Time passes for the slots of a redis-server: tests need not wait for it.

#ifndef LARDER_TESTS_SUPPORT_REDIS_TIME_HPP
#define LARDER_TESTS_SUPPORT_REDIS_TIME_HPP

#include "support/redis_server.hpp"

#include <larder/entry.hpp>

#include <string>

namespace larder_test {

/// Every value ends earlier by so much, and every ticket. LeaseRenewer are left alone: they are renewed.
inline void pass_time(const RedisServer& server, larder::Ttl by) {
    static const std::string script = R"(
local by = tonumber(ARGV[1])
for _, k in ipairs(redis.call('KEYS', '*')) do
  local v = redis.pcall('GET', k)
  local left = redis.call('PTTL', k)
  if type(v) == 'string' and left >= 0 and string.sub(k, 1, 1) ~= '~' and string.sub(v, 1, 3) ~= '\1\1L' then
    local at = redis.call('PEXPIRETIME', k) - by
    local side = '~refresh:' .. k
    local lease = redis.call('GET', side)
    if left <= by then
      redis.call('DEL', k)
    else
      if string.sub(v, 1, 3) == '\1\1W' then
        local unnamed = math.max(tonumber(string.sub(v, 5, 20)) - by, 0)
        local moved = string.sub(v, 1, 4) .. string.format('%016.0f', unnamed)
        for i = 21, #v, 32 do
          local ends = tonumber(string.sub(v, i + 16, i + 31)) - by
          moved = moved .. string.sub(v, i, i + 15) .. string.format('%016.0f', ends)
        end
        redis.call('SET', k, moved)
      end
      redis.call('PEXPIREAT', k, string.format('%.0f', at))
      if lease then
        redis.call('SET', side, string.sub(lease, 1, 56) .. string.format('%.0f', at), 'KEEPTTL')
      end
    end
  end
end)";
    static_cast<void>(server.run("EVAL", script, "0", std::to_string(by.count())));
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_REDIS_TIME_HPP

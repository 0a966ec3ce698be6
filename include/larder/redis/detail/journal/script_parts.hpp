// SPDX-License-Identifier: MIT

/// @file
/// What the scripts of a journal are made of.

#ifndef LARDER_REDIS_DETAIL_JOURNAL_SCRIPT_PARTS_HPP
#define LARDER_REDIS_DETAIL_JOURNAL_SCRIPT_PARTS_HPP

#include <larder/version.hpp>

#include <string>

LARDER_NS_BEGIN

namespace redis::detail {

/// The functions that several scripts have, and what stands before each.
struct JournalScriptParts {
    // The journal's keys are those behind the first `at`.
    static std::string names(int at) {
        std::string keys;
        for (int i = 1; i <= 6; ++i) {
            keys += (i > 1 ? ", KEYS[" : "KEYS[") + std::to_string(at + i) + ']';
        }
        return "local changes, waiting, letters, later, held, claims = " + keys + R"(
local none, call = '0000000000000000', redis.call
local t = call('TIME')
local micros = t[1] * 1000000 + t[2]
)";
    }

    // Numbers are written by hand: `..` and the arguments of a call round 16 digits.
    static std::string prelude() {
        return names(0) + R"(
local hands = KEYS[7]
local now = math.floor(micros / 1000)
local function number(n) return string.format('%.0f', n) end
local function padded(n) return string.format('%016.0f', n) end
)";
    }

    // What has written goes on where the server is full: a write that changes nothing. Rule R4.
    static std::string when_full() { return "redis.call('PERSIST', claims)\n"; }

    // One command for many members, not one each: all_of gives what they hold, `each` writes. A call takes a
    // few thousand arguments at the most.
    static std::string many() {
        return R"(
local function push(list, ...)
  local n = #list
  for i = 1, select('#', ...) do list[n + i] = (select(i, ...)) end
end
local function all_of(hash, keys, before, first, last)
  if before == '' and last - first < 1000 then return redis.call('HMGET', hash, unpack(keys, first, last)) end
  local all = {}
  for from = first, last, 1000 do
    local fields, n = {}, #all
    for i = from, math.min(from + 999, last) do fields[i - from + 1] = before .. keys[i] end
    local some = redis.call('HMGET', hash, unpack(fields))
    for i = 1, #some do all[n + i] = some[i] end
  end
  return all
end
local function each(command, where, arguments)
  for i = 1, #arguments, 1000 do
    redis.call(command, where, unpack(arguments, i, math.min(i + 999, #arguments)))
  end
end
)";
    }

    // A hand: the claims of changes that were fresh, in one field. What it is made of; nothing if there is
    // none. One whose list is damaged is empty: what it held is listed by `claim`.
    static std::string hand() {
        return R"(
local function hand(name)
  local field = '!' .. name
  local kept = redis.call('HGET', claims, field)
  if not kept then return nil end
  local whole, keys = pcall(cmsgpack.unpack, string.sub(kept, 37))
  if not whole or type(keys) ~= 'table' then keys = {} end
  return {field = field, member = name .. string.sub(kept, 1, 20), keys = keys, left = tonumber(string.sub(kept, 17, 20)) or -1, over = string.sub(kept, 21, 36)}
end
-- The last version that was recorded over another.
local function over()
  return string.sub(none .. (redis.call('HGET', claims, 'over') or ''), -16)
end
local function whole_hand(name, count)
  local h = hand(name)
  return h and h.left == tonumber(count) and h.left == #h.keys and h
end
local function drop(h)
  redis.call('ZREM', hands, h.member)
  redis.call('HDEL', claims, h.field)
end
)";
    }

    // Each of a hand has what it would have by itself, and the hand, if there is one, is no more.
    static std::string deal() {
        return hand() + R"(
local function deal(name)
  local h = hand(name)
  if not h then return end
  local ends, since = redis.call('ZSCORE', hands, h.member) or number(now), string.sub(h.member, 13, 28)
  local dealt_later, dealt_held, dealt_claims = {}, {}, {}
  for i, key in pairs(h.keys) do
    if type(key) == 'string' then
      push(dealt_later, ends, key)
      push(dealt_held, tonumber(since) and since or number(micros), key)
      push(dealt_claims, ':' .. key, name .. string.format('%04x', i - 1) .. none .. none .. '0')
    end
  end
  each('ZADD', later, dealt_later)
  each('ZADD', held, dealt_held)
  each('HSET', claims, dealt_claims)
  drop(h)
end
)";
    }

    // It is in nobody's hand, and waits for no try.
    static std::string forget() {
        return R"(
local function forget(key)
  redis.call('ZREM', later, key)
  redis.call('ZREM', held, key)
  redis.call('HDEL', claims, ':' .. key)
end
)";
    }

    // The change and what is known of its claim, if that is of this name and the change the newest. A newer
    // one begins to wait.
    static std::string confirm() {
        return R"(
local function confirm(key, version, claim)
  deal(string.sub(claim, 1, 12))
  local c = redis.call('HGET', claims, ':' .. key)
  if not c or string.sub(c, 1, 16) ~= claim or claim == none then return nil end
  local v = redis.call('HGET', changes, key)
  if v and string.sub(v, 2, 17) == version then return v, c end
  if v then redis.call('ZADD', waiting, number(micros), key) end
  forget(key)
  return nil
end
)";
    }

    // A change becomes a letter, which `claims` shows to who records over it.
    static std::string letter() {
        return R"(
local function bury(key, version, sign, call, first, tries, why, value)
  if first == none then first = padded(now) end
  redis.call('HSET', letters, key, '1' .. version .. sign .. call .. first .. padded(now) .. tries ..
             ' ' .. #why .. ' ' .. why .. value)
  redis.call('HDEL', changes, key)
  forget(key)
  redis.call('HSET', claims, ':' .. key, 'dead')
end
)";
    }

    // What `claim` takes, of what is due again and of what is fresh, as far as there is room.
    static std::string take() {
        return R"(
local function take(key, fresh, v, c)
  if not v then
    redis.call('ZREM', waiting, key)
    return forget(key)
  end
  local _, head = find(v, '^1%d+[+-]')
  if head ~= 18 then
    bury(key, none, '?', none, none, '0', 'larder: bytes that are no change', v)
    redis.call('ZREM', waiting, key)
    return
  end
  room = room - #key - #v - 64
  if room < 0 and count > 0 then return end
  local tries = '0'
  count = count + 1
  if fresh then
    taken_ones = taken_ones + 1
    taken[taken_ones] = key
  end
  if fresh and not c then
    mine[count], begun, fresh_ones = key, begun or redis.call('ZSCORE', waiting, key), fresh_ones + 1
  else
    mine[count] = false
    local version, first = string.sub(v, 2, 17), none
    if c and string.sub(c, 17, 32) == version then first, tries = string.sub(c, 33, 48), string.sub(c, 49) end
    push(taken_later, ends, key)
    push(taken_claims, ':' .. key, ARGV[4] .. string.format('%04x', count - 1) .. version .. first .. tries)
    if fresh then push(taken_held, redis.call('ZSCORE', waiting, key), key) end
  end
  out[2 * count - 1], out[2 * count] = key, v
  if tries ~= '0' then tries_of[count] = tries end
end
)";
    }

    // The same of many, what is due again before what is fresh where it has waited for longer.
    static std::string take_all() {
        return R"(
local function some(list, from, to, ...)
  return redis.call('ZRANGEBYSCORE', list, from, to, 'LIMIT', 0, most - count, ...)
end
local function take_all(again, fresh)
  local keys, due_again = fresh, {}
  if again[1] then
    local a, f, n = 1, 1, 0
    keys = {}
    while n < most - count and (again[a] or fresh[f]) do
      n = n + 1
      if again[a] and (not fresh[f] or tonumber(again[a + 1]) <= fresh[f + 1] / 1000 + age) then
        keys[n], due_again[n], a = again[a], true, a + 2
      else
        keys[n], f = fresh[f], f + 2
      end
    end
  end
  local from, some = 1, 1
  while from <= #keys and room > 0 do
    local to = math.min(from + some - 1, #keys)
    local vs = all_of(changes, keys, '', from, to)
    local cs = untried and {} or all_of(claims, keys, ':', from, to)
    for i = from, to do
      if room > 0 then take(keys[i], not due_again[i], vs[i - from + 1], cs[i - from + 1]) end
    end
    from, some = to + 1, math.max(1, math.min(8 * some, math.floor(to * room / (bytes - room + 1))))
  end
end
)";
    }

    // A change that is listed nowhere is listed, where nothing is due.
    static std::string list_unlisted() {
        return R"(
local function list_unlisted()
  local listed, in_hands = redis.call('ZCARD', waiting) + redis.call('ZCARD', later), redis.call('ZRANGE', hands, 0, -1)
  for _, name in ipairs(in_hands) do listed = listed + (tonumber(string.sub(name, 29)) or 0) end
  if redis.call('HLEN', changes) > listed then
    local has = {}
    for _, name in ipairs(in_hands) do
      local of = hand(string.sub(name, 1, 12))
      for _, key in pairs(of and of.keys or {}) do has[key] = true end
    end
    for _, key in ipairs(redis.call('HKEYS', changes)) do
      if not has[key] and not redis.call('ZSCORE', waiting, key) and not redis.call('ZSCORE', later, key) then
        redis.call('ZADD', waiting, number(micros), key)
      end
    end
  end
end
if count == 0 then list_unlisted() end
)";
    }
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_JOURNAL_SCRIPT_PARTS_HPP

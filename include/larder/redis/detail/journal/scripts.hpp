// SPDX-License-Identifier: MIT

/// @file
/// The steps of a journal as scripts: each is atomic. Their keys are those of JournalNames.

#ifndef LARDER_REDIS_DETAIL_JOURNAL_SCRIPTS_HPP
#define LARDER_REDIS_DETAIL_JOURNAL_SCRIPTS_HPP

#include <larder/redis/detail/store/scripts.hpp>
#include <larder/redis/script.hpp>
#include <larder/version.hpp>

#include <string>

LARDER_NS_BEGIN

namespace redis::detail {

/// The scripts, their digests computed once.
///
/// None loses a change where one of its writes fails (a key of another type): what is listed without a
/// change is dropped by `claim`, and a change that is not listed is listed by it.
struct JournalScripts {
    /// Records: the version; nothing if there is no room. Key, sign and value, the most.
    /// Rules W4 and W9.
    Script record{record_step(0, 0) + "return stamp"};

    /// The same in one step with the copy. Slot, the journal's keys; era, life ms (0: leaves nothing),
    /// value, nothing, key, sign and value, the most. Rule W11.
    Script record_and_put{record_step(1, 4) + R"(
local mine = true
if redis.pcall('GETRANGE', KEYS[1], 0, 0) == '\1' then
)" + SlotScripts::reading() +
                          slot_step() + "end\n" + put_step()};

    /// The same with tags, whose moment is this one. Slot, the journal's keys, clock, tags; as above.
    Script record_and_put_tagged{record_step(1, 4) + SlotScripts::prelude() +
                                 "local mine, clock_at, stand = true, 8, true\n" + slot_step() +
                                 this_moment() + SlotScripts::tags() + put_step()};

    /// Takes what is due, what has been for longest first: key, change and tries of each. The most, life
    /// ms, age ms, the first twelve digits of the claims' names, the most bytes, which one may exceed.
    Script claim{prelude() + when_full() + many() + forget() + letter() + R"(
local out, most, age, room = {}, tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[5])
local ends = number(now + tonumber(ARGV[2]))
local taken_later, taken_claims, taken_held, taken = {}, {}, {}, {}
local function take(key, since, v, c)
  if not v then
    redis.call('ZREM', waiting, key)
    return forget(key)
  end
  if not string.find(v, '^1' .. string.rep('%d', 16) .. '[+-]') then
    bury(key, none, '?', none, none, '0', 'larder: bytes that are no change', v)
    redis.call('ZREM', waiting, key)
    return
  end
  room = room - #key - #v - 64
  if room < 0 and #out > 0 then return end
  local version, first, tries = string.sub(v, 2, 17), none, '0'
  if c and string.sub(c, 17, 32) == version then first, tries = string.sub(c, 33, 48), string.sub(c, 49) end
  push(taken_later, ends, key)
  push(taken_claims, ':' .. key, ARGV[4] .. string.format('%04x', #out / 3) .. version .. first .. tries)
  if since then
    push(taken_held, since, key)
    push(taken, key)
  end
  push(out, key, v, tries)
end
local function some(list, from, to)
  return redis.call('ZRANGEBYSCORE', list, from, to, 'WITHSCORES', 'LIMIT', 0, most - #out / 3)
end
local function take_all(again, fresh)
  local keys, since, a, f = {}, {}, 1, 1
  while #keys < most - #out / 3 and (again[a] or fresh[f]) do
    if again[a] and (not fresh[f] or tonumber(again[a + 1]) <= fresh[f + 1] / 1000 + age) then
      push(keys, again[a]) a = a + 2
    else
      push(keys, fresh[f])
      since[#keys], f = fresh[f + 1], f + 2
    end
  end
  local vs, cs = all_of(changes, keys, ''), all_of(claims, keys, ':')
  for i = 1, #keys do
    if room > 0 then take(keys[i], since[i], vs[i], cs[i]) end
  end
  each('ZADD', later, taken_later)
  each('HSET', claims, taken_claims)
  each('ZADD', held, taken_held)
  each('ZREM', waiting, taken)
  taken_later, taken_claims, taken_held, taken = {}, {}, {}, {}
end
take_all(some(later, '-inf', number(now)), some(waiting, '-inf', number(micros - age * 1000)))
if #out / 3 < most and room > 0 then take_all({}, some(waiting, '(' .. number(micros + 1000000), '+inf')) end
if #out == 0 and redis.call('HLEN', changes) > redis.call('ZCARD', waiting) + redis.call('ZCARD', later) then
  for _, key in ipairs(redis.call('HKEYS', changes)) do
    if not redis.call('ZSCORE', waiting, key) and not redis.call('ZSCORE', later, key) then
      redis.call('ZADD', waiting, number(micros), key)
    end
  end
end
return out)"};

    /// The claims live on. Life ms; key and claim of each.
    Script renew{prelude() + when_full() + R"(
local ends = number(now + tonumber(ARGV[1]))
for i = 2, #ARGV, 2 do
  local c = redis.call('HGET', claims, ':' .. ARGV[i])
  if c and string.sub(c, 1, 16) == ARGV[i + 1] and ARGV[i + 1] ~= none then redis.call('ZADD', later, 'XX', ends, ARGV[i]) end
end
return 1)"};

    /// The database has them: 1 for each that was. Key, version and claim of each. Rule W6.
    Script settle{prelude() + when_full() + many() + R"(
local out, keys, gone, over, held_by, newer = {}, {}, {}, {}, {}, {}
for i = 1, #ARGV, 3 do push(keys, ARGV[i]) end
local vs, cs = all_of(changes, keys, ''), all_of(claims, keys, ':')
for i = 1, #keys do
  local version, claim, v, c = ARGV[3 * i - 1], ARGV[3 * i], vs[i], cs[i]
  local mine = c and claim ~= none and string.sub(c, 1, 16) == claim
  local newest = mine and v and string.sub(v, 2, 17) == version
  if newest then push(gone, keys[i]) elseif mine and v then push(newer, number(micros), keys[i]) end
  if mine then
    push(over, keys[i])
    push(held_by, ':' .. keys[i])
  end
  push(out, newest and 1 or 0)
end
each('HDEL', changes, gone)
each('ZADD', waiting, newer)
each('ZREM', later, over)
each('ZREM', held, over)
each('HDEL', claims, held_by)
return out)"};

    /// To be tried again. Key, version, claim, delay ms, tries.
    Script defer{prelude() + when_full() + forget() + confirm() + R"(
local v, c = confirm(ARGV[1], ARGV[2], ARGV[3])
if not v then return 0 end
local first = string.sub(c, 33, 48)
if first == none then first = padded(now) end
redis.call('ZADD', later, number(now + tonumber(ARGV[4])), ARGV[1])
redis.call('HSET', claims, ':' .. ARGV[1], none .. ARGV[2] .. first .. ARGV[5])
return 1)"};

    /// Becomes a dead letter: 1 if it did, or had by this very call. Key, version, claim, tries, why, the
    /// call's id. Rule W8.
    Script bury{prelude() + when_full() + forget() + confirm() + letter() + R"(
local v, c = confirm(ARGV[1], ARGV[2], ARGV[3])
if not v then
  local had = redis.call('HGET', letters, ARGV[1])
  return had and string.sub(had, 1, 34) == '1' .. ARGV[2] .. string.sub(had, 18, 18) .. ARGV[6] and 1 or 0
end
local first = string.sub(c, 33, 48)
bury(ARGV[1], ARGV[2], string.sub(v, 18, 18), ARGV[6], first, ARGV[4], ARGV[5], string.sub(v, 19))
return 1)"};

    /// The dead letter is pending again, with its version. Key. Rule W8.
    Script revive{prelude() + when_full() + R"(
local had = redis.call('HGET', letters, ARGV[1])
if not had or redis.call('HEXISTS', changes, ARGV[1]) == 1 then return 0 end
local sign, space = string.sub(had, 18, 18), string.find(had, ' ', 1, true) or #had
local _, at, size = string.find(had, '^ (%d+) ', space)
if not size or (sign ~= '+' and sign ~= '-') then return redis.error_reply('LARDER the letter holds bytes that are no change') end
redis.call('ZADD', waiting, number(micros), ARGV[1])
redis.call('HSET', changes, ARGV[1], string.sub(had, 1, 18) .. string.sub(had, at + 1 + size))
redis.call('HDEL', letters, ARGV[1])
redis.call('HDEL', claims, ':' .. ARGV[1])
return 1)"};

    /// The dead letter is forgotten: 1 if there was one. Key.
    Script discard{prelude() + R"(
if redis.call('HGET', claims, ':' .. ARGV[1]) == 'dead' then redis.call('HDEL', claims, ':' .. ARGV[1]) end
return redis.call('HDEL', letters, ARGV[1]))"};

    /// As SlotScripts::instance.
    [[nodiscard]] static const JournalScripts& instance() {
        static const auto* const scripts = new JournalScripts;
        return *scripts;
    }

private:
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
local now = math.floor(micros / 1000)
local function number(n) return string.format('%.0f', n) end
local function padded(n) return string.format('%016.0f', n) end
)";
    }

    // Sets `stamp`, the version. Its first write is refused by a server that is full, and nothing is done
    // then; what is behind the change's own cannot fail.
    static std::string record_step(int key, int at) {
        const auto argument = [at](int i) { return "ARGV[" + std::to_string(at + i) + ']'; };
        return names(key) + "local key, signed, most = " + argument(1) + ", " + argument(2) +
               ", tonumber(" + argument(3) + R"()
if call('HLEN', changes) >= most and call('HEXISTS', changes, key) == 0 then return false end
local known = call('HMGET', claims, 'counter', ':' .. key)
local last = tonumber(known[1] or none)
if not last or not (last < 9007199254740991) then
  return redis.error_reply('LARDER ' .. claims .. ' holds no version')
end
local stamp = string.format('%016.0f', math.max(last + 1, micros))
call('HSET', claims, 'counter', stamp)
local begins = call('HSET', changes, key, '1' .. stamp .. signed) == 1
if begins then redis.pcall('ZADD', waiting, stamp, key) end
if known[2] then
  if known[2] == 'dead' then
    redis.pcall('HDEL', letters, key)
    call('HDEL', claims, ':' .. key)
  elseif string.sub(known[2], 1, 16) == none then
    redis.pcall('ZADD', waiting, stamp, key)
    redis.pcall('ZREM', later, key)
    redis.pcall('ZREM', held, key)
    call('HDEL', claims, ':' .. key)
  end
end
)";
    }

    // What a write that begins and ends here leaves: `mine` becomes false if the slot takes no copy.
    static std::string slot_step() {
        return R"(
local v, kind = inspect(KEYS[1])
mine = kind ~= 'W' and kind ~= 'U'
if kind == 'W' then overlap(v) elseif not mine then redis.call('DEL', KEYS[1]) end
)";
    }
    static std::string put_step() {
        return R"(
if mine and (ARGV[2] == '0' or not redis.pcall('SET', KEYS[1], ARGV[3], 'PX', ARGV[2]).ok) then
  redis.call('DEL', KEYS[1])
end
return stamp)";
    }

    // The clock is that of this very step; a value's bytes are told its moment.
    static std::string this_moment() {
        return R"(
local now_is = version(KEYS[8])
if not now_is then
  now_is = ARGV[1] .. '0'
  put(KEYS[8], now_is, -1)
end
ARGV[4] = now_is
local moment, tick = {}, tonumber(string.sub(now_is, 17))
for i = 15, 1, -2 do moment[#moment + 1] = string.char(tonumber(string.sub(now_is, i, i + 1), 16)) end
for i = 1, 8 do
  moment[#moment + 1] = string.char(tick % 256)
  tick = math.floor(tick / 256)
end
ARGV[3] = string.sub(ARGV[3], 1, 23) .. table.concat(moment) .. string.sub(ARGV[3], 40)
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
local function all_of(hash, keys, before)
  local all = {}
  for from = 1, #keys, 1000 do
    local fields = {}
    for i = from, math.min(from + 999, #keys) do fields[#fields + 1] = before .. keys[i] end
    for _, v in ipairs(redis.call('HMGET', hash, unpack(fields))) do all[#all + 1] = v end
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
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_JOURNAL_SCRIPTS_HPP

// SPDX-License-Identifier: MIT

/// @file
/// The steps of a journal as scripts: each is atomic. Their keys are those of JournalNames.

#ifndef LARDER_REDIS_DETAIL_JOURNAL_SCRIPTS_HPP
#define LARDER_REDIS_DETAIL_JOURNAL_SCRIPTS_HPP

#include <larder/redis/detail/journal/script_parts.hpp>
#include <larder/redis/detail/store/change_script.hpp>
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
struct JournalScripts : private JournalScriptParts {
    /// Records: the version; nothing if there is no room. Key, sign and value, the most.
    /// Rules W4 and W9.
    Script record{record_step(0, 0) + "return stamp"};

    /// The same in one step with the copy. Slot, the journal's keys; era, life ms (0: leaves nothing),
    /// value, nothing, key, sign and value, the most. Rule W11.
    ChangeScript record_and_put{record_step(1, 4) + R"(
local mine = true
if redis.pcall('GETRANGE', KEYS[1], 0, 0) == '\1' then
)" + SlotScripts::reading() + slot_step() +
                                "end\n" + put_step()};

    /// The same with tags, whose moment is this one. Slot, the journal's keys, clock, tags; as above.
    ChangeScript record_and_put_tagged{record_step(1, 4) + SlotScripts::prelude() +
                                       "local mine, clock_at, stand = true, 8, true\n" +
                                       slot_step() + this_moment() + SlotScripts::tags() +
                                       put_step()};

    /// Takes what is due, what has been for longest first: key and change of each, then the tries of all,
    /// one a line; nothing instead if there were none. The most, life ms, age ms, the first twelve digits of
    /// the claims' names, the most bytes, which one may exceed. What nobody has tried is taken as one hand.
    /// Values are read a few at a time: they may be large.
    Script claim{prelude() + when_full() + many() + deal() + forget() + letter() + R"(
local out, count, most, age = {}, 0, tonumber(ARGV[1]), tonumber(ARGV[3])
local bytes, room, ends = tonumber(ARGV[5]), tonumber(ARGV[5]), number(now + tonumber(ARGV[2]))
local mine, begun, fresh_ones, tries_of, find = {}, nil, 0, {}, string.find
local taken_later, taken_claims, taken_held, taken, taken_ones = {}, {}, {}, {}, 0
for _, name in ipairs(redis.call('ZRANGEBYSCORE', hands, '-inf', number(now), 'LIMIT', 0, 8)) do
  deal(string.sub(name, 1, 12))
  redis.call('ZREM', hands, name)
end
local untried = call('HLEN', claims) - call('HEXISTS', claims, 'counter') - call('HEXISTS', claims, 'over') <= call('ZCARD', hands)
)" + take() + take_all() +
                 R"(
local again = some(later, '-inf', number(now), 'WITHSCORES')
local old = number(micros - age * 1000)
take_all(again, again[1] and some(waiting, '-inf', old, 'WITHSCORES') or some(waiting, '-inf', old))
if count < most and room > 0 then take_all({}, some(waiting, '(' .. number(micros + 1000000), '+inf')) end
each('ZADD', later, taken_later)
each('HSET', claims, taken_claims)
each('ZADD', held, taken_held)
if fresh_ones > 0 then
  local head = string.format('%016.0f%04d', begun, fresh_ones)
  redis.call('ZADD', hands, ends, ARGV[4] .. head)
  redis.call('HSET', claims, '!' .. ARGV[4], head .. over() .. cmsgpack.pack(mine))
end
each('ZREM', waiting, taken)
)" + list_unlisted() +
                 R"(
local tried = next(tries_of)
for i = 1, tried and count or 0 do tries_of[i] = tries_of[i] or '0' end
out[2 * count + 1] = tried and table.concat(tries_of, '\n') or ''
return out)"};

    /// The claims live on. Life ms; key and claim of each.
    Script renew{prelude() + when_full() + many() + deal() + R"(
local ends = number(now + tonumber(ARGV[1]))
for i = 2, #ARGV, 2 do deal(string.sub(ARGV[i + 1], 1, 12)) end
for i = 2, #ARGV, 2 do
  local c = redis.call('HGET', claims, ':' .. ARGV[i])
  if c and string.sub(c, 1, 16) == ARGV[i + 1] and ARGV[i + 1] ~= none then redis.call('ZADD', later, 'XX', ends, ARGV[i]) end
end
return 1)"};

    /// The same of a hand: nothing if it is not there as a whole. Life ms, name and number of its claims.
    Script renew_hand{prelude() + when_full() + hand() + R"(
local h = whole_hand(ARGV[2], ARGV[3])
if not h then return false end
redis.call('ZADD', hands, 'XX', number(now + tonumber(ARGV[1])), h.member)
return 1)"};

    /// The database has them: 1 for each that was. Key, version and claim of each. Rule W6.
    Script settle{prelude() + when_full() + many() + deal() + R"(
local out, keys, gone, over, held_by, newer = {}, {}, {}, {}, {}, {}
for i = 1, #ARGV, 3 do
  keys[#keys + 1] = ARGV[i]
  deal(string.sub(ARGV[i + 2], 1, 12))
end
local vs, cs = all_of(changes, keys, '', 1, #keys), all_of(claims, keys, ':', 1, #keys)
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

    /// The same of a hand: 1 if all were, nothing if it is not there as a whole. Name and number of its claims,
    /// the versions in their order, which are not looked at, nor is any value, where nothing has been recorded
    /// over a pending change since they were claimed. Rule W6.
    Script settle_hand{prelude() + when_full() + many() + hand() + R"(
local h = whole_hand(ARGV[1], ARGV[2])
if not h then return false end
if h.over == over() then
  each('HDEL', changes, h.keys)
  drop(h)
  return 1
end
local out, gone, newer, settled, versions, sub, find = {}, {}, {}, 0, ARGV[3], string.sub, string.find
local vs = all_of(changes, h.keys, '', 1, h.left)
for i = 1, h.left do
  local v, key = vs[i], h.keys[i]
  local newest = v and find(v, sub(versions, 16 * i - 15, 16 * i), 2, true) == 2
  if newest then
    settled = settled + 1
    gone[settled] = key
  elseif v then push(newer, number(micros), key) end
  out[i] = newest and 1 or 0
end
each('HDEL', changes, gone)
each('ZADD', waiting, newer)
drop(h)
return settled == h.left and 1 or out)"};

    /// To be tried again. Key, version, claim, delay ms, tries.
    Script defer{prelude() + when_full() + many() + deal() + forget() + confirm() + R"(
local v, c = confirm(ARGV[1], ARGV[2], ARGV[3])
if not v then return 0 end
local first = string.sub(c, 33, 48)
if first == none then first = padded(now) end
redis.call('ZADD', later, number(now + tonumber(ARGV[4])), ARGV[1])
redis.call('HSET', claims, ':' .. ARGV[1], none .. ARGV[2] .. first .. ARGV[5])
return 1)"};

    /// Becomes a dead letter: 1 if it did, or had by this very call. Key, version, claim, tries, why, the
    /// call's id. Rule W8.
    Script bury{prelude() + when_full() + many() + deal() + forget() + confirm() + letter() + R"(
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
if begins then redis.pcall('ZADD', waiting, stamp, key) else call('HSET', claims, 'over', stamp) end
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
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_JOURNAL_SCRIPTS_HPP

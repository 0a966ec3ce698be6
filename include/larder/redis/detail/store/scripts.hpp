// SPDX-License-Identifier: MIT

/// @file
/// The steps of the slot protocol as scripts: each is atomic, and the slot is its first key.
///
/// The transitions are those of detail/slot/state_machine.hpp; the bytes are those of slot_format.hpp.

#ifndef LARDER_REDIS_DETAIL_STORE_SCRIPTS_HPP
#define LARDER_REDIS_DETAIL_STORE_SCRIPTS_HPP

#include <larder/redis/detail/store/change_script.hpp>
#include <larder/redis/script.hpp>
#include <larder/redis/store_options.hpp>
#include <larder/version.hpp>

#include <string>

LARDER_NS_BEGIN

namespace redis::detail {

/// The scripts, their digests computed once. Rule R3.
struct SlotScripts {
    /// Takes the lease of an empty slot, for servers whose SET does not do it; answers what is there.
    /// Slot; loading bytes, lease ms.
    Script open{R"(
local v = redis.call('GET', KEYS[1])
if v then return v end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false)"};

    /// Takes the lease of a slot that holds exactly the bytes of this digest, if these are nobody's
    /// as they are now: who saw them may have judged by a time that was another's.
    /// Slot; digest, loading bytes, lease ms.
    Script replace{prelude() + R"(
local v, kind = inspect(KEYS[1])
if kind ~= 'V' or redis.sha1hex(v) ~= ARGV[1] then return 0 end
put(KEYS[1], ARGV[2], ARGV[3])
return 1)"};

    /// Takes the lease beside a value: {kind, holder, bytes, time left}, the kind '+' if it is the
    /// caller's now, 'R' if it is another's. Slot, side; lease, lease ms.
    Script open_beside{prelude() + beside() + R"(
local v, kind = inspect(KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if kind ~= 'V' then return {kind, '', v or '', left} end
local s = beside(v)
if s then return {'R', string.sub(s, 1, 16), v, left} end
put(KEYS[2], ARGV[1] .. mark(v), ARGV[2])
return {'+', '', v, left})"};

    /// Takes the lease from whoever has it: '+' beside a value, 'L' of the slot; else who is there.
    /// Slot, side; lease, lease ms, loading bytes.
    Script force{prelude() + beside() + R"(
local v, kind = inspect(KEYS[1])
if kind == 'W' then overlap(v) return kind end
if kind == 'U' or kind == 'X' then return kind end
if kind == 'V' then put(KEYS[2], ARGV[1] .. mark(v), ARGV[2]) return '+' end
put(KEYS[1], ARGV[3], ARGV[2])
return 'L')"};

    /// Fills: {lease found, kept, tags stand}. What is not kept (life 0, no room, tags that do not
    /// stand) leaves nothing: no older value may hide what the source has said.
    /// Slot; loading bytes, life ms, value.
    ChangeScript fill{prelude() + consume_lease() + store()};
    /// Slot, clock, tags; loading bytes, life ms, value, moment.
    ChangeScript fill_tagged{prelude() + consume_lease() + tags() + store()};
    /// The same beside a value. Slot, side; loading bytes, life ms, value, nothing, lease.
    ChangeScript fill_beside{prelude() + beside() + consume_lease_beside() + store()};
    /// Slot, side, clock, tags; loading bytes, life ms, value, moment, lease.
    ChangeScript fill_beside_tagged{prelude() + beside() + consume_lease_beside() + tags() +
                                    store()};

    /// A write ends: {ticket found, stored}. Slot; ticket, life ms (0: leaves nothing), value.
    ChangeScript finish_write{prelude() + consume_ticket() + store()};
    /// Slot, clock, tags; ticket, life ms, value, moment.
    ChangeScript finish_write_tagged{prelude() + consume_ticket() + tags() + store()};

    /// Slot; loading bytes.
    Script release{R"(
if redis.pcall('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) return 1 end
return 0)"};
    /// Side; lease.
    Script release_beside{R"(
local s = redis.pcall('GET', KEYS[1])
if type(s) == 'string' and string.sub(s, 1, 16) == ARGV[1] then redis.call('DEL', KEYS[1]) return 1 end
return 0)"};

    /// Slot; loading bytes, lease ms.
    Script renew{R"(
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2]))"};
    /// Side; lease, lease ms.
    Script renew_beside{R"(
local s = redis.pcall('GET', KEYS[1])
if type(s) ~= 'string' or string.sub(s, 1, 16) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2]))"};

    /// How long a lease beside a value has left, ms; -1 if it is shown no more. Slot, side; lease,
    /// loading bytes.
    Script lease_left{prelude() + beside() + R"(
local v, kind = inspect(KEYS[1])
if v == ARGV[2] then return redis.call('PTTL', KEYS[1]) end
local s = kind == 'V' and beside(v)
if s and string.sub(s, 1, 16) == ARGV[1] then return redis.call('PTTL', KEYS[2]) end
return -1)"};

    /// A write begins. Slot; ticket, ticket ms, the attempt that this one replaces.
    /// Rules S3 and S9.
    ChangeScript begin_write{prelude() + R"(
local v, kind = inspect(KEYS[1])
local now = time()
local deadline = now + tonumber(ARGV[2])
local overlapped, unnamed, tickets = '0', 0, {}
if kind == 'W' then
  overlapped, unnamed = string.sub(v, 4, 4), tonumber(string.sub(v, 5, 20))
  tickets = named(v, now, ARGV[3])
  if #tickets > 0 or unnamed > now then overlapped = '1' end
elseif kind == 'U' then
  overlapped = '1'
end
if #tickets < 32 then
  tickets[#tickets + 1] = ARGV[1] .. string.format('%016.0f', deadline)
else
  unnamed = math.max(unnamed, deadline)
end
put_writing(overlapped, unnamed, tickets, now)
return 1)"};

    /// An invalidation: 1 if there was a copy. Slot. It deletes what is not there, too: a server that takes
    /// no writes must say so, since one that was demoted may lack what its primary has. Rules S4 and R8.
    ChangeScript erase{prelude() + R"(
local v, kind = inspect(KEYS[1])
if kind == 'W' then overlap(v) return 0 end
redis.call('DEL', KEYS[1])
return kind == 'V' and 1 or 0)"};

    /// A value from outside of the protocol. Slot; life ms, value.
    ChangeScript put{prelude() + R"(
local v, kind = inspect(KEYS[1])
if kind == 'W' then overlap(v) return 0 end
put(KEYS[1], ARGV[2], ARGV[1])
return 1)"};

    /// Gives a value that another program wrote for ever a life. Slot; life ms.
    ChangeScript adopt{prelude() + R"(
local v, kind = inspect(KEYS[1])
if kind ~= 'V' or redis.call('PTTL', KEYS[1]) ~= -1 then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[1]))"};

    /// The clock; one of a new era where there is none. Clock; that.
    Script ensure_clock{prelude() + R"(
local clock = version(KEYS[1])
if not clock then
  clock = ARGV[1]
  put(KEYS[1], clock, -1)
end
return clock)"};

    /// Moves the clock, and the version of every tag that some entry may carry. Clock, tags; era.
    /// Rule T2.
    ChangeScript invalidate_tags{prelude() + R"(
local clock = version(KEYS[1])
local now = ARGV[1] .. '1'
if clock then
  now = string.sub(clock, 1, 16) .. string.format('%.0f', tonumber(string.sub(clock, 17)) + 1)
end
put(KEYS[1], now, -1)
for i = 2, #KEYS do
  local left = redis.call('PTTL', KEYS[i])
  if left ~= -2 then put(KEYS[i], now, left) end
end
return now)",
                                 ChangeScript::of_tags};

    /// Makes a miss of what carries a tag. Tag.
    ChangeScript forget_tag{"return redis.call('DEL', KEYS[1])"};

    /// They are never destroyed: what lives until the program ends uses them still.
    [[nodiscard]] static const SlotScripts& instance() {
        static const auto* const scripts = new SlotScripts;
        return *scripts;
    }

    // ---- what scripts are made of, a journal's too ----

    /// What needs to be known of a slot to replace it. inspect: its bytes, and 'V' for a value (or what
    /// nobody can read), 'L', 'W', 'U' for another version's, 'X' for another type, '-' for nothing. A
    /// server that is full refuses a script whose first write is a SET, but not one behind a DEL. A DEL
    /// comes first only then: while a hash slot moves, a key that is gone is another node's.
    /// Rules R4 and R5.
    static std::string reading() {
        return "local longest_lease, longest_ticket = " + std::to_string(longest_lease.count()) +
               ", " + std::to_string(longest_ticket.count()) + R"(
local function inspect(k)
  local v = redis.pcall('GET', k)
  if type(v) == 'table' then return nil, 'X' end
  if not v then return nil, '-' end
  if string.byte(v, 1) ~= 1 or #v == 1 then return v, 'V' end
  local left = redis.call('PTTL', k)
  if string.byte(v, 2) ~= 1 then return v, left >= 0 and 'U' or 'V' end
  local kind = string.sub(v, 3, 3)
  if kind == 'L' and #v == 19 and left >= 0 and left <= longest_lease and
     string.find(v, '^[0-9a-f]+$', 4) and string.find(v, '[^0]', 4) then return v, 'L' end
  if kind == 'W' and #v >= 20 and (#v - 20) % 32 == 0 and left >= 0 and left <= longest_ticket and
     tonumber(string.sub(v, 5, 20)) then return v, 'W' end
  return v, 'V'
end
local function set(call, k, v, px)
  px = tonumber(px)
  if px == -1 then return call('SET', k, v) end
  return call('SET', k, v, 'PX', string.format('%.0f', math.max(px, 1)))
end
local function put(k, v, px, call)
  if set(redis.pcall, k, v, px).ok then return true end
  redis.call('DEL', k)
  return set(call or redis.call, k, v, px).ok ~= nil
end
local function overlap(v)
  put(KEYS[1], '\1\1W1' .. string.sub(v, 5), redis.call('PTTL', KEYS[1]))
end
)";
    }

    /// The same, and more. version: of a tag, or a clock; nil for what is none.
    static std::string prelude() {
        return reading() + R"(
local function version(k)
  local v = redis.pcall('GET', k)
  local sound = type(v) == 'string' and #v < 32 and string.find(v, '^' .. string.rep('[0-9a-f]', 16) .. '%d+$')
  return sound and v or nil
end
local function time()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function named(v, now, without)
  local tickets = {}
  for i = 21, #v, 32 do
    local ends = tonumber(string.sub(v, i + 16, i + 31))
    if ends and ends > now and string.sub(v, i, i + 15) ~= without then
      tickets[#tickets + 1] = string.sub(v, i, i + 31)
    end
  end
  return tickets
end
local function put_writing(overlapped, unnamed, tickets, now)
  local last = unnamed
  for i = 1, #tickets do last = math.max(last, tonumber(string.sub(tickets[i], 17))) end
  put(KEYS[1], '\1\1W' .. overlapped .. string.format('%016.0f', unnamed) .. table.concat(tickets), last - now)
end
)";
    }

    /// Whether each tag still has a version that is not newer than the moment of the lease or ticket.
    /// A tag without a version gets one if nothing at all was invalidated since; so does one whose
    /// version is of another era: that era's clock was lost before this one's began.
    /// Rules T1, T3 and T6.
    static std::string tags() {
        return R"(
local clock = version(KEYS[clock_at])
local era, tick = string.sub(ARGV[4], 1, 16), tonumber(string.sub(ARGV[4], 17))
local function standing(k)
  local v = version(k)
  return v and string.sub(v, 1, 16) == era and v or nil
end
if not clock or string.sub(clock, 1, 16) ~= era then stand = false end
for i = clock_at + 1, #KEYS do
  local v = standing(KEYS[i])
  if v then
    if tonumber(string.sub(v, 17)) > tick then stand = false end
  elseif clock ~= ARGV[4] then
    stand = false
  end
end
if mine and ARGV[2] ~= '0' and clock and string.sub(clock, 1, 16) == era then
  local px = tonumber(ARGV[2])
  local long = string.format('%.0f', 2 * px + 3600000)
  for i = clock_at + 1, #KEYS do
    if not standing(KEYS[i]) then
      put(KEYS[i], clock, long)
    else
      local left = redis.call('PTTL', KEYS[i])
      if left >= 0 and left < px then redis.call('PEXPIRE', KEYS[i], long) end
    end
  end
end
mine = mine and stand
)";
    }

private:
    // The lease beside a value is a key of its own: lease, digest and expiry of the value that it is
    // to replace. Bytes alone might be those of another value of the same text. Rule R6.
    static std::string beside() {
        return R"(
local function mark(v)
  local at = redis.pcall('PEXPIRETIME', KEYS[1])
  if type(at) == 'table' then
    at = redis.call('PTTL', KEYS[1])
    if at >= 0 then at = at + time() end
  end
  return redis.sha1hex(v) .. string.format('%.0f', at)
end
local function beside(v)
  local s = redis.pcall('GET', KEYS[2])
  if type(s) ~= 'string' then return nil end
  local left = redis.call('PTTL', KEYS[2])
  if left < 0 or left > longest_lease then return nil end
  local m = mark(v)
  if string.sub(s, 17, 56) ~= string.sub(m, 1, 40) then return nil end
  local apart = math.abs((tonumber(string.sub(s, 57)) or 0) - tonumber(string.sub(m, 41)))
  local exact = type(redis.pcall('PEXPIRETIME', KEYS[1])) ~= 'table'
  if apart > (exact and 0 or 5) then return nil end
  return s
end
)";
    }

    // These end a lease or a ticket: they set `mine` (the caller may store), `over` (what is there goes),
    // `found`, `stand` and `clock_at`. Rule S1.
    static std::string consume_lease() {
        return R"(
local clock_at, stand = 2, true
local mine = redis.pcall('GET', KEYS[1]) == ARGV[1]
local found, over = mine, mine
)";
    }
    static std::string consume_lease_beside() {
        return R"(
local clock_at, stand = 3, true
local v, kind = inspect(KEYS[1])
local mine = v == ARGV[1]
if not mine and kind == 'V' then
  local s = beside(v)
  mine = s ~= nil and string.sub(s, 1, 16) == ARGV[5]
  if mine then redis.call('DEL', KEYS[2]) end
end
local found, over = mine, mine
)";
    }
    static std::string consume_ticket() {
        return R"(
local clock_at, stand = 2, true
local mine, found, over = false, false, false
local v, kind = inspect(KEYS[1])
if kind == 'W' then
  local now = time()
  local all = named(v, now, '')
  local tickets = named(v, now, ARGV[1])
  local unnamed = tonumber(string.sub(v, 5, 20))
  found = #tickets < #all
  if not found then
    overlap(v)
  elseif #tickets > 0 or unnamed > now then
    put_writing(string.sub(v, 4, 4), unnamed, tickets, now)
  else
    over = true
    mine = string.sub(v, 4, 4) == '0' and ARGV[2] ~= '0'
  end
else
  over = true
end
)";
    }
    // What cannot be stored is absent.
    static std::string store() {
        return R"(
local kept = 0
if mine and ARGV[2] ~= '0' then
  kept = put(KEYS[1], ARGV[3], ARGV[2], redis.pcall) and 1 or 0
end
if over and kept == 0 then redis.call('DEL', KEYS[1]) end
return {found and 1 or 0, kept, stand and 1 or 0})";
    }
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_SCRIPTS_HPP

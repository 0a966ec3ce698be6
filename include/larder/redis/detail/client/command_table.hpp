// SPDX-License-Identifier: MIT

/// @file
/// What a Client must know of Redis' commands: which only read, which block, which would change a
/// connection that others use too, and where the key stands.

#ifndef LARDER_REDIS_DETAIL_CLIENT_COMMAND_TABLE_HPP
#define LARDER_REDIS_DETAIL_CLIENT_COMMAND_TABLE_HPP

#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

LARDER_NS_BEGIN

namespace redis::detail {

/// How a command treats the connection.
enum class CommandKind : std::uint8_t {
    plain,
    read,           ///< it changes nothing and may be sent again
    refused,        ///< it makes no sense on a connection that others use too
    client,         ///< refused with some subcommands
    multi,          ///< begins a transaction
    exec,           ///< ends one
    seconds_last,   ///< blocks, for the seconds that its last word says; 0: for ever
    seconds_first,  ///< blocks, for the seconds that its first argument says
    millis_last,    ///< blocks, for the milliseconds that its last word says
    block_option,   ///< blocks if it says BLOCK milliseconds
};

/// What is known of a command.
struct CommandSpec {
    std::string_view name;
    CommandKind kind{CommandKind::plain};
    std::uint8_t key{0};  ///< the number of the word that is the first key; 0: none, or not known
};

/// Sorted by name. A command that is not here is plain, and errors do not show its key.
inline constexpr std::array command_table{
    CommandSpec{"APPEND", CommandKind::plain, 1},
    CommandSpec{"ASKING", CommandKind::refused},
    CommandSpec{"AUTH", CommandKind::refused},
    CommandSpec{"BITCOUNT", CommandKind::read, 1},
    CommandSpec{"BITPOS", CommandKind::read, 1},
    CommandSpec{"BLMOVE", CommandKind::seconds_last, 1},
    CommandSpec{"BLMPOP", CommandKind::seconds_first},
    CommandSpec{"BLPOP", CommandKind::seconds_last, 1},
    CommandSpec{"BRPOP", CommandKind::seconds_last, 1},
    CommandSpec{"BRPOPLPUSH", CommandKind::seconds_last, 1},
    CommandSpec{"BZMPOP", CommandKind::seconds_first},
    CommandSpec{"BZPOPMAX", CommandKind::seconds_last, 1},
    CommandSpec{"BZPOPMIN", CommandKind::seconds_last, 1},
    CommandSpec{"CLIENT", CommandKind::client},
    CommandSpec{"DBSIZE", CommandKind::read},
    CommandSpec{"DECR", CommandKind::plain, 1},
    CommandSpec{"DECRBY", CommandKind::plain, 1},
    CommandSpec{"DEL", CommandKind::plain, 1},
    CommandSpec{"DISCARD", CommandKind::exec},
    CommandSpec{"DUMP", CommandKind::read, 1},
    CommandSpec{"ECHO", CommandKind::read},
    CommandSpec{"EVAL", CommandKind::plain, 3},
    CommandSpec{"EVALSHA", CommandKind::plain, 3},
    CommandSpec{"EVALSHA_RO", CommandKind::read, 3},
    CommandSpec{"EVAL_RO", CommandKind::read, 3},
    CommandSpec{"EXEC", CommandKind::exec},
    CommandSpec{"EXISTS", CommandKind::read, 1},
    CommandSpec{"EXPIRE", CommandKind::plain, 1},
    CommandSpec{"EXPIRETIME", CommandKind::read, 1},
    CommandSpec{"FCALL", CommandKind::plain, 3},
    CommandSpec{"FCALL_RO", CommandKind::read, 3},
    CommandSpec{"GET", CommandKind::read, 1},
    CommandSpec{"GETBIT", CommandKind::read, 1},
    CommandSpec{"GETDEL", CommandKind::plain, 1},
    CommandSpec{"GETEX", CommandKind::plain, 1},
    CommandSpec{"GETRANGE", CommandKind::read, 1},
    CommandSpec{"GETSET", CommandKind::plain, 1},
    CommandSpec{"HDEL", CommandKind::plain, 1},
    CommandSpec{"HELLO", CommandKind::refused},
    CommandSpec{"HEXISTS", CommandKind::read, 1},
    CommandSpec{"HGET", CommandKind::read, 1},
    CommandSpec{"HGETALL", CommandKind::read, 1},
    CommandSpec{"HINCRBY", CommandKind::plain, 1},
    CommandSpec{"HKEYS", CommandKind::read, 1},
    CommandSpec{"HLEN", CommandKind::read, 1},
    CommandSpec{"HMGET", CommandKind::read, 1},
    CommandSpec{"HRANDFIELD", CommandKind::read, 1},
    CommandSpec{"HSCAN", CommandKind::read, 1},
    CommandSpec{"HSET", CommandKind::plain, 1},
    CommandSpec{"HSETNX", CommandKind::plain, 1},
    CommandSpec{"HSTRLEN", CommandKind::read, 1},
    CommandSpec{"HVALS", CommandKind::read, 1},
    CommandSpec{"INCR", CommandKind::plain, 1},
    CommandSpec{"INCRBY", CommandKind::plain, 1},
    CommandSpec{"INFO", CommandKind::read},
    CommandSpec{"KEYS", CommandKind::read},
    CommandSpec{"LINDEX", CommandKind::read, 1},
    CommandSpec{"LLEN", CommandKind::read, 1},
    CommandSpec{"LPOP", CommandKind::plain, 1},
    CommandSpec{"LPUSH", CommandKind::plain, 1},
    CommandSpec{"LRANGE", CommandKind::read, 1},
    CommandSpec{"LREM", CommandKind::plain, 1},
    CommandSpec{"LTRIM", CommandKind::plain, 1},
    CommandSpec{"MGET", CommandKind::read, 1},
    CommandSpec{"MONITOR", CommandKind::refused},
    CommandSpec{"MSET", CommandKind::plain, 1},
    CommandSpec{"MULTI", CommandKind::multi},
    CommandSpec{"PERSIST", CommandKind::plain, 1},
    CommandSpec{"PEXPIRE", CommandKind::plain, 1},
    CommandSpec{"PEXPIREAT", CommandKind::plain, 1},
    CommandSpec{"PEXPIRETIME", CommandKind::read, 1},
    CommandSpec{"PING", CommandKind::read},
    CommandSpec{"PSETEX", CommandKind::plain, 1},
    CommandSpec{"PSUBSCRIBE", CommandKind::refused},
    CommandSpec{"PSYNC", CommandKind::refused},
    CommandSpec{"PTTL", CommandKind::read, 1},
    CommandSpec{"PUNSUBSCRIBE", CommandKind::refused},
    CommandSpec{"QUIT", CommandKind::refused},
    CommandSpec{"RANDOMKEY", CommandKind::read},
    CommandSpec{"READONLY", CommandKind::refused},
    CommandSpec{"READWRITE", CommandKind::refused},
    CommandSpec{"REPLCONF", CommandKind::refused},
    CommandSpec{"RESET", CommandKind::refused},
    CommandSpec{"RPOP", CommandKind::plain, 1},
    CommandSpec{"RPUSH", CommandKind::plain, 1},
    CommandSpec{"SADD", CommandKind::plain, 1},
    CommandSpec{"SCAN", CommandKind::read},
    CommandSpec{"SCARD", CommandKind::read, 1},
    CommandSpec{"SELECT", CommandKind::refused},
    CommandSpec{"SET", CommandKind::plain, 1},
    CommandSpec{"SETEX", CommandKind::plain, 1},
    CommandSpec{"SETNX", CommandKind::plain, 1},
    CommandSpec{"SISMEMBER", CommandKind::read, 1},
    CommandSpec{"SMEMBERS", CommandKind::read, 1},
    CommandSpec{"SMISMEMBER", CommandKind::read, 1},
    CommandSpec{"SPOP", CommandKind::plain, 1},
    CommandSpec{"SREM", CommandKind::plain, 1},
    CommandSpec{"SSCAN", CommandKind::read, 1},
    CommandSpec{"SSUBSCRIBE", CommandKind::refused},
    CommandSpec{"STRLEN", CommandKind::read, 1},
    CommandSpec{"SUBSCRIBE", CommandKind::refused},
    CommandSpec{"SUNSUBSCRIBE", CommandKind::refused},
    CommandSpec{"SYNC", CommandKind::refused},
    CommandSpec{"TIME", CommandKind::read},
    CommandSpec{"TTL", CommandKind::read, 1},
    CommandSpec{"TYPE", CommandKind::read, 1},
    CommandSpec{"UNLINK", CommandKind::plain, 1},
    CommandSpec{"UNSUBSCRIBE", CommandKind::refused},
    CommandSpec{"UNWATCH", CommandKind::refused},
    CommandSpec{"WAIT", CommandKind::millis_last},
    CommandSpec{"WAITAOF", CommandKind::millis_last},
    CommandSpec{"WATCH", CommandKind::refused},
    CommandSpec{"XADD", CommandKind::plain, 1},
    CommandSpec{"XLEN", CommandKind::read, 1},
    CommandSpec{"XRANGE", CommandKind::read, 1},
    CommandSpec{"XREAD", CommandKind::block_option},
    CommandSpec{"XREADGROUP", CommandKind::block_option},
    CommandSpec{"XREVRANGE", CommandKind::read, 1},
    CommandSpec{"ZADD", CommandKind::plain, 1},
    CommandSpec{"ZCARD", CommandKind::read, 1},
    CommandSpec{"ZCOUNT", CommandKind::read, 1},
    CommandSpec{"ZINCRBY", CommandKind::plain, 1},
    CommandSpec{"ZMSCORE", CommandKind::read, 1},
    CommandSpec{"ZRANGE", CommandKind::read, 1},
    CommandSpec{"ZRANGEBYSCORE", CommandKind::read, 1},
    CommandSpec{"ZRANK", CommandKind::read, 1},
    CommandSpec{"ZREM", CommandKind::plain, 1},
    CommandSpec{"ZREVRANGE", CommandKind::read, 1},
    CommandSpec{"ZSCAN", CommandKind::read, 1},
    CommandSpec{"ZSCORE", CommandKind::read, 1},
};
static_assert(std::ranges::is_sorted(command_table, {}, &CommandSpec::name));

/// Letters of ASCII alone: no locale.
[[nodiscard]] constexpr char upper(char c) noexcept {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}
[[nodiscard]] inline bool same_word(std::string_view word, std::string_view upper_case) noexcept {
    return std::equal(word.begin(), word.end(), upper_case.begin(), upper_case.end(),
                      [](char a, char b) { return upper(a) == b; });
}

/// What is known of a command, in whatever case it is spelled.
[[nodiscard]] inline CommandSpec lookup_command(std::string_view name) noexcept {
    const auto* const found =
        std::lower_bound(command_table.begin(), command_table.end(), name,
                         [](const CommandSpec& command, std::string_view wanted) {
                             return std::lexicographical_compare(
                                 command.name.begin(), command.name.end(), wanted.begin(),
                                 wanted.end(), [](char a, char b) { return upper(a) < upper(b); });
                         });
    return found != command_table.end() && same_word(name, found->name) ? *found
                                                                        : CommandSpec{name};
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_COMMAND_TABLE_HPP

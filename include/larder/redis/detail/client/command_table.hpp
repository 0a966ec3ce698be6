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

/// Which of a command's words are keys, beside the first that is one.
enum class KeyWords : std::uint8_t {
    one,       ///< no others
    two,       ///< the next
    all,       ///< all that follow
    but_last,  ///< all that follow but the last
    pairs,     ///< every second that follows
    counted,   ///< the next: as many in all as the word before the first says
    streams,   ///< none is at a fixed place: the first half of what follows the word STREAMS
    unknown,   ///< nothing is known of the command
};

/// What is known of a command.
struct CommandSpec {
    std::string_view name;
    CommandKind kind{CommandKind::plain};
    std::uint8_t key{0};  ///< the number of the word that is the first key; 0: none, or not known
    KeyWords keys{KeyWords::one};
};

/// Sorted by name. A command that is not here is plain, and errors do not show its key.
inline constexpr std::array command_table{
    CommandSpec{"ACL", CommandKind::plain},
    CommandSpec{"APPEND", CommandKind::plain, 1},
    CommandSpec{"ASKING", CommandKind::refused},
    CommandSpec{"AUTH", CommandKind::refused},
    CommandSpec{"BGREWRITEAOF", CommandKind::plain},
    CommandSpec{"BGSAVE", CommandKind::plain},
    CommandSpec{"BITCOUNT", CommandKind::read, 1},
    CommandSpec{"BITOP", CommandKind::plain, 2, KeyWords::all},
    CommandSpec{"BITPOS", CommandKind::read, 1},
    CommandSpec{"BLMOVE", CommandKind::seconds_last, 1, KeyWords::two},
    CommandSpec{"BLMPOP", CommandKind::seconds_first, 3, KeyWords::counted},
    CommandSpec{"BLPOP", CommandKind::seconds_last, 1, KeyWords::but_last},
    CommandSpec{"BRPOP", CommandKind::seconds_last, 1, KeyWords::but_last},
    CommandSpec{"BRPOPLPUSH", CommandKind::seconds_last, 1, KeyWords::two},
    CommandSpec{"BZMPOP", CommandKind::seconds_first, 3, KeyWords::counted},
    CommandSpec{"BZPOPMAX", CommandKind::seconds_last, 1, KeyWords::but_last},
    CommandSpec{"BZPOPMIN", CommandKind::seconds_last, 1, KeyWords::but_last},
    CommandSpec{"CLIENT", CommandKind::client},
    CommandSpec{"CLUSTER", CommandKind::plain},
    CommandSpec{"COMMAND", CommandKind::plain},
    CommandSpec{"CONFIG", CommandKind::plain},
    CommandSpec{"COPY", CommandKind::plain, 1, KeyWords::two},
    CommandSpec{"DBSIZE", CommandKind::read},
    CommandSpec{"DEBUG", CommandKind::plain},
    CommandSpec{"DECR", CommandKind::plain, 1},
    CommandSpec{"DECRBY", CommandKind::plain, 1},
    CommandSpec{"DEL", CommandKind::plain, 1, KeyWords::all},
    CommandSpec{"DISCARD", CommandKind::exec},
    CommandSpec{"DUMP", CommandKind::read, 1},
    CommandSpec{"ECHO", CommandKind::read},
    CommandSpec{"EVAL", CommandKind::plain, 3, KeyWords::counted},
    CommandSpec{"EVALSHA", CommandKind::plain, 3, KeyWords::counted},
    CommandSpec{"EVALSHA_RO", CommandKind::read, 3, KeyWords::counted},
    CommandSpec{"EVAL_RO", CommandKind::read, 3, KeyWords::counted},
    CommandSpec{"EXEC", CommandKind::exec},
    CommandSpec{"EXISTS", CommandKind::read, 1, KeyWords::all},
    CommandSpec{"EXPIRE", CommandKind::plain, 1},
    CommandSpec{"EXPIRETIME", CommandKind::read, 1},
    CommandSpec{"FAILOVER", CommandKind::plain},
    CommandSpec{"FCALL", CommandKind::plain, 3, KeyWords::counted},
    CommandSpec{"FCALL_RO", CommandKind::read, 3, KeyWords::counted},
    CommandSpec{"FLUSHALL", CommandKind::plain},
    CommandSpec{"FLUSHDB", CommandKind::plain},
    CommandSpec{"FUNCTION", CommandKind::plain},
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
    CommandSpec{"LASTSAVE", CommandKind::plain},
    CommandSpec{"LATENCY", CommandKind::plain},
    CommandSpec{"LCS", CommandKind::plain, 1, KeyWords::two},
    CommandSpec{"LINDEX", CommandKind::read, 1},
    CommandSpec{"LLEN", CommandKind::read, 1},
    CommandSpec{"LMOVE", CommandKind::plain, 1, KeyWords::two},
    CommandSpec{"LMPOP", CommandKind::plain, 2, KeyWords::counted},
    CommandSpec{"LOLWUT", CommandKind::plain},
    CommandSpec{"LPOP", CommandKind::plain, 1},
    CommandSpec{"LPUSH", CommandKind::plain, 1},
    CommandSpec{"LRANGE", CommandKind::read, 1},
    CommandSpec{"LREM", CommandKind::plain, 1},
    CommandSpec{"LTRIM", CommandKind::plain, 1},
    CommandSpec{"MEMORY", CommandKind::plain, 2},
    CommandSpec{"MGET", CommandKind::read, 1, KeyWords::all},
    CommandSpec{"MODULE", CommandKind::plain},
    CommandSpec{"MONITOR", CommandKind::refused},
    CommandSpec{"MSET", CommandKind::plain, 1, KeyWords::pairs},
    CommandSpec{"MSETNX", CommandKind::plain, 1, KeyWords::pairs},
    CommandSpec{"MULTI", CommandKind::multi},
    CommandSpec{"OBJECT", CommandKind::plain, 2},
    CommandSpec{"PERSIST", CommandKind::plain, 1},
    CommandSpec{"PEXPIRE", CommandKind::plain, 1},
    CommandSpec{"PEXPIREAT", CommandKind::plain, 1},
    CommandSpec{"PEXPIRETIME", CommandKind::read, 1},
    CommandSpec{"PFCOUNT", CommandKind::plain, 1, KeyWords::all},
    CommandSpec{"PFMERGE", CommandKind::plain, 1, KeyWords::all},
    CommandSpec{"PING", CommandKind::read},
    CommandSpec{"PSETEX", CommandKind::plain, 1},
    CommandSpec{"PSUBSCRIBE", CommandKind::refused},
    CommandSpec{"PSYNC", CommandKind::refused},
    CommandSpec{"PTTL", CommandKind::read, 1},
    CommandSpec{"PUBLISH", CommandKind::plain},
    CommandSpec{"PUNSUBSCRIBE", CommandKind::refused},
    CommandSpec{"QUIT", CommandKind::refused},
    CommandSpec{"RANDOMKEY", CommandKind::read},
    CommandSpec{"READONLY", CommandKind::refused},
    CommandSpec{"READWRITE", CommandKind::refused},
    CommandSpec{"RENAME", CommandKind::plain, 1, KeyWords::two},
    CommandSpec{"RENAMENX", CommandKind::plain, 1, KeyWords::two},
    CommandSpec{"REPLCONF", CommandKind::refused},
    CommandSpec{"REPLICAOF", CommandKind::plain},
    CommandSpec{"RESET", CommandKind::refused},
    CommandSpec{"ROLE", CommandKind::plain},
    CommandSpec{"RPOP", CommandKind::plain, 1},
    CommandSpec{"RPOPLPUSH", CommandKind::plain, 1, KeyWords::two},
    CommandSpec{"RPUSH", CommandKind::plain, 1},
    CommandSpec{"SADD", CommandKind::plain, 1},
    CommandSpec{"SAVE", CommandKind::plain},
    CommandSpec{"SCAN", CommandKind::read},
    CommandSpec{"SCARD", CommandKind::read, 1},
    CommandSpec{"SCRIPT", CommandKind::plain},
    CommandSpec{"SDIFF", CommandKind::plain, 1, KeyWords::all},
    CommandSpec{"SDIFFSTORE", CommandKind::plain, 1, KeyWords::all},
    CommandSpec{"SELECT", CommandKind::refused},
    CommandSpec{"SET", CommandKind::plain, 1},
    CommandSpec{"SETEX", CommandKind::plain, 1},
    CommandSpec{"SETNX", CommandKind::plain, 1},
    CommandSpec{"SHUTDOWN", CommandKind::plain},
    CommandSpec{"SINTER", CommandKind::plain, 1, KeyWords::all},
    CommandSpec{"SINTERCARD", CommandKind::plain, 2, KeyWords::counted},
    CommandSpec{"SINTERSTORE", CommandKind::plain, 1, KeyWords::all},
    CommandSpec{"SISMEMBER", CommandKind::read, 1},
    CommandSpec{"SLAVEOF", CommandKind::plain},
    CommandSpec{"SLOWLOG", CommandKind::plain},
    CommandSpec{"SMEMBERS", CommandKind::read, 1},
    CommandSpec{"SMISMEMBER", CommandKind::read, 1},
    CommandSpec{"SMOVE", CommandKind::plain, 1, KeyWords::two},
    CommandSpec{"SPOP", CommandKind::plain, 1},
    CommandSpec{"SREM", CommandKind::plain, 1},
    CommandSpec{"SSCAN", CommandKind::read, 1},
    CommandSpec{"SSUBSCRIBE", CommandKind::refused},
    CommandSpec{"STRLEN", CommandKind::read, 1},
    CommandSpec{"SUBSCRIBE", CommandKind::refused},
    CommandSpec{"SUNION", CommandKind::plain, 1, KeyWords::all},
    CommandSpec{"SUNIONSTORE", CommandKind::plain, 1, KeyWords::all},
    CommandSpec{"SUNSUBSCRIBE", CommandKind::refused},
    CommandSpec{"SWAPDB", CommandKind::plain},
    CommandSpec{"SYNC", CommandKind::refused},
    CommandSpec{"TIME", CommandKind::read},
    CommandSpec{"TOUCH", CommandKind::plain, 1, KeyWords::all},
    CommandSpec{"TTL", CommandKind::read, 1},
    CommandSpec{"TYPE", CommandKind::read, 1},
    CommandSpec{"UNLINK", CommandKind::plain, 1, KeyWords::all},
    CommandSpec{"UNSUBSCRIBE", CommandKind::refused},
    CommandSpec{"UNWATCH", CommandKind::refused},
    CommandSpec{"WAIT", CommandKind::millis_last},
    CommandSpec{"WAITAOF", CommandKind::millis_last},
    CommandSpec{"WATCH", CommandKind::refused},
    CommandSpec{"XADD", CommandKind::plain, 1},
    CommandSpec{"XGROUP", CommandKind::plain, 2},
    CommandSpec{"XINFO", CommandKind::plain, 2},
    CommandSpec{"XLEN", CommandKind::read, 1},
    CommandSpec{"XRANGE", CommandKind::read, 1},
    CommandSpec{"XREAD", CommandKind::block_option, 0, KeyWords::streams},
    CommandSpec{"XREADGROUP", CommandKind::block_option, 0, KeyWords::streams},
    CommandSpec{"XREVRANGE", CommandKind::read, 1},
    CommandSpec{"ZADD", CommandKind::plain, 1},
    CommandSpec{"ZCARD", CommandKind::read, 1},
    CommandSpec{"ZCOUNT", CommandKind::read, 1},
    CommandSpec{"ZDIFF", CommandKind::plain, 2, KeyWords::counted},
    CommandSpec{"ZINCRBY", CommandKind::plain, 1},
    CommandSpec{"ZINTER", CommandKind::plain, 2, KeyWords::counted},
    CommandSpec{"ZINTERCARD", CommandKind::plain, 2, KeyWords::counted},
    CommandSpec{"ZMPOP", CommandKind::plain, 2, KeyWords::counted},
    CommandSpec{"ZMSCORE", CommandKind::read, 1},
    CommandSpec{"ZRANGE", CommandKind::read, 1},
    CommandSpec{"ZRANGEBYSCORE", CommandKind::read, 1},
    CommandSpec{"ZRANGESTORE", CommandKind::plain, 1, KeyWords::two},
    CommandSpec{"ZRANK", CommandKind::read, 1},
    CommandSpec{"ZREM", CommandKind::plain, 1},
    CommandSpec{"ZREVRANGE", CommandKind::read, 1},
    CommandSpec{"ZSCAN", CommandKind::read, 1},
    CommandSpec{"ZSCORE", CommandKind::read, 1},
    CommandSpec{"ZUNION", CommandKind::plain, 2, KeyWords::counted},
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

/// The first eight letters as a number, in the order of the names.
[[nodiscard]] constexpr std::uint64_t first_letters(std::string_view name) noexcept {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < 8; ++i) {
        number = number << 8U |
                 (i < name.size() ? static_cast<unsigned char>(upper(name[i])) : std::uint64_t{0});
    }
    return number;
}

/// Those of all commands: a look-up compares numbers, and then one name most often.
inline constexpr auto command_letters = [] {
    std::array<std::uint64_t, command_table.size()> all{};
    std::transform(command_table.begin(), command_table.end(), all.begin(),
                   [](const CommandSpec& command) { return first_letters(command.name); });
    return all;
}();

/// What is known of a command, in whatever case it is spelled.
[[nodiscard]] inline CommandSpec lookup_command(std::string_view name) noexcept {
    const std::uint64_t letters = first_letters(name);
    const auto* const found =
        std::lower_bound(command_letters.begin(), command_letters.end(), letters);
    for (auto i = static_cast<std::size_t>(found - command_letters.begin());
         i < command_table.size() && command_letters[i] == letters; ++i) {
        if (same_word(name, command_table[i].name)) {
            return command_table[i];
        }
    }
    return CommandSpec{.name = name, .keys = KeyWords::unknown};
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_COMMAND_TABLE_HPP

// SPDX-License-Identifier: MIT

/// @file
/// What a Client must know of Redis' commands: which only read, which block, which would change a
/// connection that others use too, and where the key stands.

#ifndef LARDER_REDIS_DETAIL_CLIENT_COMMAND_TABLE_HPP
#define LARDER_REDIS_DETAIL_CLIENT_COMMAND_TABLE_HPP

#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

LARDER_NS_BEGIN

namespace redis::detail {

/// How a command treats the connection.
enum class Manner : std::uint8_t {
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

struct Command {
    std::string_view name;
    Manner manner{Manner::plain};
    std::uint8_t key{0};  ///< the number of the word that is the first key; 0: none, or not known
};

/// Sorted by name. A command that is not here is plain, and errors do not show its key.
inline constexpr std::array command_table{
    Command{"APPEND", Manner::plain, 1},
    Command{"ASKING", Manner::refused},
    Command{"AUTH", Manner::refused},
    Command{"BITCOUNT", Manner::read, 1},
    Command{"BITPOS", Manner::read, 1},
    Command{"BLMOVE", Manner::seconds_last, 1},
    Command{"BLMPOP", Manner::seconds_first},
    Command{"BLPOP", Manner::seconds_last, 1},
    Command{"BRPOP", Manner::seconds_last, 1},
    Command{"BRPOPLPUSH", Manner::seconds_last, 1},
    Command{"BZMPOP", Manner::seconds_first},
    Command{"BZPOPMAX", Manner::seconds_last, 1},
    Command{"BZPOPMIN", Manner::seconds_last, 1},
    Command{"CLIENT", Manner::client},
    Command{"DBSIZE", Manner::read},
    Command{"DECR", Manner::plain, 1},
    Command{"DECRBY", Manner::plain, 1},
    Command{"DEL", Manner::plain, 1},
    Command{"DISCARD", Manner::exec},
    Command{"DUMP", Manner::read, 1},
    Command{"ECHO", Manner::read},
    Command{"EVAL", Manner::plain, 3},
    Command{"EVALSHA", Manner::plain, 3},
    Command{"EVALSHA_RO", Manner::read, 3},
    Command{"EVAL_RO", Manner::read, 3},
    Command{"EXEC", Manner::exec},
    Command{"EXISTS", Manner::read, 1},
    Command{"EXPIRE", Manner::plain, 1},
    Command{"EXPIRETIME", Manner::read, 1},
    Command{"FCALL", Manner::plain, 3},
    Command{"FCALL_RO", Manner::read, 3},
    Command{"GET", Manner::read, 1},
    Command{"GETBIT", Manner::read, 1},
    Command{"GETDEL", Manner::plain, 1},
    Command{"GETEX", Manner::plain, 1},
    Command{"GETRANGE", Manner::read, 1},
    Command{"GETSET", Manner::plain, 1},
    Command{"HDEL", Manner::plain, 1},
    Command{"HELLO", Manner::refused},
    Command{"HEXISTS", Manner::read, 1},
    Command{"HGET", Manner::read, 1},
    Command{"HGETALL", Manner::read, 1},
    Command{"HINCRBY", Manner::plain, 1},
    Command{"HKEYS", Manner::read, 1},
    Command{"HLEN", Manner::read, 1},
    Command{"HMGET", Manner::read, 1},
    Command{"HRANDFIELD", Manner::read, 1},
    Command{"HSCAN", Manner::read, 1},
    Command{"HSET", Manner::plain, 1},
    Command{"HSETNX", Manner::plain, 1},
    Command{"HSTRLEN", Manner::read, 1},
    Command{"HVALS", Manner::read, 1},
    Command{"INCR", Manner::plain, 1},
    Command{"INCRBY", Manner::plain, 1},
    Command{"INFO", Manner::read},
    Command{"KEYS", Manner::read},
    Command{"LINDEX", Manner::read, 1},
    Command{"LLEN", Manner::read, 1},
    Command{"LPOP", Manner::plain, 1},
    Command{"LPUSH", Manner::plain, 1},
    Command{"LRANGE", Manner::read, 1},
    Command{"LREM", Manner::plain, 1},
    Command{"LTRIM", Manner::plain, 1},
    Command{"MGET", Manner::read, 1},
    Command{"MONITOR", Manner::refused},
    Command{"MSET", Manner::plain, 1},
    Command{"MULTI", Manner::multi},
    Command{"PERSIST", Manner::plain, 1},
    Command{"PEXPIRE", Manner::plain, 1},
    Command{"PEXPIREAT", Manner::plain, 1},
    Command{"PEXPIRETIME", Manner::read, 1},
    Command{"PING", Manner::read},
    Command{"PSETEX", Manner::plain, 1},
    Command{"PSUBSCRIBE", Manner::refused},
    Command{"PSYNC", Manner::refused},
    Command{"PTTL", Manner::read, 1},
    Command{"PUNSUBSCRIBE", Manner::refused},
    Command{"QUIT", Manner::refused},
    Command{"RANDOMKEY", Manner::read},
    Command{"READONLY", Manner::refused},
    Command{"READWRITE", Manner::refused},
    Command{"REPLCONF", Manner::refused},
    Command{"RESET", Manner::refused},
    Command{"RPOP", Manner::plain, 1},
    Command{"RPUSH", Manner::plain, 1},
    Command{"SADD", Manner::plain, 1},
    Command{"SCAN", Manner::read},
    Command{"SCARD", Manner::read, 1},
    Command{"SELECT", Manner::refused},
    Command{"SET", Manner::plain, 1},
    Command{"SETEX", Manner::plain, 1},
    Command{"SETNX", Manner::plain, 1},
    Command{"SISMEMBER", Manner::read, 1},
    Command{"SMEMBERS", Manner::read, 1},
    Command{"SMISMEMBER", Manner::read, 1},
    Command{"SPOP", Manner::plain, 1},
    Command{"SREM", Manner::plain, 1},
    Command{"SSCAN", Manner::read, 1},
    Command{"SSUBSCRIBE", Manner::refused},
    Command{"STRLEN", Manner::read, 1},
    Command{"SUBSCRIBE", Manner::refused},
    Command{"SUNSUBSCRIBE", Manner::refused},
    Command{"SYNC", Manner::refused},
    Command{"TIME", Manner::read},
    Command{"TTL", Manner::read, 1},
    Command{"TYPE", Manner::read, 1},
    Command{"UNLINK", Manner::plain, 1},
    Command{"UNSUBSCRIBE", Manner::refused},
    Command{"UNWATCH", Manner::refused},
    Command{"WAIT", Manner::millis_last},
    Command{"WAITAOF", Manner::millis_last},
    Command{"WATCH", Manner::refused},
    Command{"XADD", Manner::plain, 1},
    Command{"XLEN", Manner::read, 1},
    Command{"XRANGE", Manner::read, 1},
    Command{"XREAD", Manner::block_option},
    Command{"XREADGROUP", Manner::block_option},
    Command{"XREVRANGE", Manner::read, 1},
    Command{"ZADD", Manner::plain, 1},
    Command{"ZCARD", Manner::read, 1},
    Command{"ZCOUNT", Manner::read, 1},
    Command{"ZINCRBY", Manner::plain, 1},
    Command{"ZMSCORE", Manner::read, 1},
    Command{"ZRANGE", Manner::read, 1},
    Command{"ZRANGEBYSCORE", Manner::read, 1},
    Command{"ZRANK", Manner::read, 1},
    Command{"ZREM", Manner::plain, 1},
    Command{"ZREVRANGE", Manner::read, 1},
    Command{"ZSCAN", Manner::read, 1},
    Command{"ZSCORE", Manner::read, 1},
};
static_assert(std::ranges::is_sorted(command_table, {}, &Command::name));

/// Letters of ASCII alone: no locale.
[[nodiscard]] constexpr char upper(char c) noexcept {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}
[[nodiscard]] inline bool same_word(std::string_view word, std::string_view upper_case) noexcept {
    return std::equal(word.begin(), word.end(), upper_case.begin(), upper_case.end(),
                      [](char a, char b) { return upper(a) == b; });
}

/// What is known of a command, in whatever case it is spelled.
[[nodiscard]] inline Command known(std::string_view name) noexcept {
    const auto* const found =
        std::lower_bound(command_table.begin(), command_table.end(), name,
                         [](const Command& command, std::string_view wanted) {
                             return std::lexicographical_compare(
                                 command.name.begin(), command.name.end(), wanted.begin(),
                                 wanted.end(), [](char a, char b) { return upper(a) < upper(b); });
                         });
    return found != command_table.end() && same_word(name, found->name) ? *found : Command{name};
}

/// Blocks as long as it likes.
inline constexpr std::chrono::milliseconds for_ever{(std::chrono::milliseconds::max)()};

/// How long two commands may block, one after the other.
[[nodiscard]] constexpr std::chrono::milliseconds block_both(
    std::chrono::milliseconds one, std::chrono::milliseconds other) noexcept {
    // A number of years that every clock can hold.
    constexpr std::chrono::milliseconds most = std::chrono::hours{24} * 366 * 10;
    return one == for_ever || other == for_ever || one + other > most ? for_ever : one + other;
}

/// How long a command may block: 0 if it does not.
[[nodiscard]] inline std::chrono::milliseconds blocks_for(
    Manner manner, std::span<const std::string_view> words) noexcept {
    const auto number = [&](std::size_t at, double unit) {
        // A double by hand: from_chars has none of them everywhere. What is spelled otherwise may be
        // of any length.
        double value = 0;
        double step = 0;
        for (const char c : at < words.size() ? words[at] : std::string_view{}) {
            if (c == '.' && step == 0) {
                step = 1;
            } else if (c >= '0' && c <= '9') {
                step /= 10;
                value = step > 0 ? value + (c - '0') * step : value * 10 + (c - '0');
            } else {
                return for_ever;
            }
        }
        // What is not a number the server refuses at once.
        constexpr double year = 366.0 * 24 * 3600 * 1000;
        return value <= 0 ? for_ever
                          : std::chrono::milliseconds{
                                static_cast<std::int64_t>((std::min)(value * unit, year) + 1)};
    };
    switch (manner) {
        case Manner::seconds_last: return number(words.size() - 1, 1000);
        case Manner::seconds_first: return number(1, 1000);
        case Manner::millis_last: return number(words.size() - 1, 1);
        case Manner::block_option:
            for (std::size_t i = 1; i < words.size() && !same_word(words[i], "STREAMS"); ++i) {
                if (same_word(words[i], "BLOCK")) {
                    return number(i + 1, 1);
                }
            }
            return std::chrono::milliseconds{0};
        default: return std::chrono::milliseconds{0};
    }
}

/// The next command of what hiredis has formatted: its first words, and where it ends.
struct Formatted {
    std::array<std::string_view, 4> words{};
    std::size_t end{0};
};
[[nodiscard]] inline Formatted formatted_at(std::string_view bytes, std::size_t begin) noexcept {
    Formatted command;
    std::size_t at = begin;
    const auto number = [&] {  // after its mark, up to the line's end
        const std::size_t end = bytes.find('\r', at);
        std::size_t value = 0;
        std::from_chars(bytes.data() + at + 1, bytes.data() + end, value);
        at = end + 2;
        return value;
    };
    const std::size_t count = number();
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t size = number();
        if (i < command.words.size()) {
            command.words[i] = bytes.substr(at, size);
        }
        at += size + 2;
    }
    command.end = at;
    return command;
}

/// "GET product:42": the name and the first key of a command, as an error may show them.
[[nodiscard]] inline std::string shown(const Formatted& command) {
    std::string text;
    const auto add = [&](std::string_view word) {
        for (const char c : word.substr(0, 80)) {
            text += c >= ' ' && c <= '~' ? c : '?';
        }
        text += word.size() > 80 ? "..." : "";
    };
    add(command.words[0]);
    const std::size_t key = known(command.words[0]).key;
    if (key > 0 && !command.words[key].empty() && (key < 3 || command.words[2] != "0")) {
        text += ' ';
        add(command.words[key]);
    }
    return text;
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_COMMAND_TABLE_HPP

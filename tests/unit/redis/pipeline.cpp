// SPDX-License-Identifier: MIT

// What a pipeline sends, what it refuses, and how a command is named in an error.

#include "support/catch.hpp"

#include <larder/redis/detail/client/blocking_time.hpp>
#include <larder/redis/detail/client/command_bytes.hpp>
#include <larder/redis/detail/client/command_table.hpp>
#include <larder/redis/pipeline.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using larder::redis::Pipeline;
using Access = larder::redis::detail::PipelineAccess;
namespace detail = larder::redis::detail;
using namespace std::chrono_literals;

namespace {

template <class... Words>
std::string shown(const Words&... words) {
    Pipeline pipeline;
    pipeline.command(words...);
    return detail::describe(detail::parse_command(Access::bytes(pipeline), 0));
}
template <class... Words>
std::chrono::milliseconds blocks(const Words&... words) {
    Pipeline pipeline;
    pipeline.command(words...);
    return Access::blocks(pipeline);
}
template <class... Words>
bool repeatable(const Words&... words) {
    Pipeline pipeline;
    pipeline.command(words...);
    return Access::repeatable(pipeline);
}

}  // namespace

TEST_CASE("words are texts and whole numbers", "[redis]") {
    Pipeline pipeline;
    const std::string text{"a\0b", 3};
    pipeline.command("SET", text, std::string_view{"v"}, -1, 2U,
                     (std::numeric_limits<std::int64_t>::min)(),
                     (std::numeric_limits<std::uint64_t>::max)());
    CHECK(Access::bytes(pipeline) == "*7\r\n$3\r\nSET\r\n$3\r\n" + text +
                                         "\r\n$1\r\nv\r\n$2\r\n-1\r\n$1\r\n2\r\n"
                                         "$20\r\n-9223372036854775808\r\n"
                                         "$20\r\n18446744073709551615\r\n");
    std::vector<std::string_view> many(1000, "x");
    Pipeline long_one;
    long_one.command(many);
    CHECK(long_one.size() == 1);
    CHECK(Access::bytes(long_one).size() == 7 + 1000 * 7);
    CHECK_THROWS_AS(long_one.command(std::span<const std::string_view>{}), std::invalid_argument);
    CHECK(long_one.size() == 1);
}

TEST_CASE("the table is found in any case, and only whole names are", "[redis]") {
    for (const detail::CommandSpec& command : detail::command_table) {
        std::string lower{command.name};
        for (char& c : lower) {
            c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        }
        CHECK(detail::lookup_command(lower).name == command.name);
        CHECK(detail::lookup_command(command.name).kind == command.kind);
    }
    CHECK(detail::lookup_command("GE").kind == detail::CommandKind::plain);
    CHECK(detail::lookup_command("GETT").kind == detail::CommandKind::plain);
    CHECK(detail::lookup_command("ZZZ").kind == detail::CommandKind::plain);
    CHECK(detail::lookup_command("").kind == detail::CommandKind::plain);
}

TEST_CASE("only reads are repeatable by themselves", "[redis]") {
    CHECK(repeatable("GET", "k"));
    CHECK(repeatable("pttl", "k"));
    CHECK_FALSE(repeatable("SET", "k", "v"));
    CHECK_FALSE(repeatable("NONESUCH", "k"));
    Pipeline mixed;
    mixed.command("GET", "k").command("INCR", "k").command("GET", "k");
    CHECK_FALSE(Access::repeatable(mixed));
    mixed.repeatable();
    CHECK(Access::repeatable(mixed));
    mixed.clear();
    mixed.command("INCR", "k");
    CHECK_FALSE(Access::repeatable(mixed));
}

TEST_CASE("how long a command may block", "[redis]") {
    CHECK(blocks("GET", "k") == 0ms);
    CHECK(blocks("BLPOP", "a", "b", 2) == 2001ms);
    CHECK(blocks("BLPOP", "a", "0.25") == 251ms);
    CHECK(blocks("brpop", "a", 0) == detail::for_ever);
    CHECK(blocks("BLMPOP", 3, 1, "a", "LEFT") == 3001ms);
    CHECK(blocks("WAIT", 1, 100) == 101ms);
    CHECK(blocks("WAIT", 1, 0) == detail::for_ever);
    CHECK(blocks("XREAD", "COUNT", 1, "BLOCK", 50, "STREAMS", "s", "$") == 51ms);
    CHECK(blocks("XREAD", "STREAMS", "BLOCK", "7") == 0ms);
    CHECK(blocks("BLPOP", "a", "1e300") == detail::for_ever);
    CHECK(blocks("BLPOP", "a", "1e2") == detail::for_ever);  // a hundred seconds, not twelve
    CHECK(blocks("BLPOP", "a", "0x10") == detail::for_ever);
    CHECK(blocks("BLPOP", "a", "-1") == detail::for_ever);  // which the server refuses at once
    CHECK(blocks("BLPOP") == detail::for_ever);             // which the server refuses at once
    CHECK(blocks("BLPOP", "a", "99999999999999999999999999") <= 24h * 366 + 1ms);
    Pipeline both;
    both.command("BLPOP", "a", 2).command("BLPOP", "b", 3);
    CHECK(Access::blocks(both) == 5002ms);
    both.command("BLPOP", "c", 0);
    CHECK(Access::blocks(both) == detail::for_ever);
    Pipeline years;
    for (int i = 0; i < 20; ++i) {
        years.command("BLPOP", "a", "99999999999");
    }
    CHECK(Access::blocks(years) == detail::for_ever);
    Pipeline within;
    within.command("MULTI").command("BLPOP", "a", 9).command("EXEC");
    CHECK(Access::blocks(within) == 0ms);
}

TEST_CASE("an error shows the name and the key, and no other word", "[redis]") {
    CHECK(shown("GET", "product:1") == "GET product:1");
    CHECK(shown("SET", "product:1", "secret") == "SET product:1");
    CHECK(shown("CONFIG", "SET", "requirepass", "secret") == "CONFIG");
    CHECK(shown("NONESUCH", "secret") == "NONESUCH");
    CHECK(shown("EVAL", "return 1", "0", "secret") == "EVAL");
    CHECK(shown("EVAL", "return 1", "1", "k", "secret") == "EVAL k");
    CHECK(shown("GET", std::string{"a\r\n\0b", 5}) == "GET a???b");
    CHECK(shown("GET") == "GET");
    CHECK(shown("GET", std::string(500, 'x')).size() < 100);
}

TEST_CASE("transactions are whole", "[redis]") {
    Pipeline pipeline;
    CHECK_THROWS_AS(pipeline.command("EXEC"), std::invalid_argument);
    CHECK_THROWS_AS(pipeline.command("DISCARD"), std::invalid_argument);
    pipeline.command("MULTI");
    CHECK(Access::in_multi(pipeline));
    CHECK_THROWS_AS(pipeline.command("MULTI"), std::invalid_argument);
    CHECK_THROWS_AS(pipeline.command("SUBSCRIBE", "c"), std::invalid_argument);
    CHECK(pipeline.size() == 1);
    pipeline.command("exec");
    CHECK_FALSE(Access::in_multi(pipeline));
}

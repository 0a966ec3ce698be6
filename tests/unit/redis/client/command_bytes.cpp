// SPDX-License-Identifier: MIT

// Commands as a server is sent them, and read back for errors.

#include "support/catch.hpp"

#include <larder/redis/detail/client/command_bytes.hpp>

#include <array>
#include <string>
#include <string_view>
#include <vector>

using namespace larder::redis::detail;

TEST_CASE("a command is its words, each with its size, wherever they stand", "[redis]") {
    std::string bytes;
    append_command(bytes, std::array<std::string_view, 2>{"SET", "k"},
                   std::vector<std::string>{std::string("\0\r\n", 3), ""});
    CHECK(bytes == std::string{"*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n"} + std::string("\0\r\n", 3) +
                       "\r\n$0\r\n\r\n");
    append_command(bytes, std::array<std::string_view, 1>{"PING"});
    const ParsedCommand first = parse_command(bytes, 0);
    CHECK(first.words[0] == "SET");
    CHECK(first.words[1] == "k");
    CHECK(first.words[2] == std::string_view("\0\r\n", 3));
    const ParsedCommand second = parse_command(bytes, first.end);
    CHECK(second.words[0] == "PING");
    CHECK(second.words[1].empty());
    CHECK(second.end == bytes.size());
}

TEST_CASE("a long word is sent whole", "[redis]") {
    const std::string word(100'000, 'x');
    std::string bytes;
    append_command(bytes, std::array<std::string_view, 2>{"ECHO", word});
    CHECK(bytes == "*2\r\n$4\r\nECHO\r\n$100000\r\n" + word + "\r\n");
}

TEST_CASE("an error shows the name and the first key of a command, and no more", "[redis]") {
    const auto described = [](const std::vector<std::string>& words) {
        std::string bytes;
        append_command(bytes, words);
        return describe(parse_command(bytes, 0));
    };
    CHECK(described({"GET", "product:42"}) == "GET product:42");
    CHECK(described({"AUTH", "user", "secret"}) == "AUTH");
    CHECK(described({"EVALSHA", "sha", "1", "key", "secret"}) == "EVALSHA key");
    CHECK(described({"EVALSHA", "sha", "0", "secret"}) == "EVALSHA");
    CHECK(described({"GET", "a\nb"}) == "GET a?b");
    CHECK(described({"GET", std::string(81, 'k')}) == "GET " + std::string(80, 'k') + "...");
}

TEST_CASE("a command is known by its whole name, in whatever case", "[redis]") {
    for (const CommandSpec& command : command_table) {
        CAPTURE(command.name);
        std::string lower{command.name};
        for (char& c : lower) {
            c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        }
        CHECK(lookup_command(lower).name == command.name);
        CHECK(lookup_command(command.name).kind == command.kind);
        CHECK(lookup_command(lower + '?').keys == KeyWords::unknown);
    }
    CHECK(lookup_command("").keys == KeyWords::unknown);
    CHECK(lookup_command("ZRANGEBY").keys == KeyWords::unknown);
    CHECK(lookup_command("\xff\xff").keys == KeyWords::unknown);
}

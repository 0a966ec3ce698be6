// SPDX-License-Identifier: MIT

// The program that lists, exports, revives and discards dead letters, over both durable journals.

#define main journal_tool_main  // NOLINT: it is called as the program would be
#include "../../../examples/journal_tool.cpp"
#undef main

#include "support/catch.hpp"
#include "support/fleet/folder.hpp"
#include "support/redis_server.hpp"

#include <larder/json.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using larder_test::Folder;
using larder_test::RedisServer;

namespace {

struct Ran {
    int status = -1;
    std::string out{};
    std::string err{};

    [[nodiscard]] std::vector<std::string> lines() const {
        std::vector<std::string> all;
        std::istringstream in{out};
        for (std::string line; std::getline(in, line);) {
            all.push_back(line);
        }
        return all;
    }
};

/// As `journal_tool WORDS…`.
Ran tool(std::vector<std::string> words) {
    words.insert(words.begin(), "journal_tool");
    std::vector<char*> argv;
    for (std::string& word : words) {
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    std::ostringstream out;
    std::ostringstream err;
    auto* const screen = std::cout.rdbuf(out.rdbuf());
    auto* const errors = std::cerr.rdbuf(err.rdbuf());
    const int status = journal_tool_main(static_cast<int>(words.size()), argv.data());
    std::cout.rdbuf(screen);
    std::cerr.rdbuf(errors);
    return {status, out.str(), err.str()};
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

/// Three dead letters, and one change that waits.
template <class J>
void bury_three(J journal) {
    journal.record({1, "one", 0});
    journal.record({2, std::nullopt, 0});
    journal.record({3, "\xff\xfe", 0});
    auto claims = journal.claim(10, 10s, 0ms);
    REQUIRE(claims.size() == 3);
    // Of several partitions they come in any order; letters are listed in the order of their burial.
    std::sort(claims.begin(), claims.end(),
              [](const auto& a, const auto& b) { return a.change.key < b.change.key; });
    for (const auto& claimed : claims) {
        REQUIRE(journal.bury(claimed, claimed.change.key == 1 ? "no \"room\"" : "refused"));
    }
    journal.record({4, "four", 0});
}

/// @param where  what the tool is told first
void works_on_dead_letters(const std::vector<std::string>& where) {
    const auto on = [&](std::vector<std::string> words) {
        words.insert(words.begin(), where.begin(), where.end());
        return tool(words);
    };
    const Ran status = on({"status"});
    CHECK(status.status == 0);
    CHECK(has(status.out, "1 pending, the oldest for "));
    CHECK(has(status.out, "3 dead letters\n"));

    const Ran list = on({"list"});
    CHECK(list.status == 0);
    REQUIRE(list.lines().size() == 3);
    CHECK(list.lines()[0].starts_with("1  put  1 attempt, the last at 20"));
    CHECK(list.lines()[0].ends_with("  no \"room\""));
    CHECK(list.lines()[1].starts_with("2  remove  1 attempt, "));

    const Ran exported = on({"export"});
    REQUIRE(exported.lines().size() == 3);
    const auto letter = [&](std::size_t i) { return nlohmann::json::parse(exported.lines()[i]); };
    CHECK(letter(0)["key"] == "1");
    CHECK(letter(0)["value"] == "one");
    CHECK(letter(0)["why"] == "no \"room\"");
    CHECK(letter(0)["attempts"] == 1);
    CHECK(letter(0)["version"].get<std::uint64_t>() > 0);
    CHECK(letter(0)["last"].get<std::string>().ends_with("Z"));
    CHECK_FALSE(letter(0).contains("removed"));
    CHECK(letter(1)["removed"] == true);
    CHECK_FALSE(letter(1).contains("value"));
    CHECK(letter(2)["value_base64"] == "//4=");

    const Ran revived = on({"revive", "1"});
    CHECK(revived.status == 0);
    CHECK(revived.out == "1 revived\n");
    CHECK(has(on({"status"}).out, "2 pending"));
    const Ran none = on({"revive", "1", "2"});
    CHECK(none.status == 1);
    CHECK(none.out == "1 revived\n");
    CHECK(has(none.err, "key 1 has no dead letter"));
    CHECK(on({"discard", "--all"}).out == "1 discarded\n");
    CHECK(on({"list"}).out.empty());
    CHECK(on({"discard", "--all"}).status == 0);
    CHECK(has(on({"status"}).out, "3 pending"));
}

using Raw = larder::RawCodec<std::string>;

}  // namespace

TEST_CASE("the journal tool says how it is called", "[tool]") {
    const Ran help = tool({"--help"});
    CHECK(help.status == 0);
    CHECK(help.out.starts_with("usage: journal_tool "));
    for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                  {"file"},
                                                  {"redis://127.0.0.1:1"},
                                                  {"redis://127.0.0.1:1", "n"},
                                                  {"file", "burn"},
                                                  {"file", "list", "1"},
                                                  {"file", "revive"},
                                                  {"file", "discard"}}) {
        const Ran ran = tool(words);
        CAPTURE(words);
        CHECK(ran.status == 2);
        CHECK(ran.out.empty());
        CHECK(has(ran.err, "usage: journal_tool "));
    }
}

TEST_CASE("the journal tool on a file", "[tool]") {
    const Folder folder;
    const std::string path = folder.path() / "orders.journal";
    SECTION("with dead letters") {
        bury_three(larder::SqliteJournal<int, std::string, Raw>{path});
        works_on_dead_letters({path});
        // They are in it as they were.
        larder::SqliteJournal<int, std::string, Raw> journal{path};
        CHECK(journal.pending(1)->value == "one");
        CHECK_FALSE(journal.pending(2)->value);
        CHECK_FALSE(journal.pending(3));
    }
    SECTION("with a key that is shown escaped") {
        const std::string key{"a\nb\0", 4};
        {
            larder::SqliteJournal<std::string, std::string, Raw> journal{path};
            journal.record({key, "1", 0});
            REQUIRE(journal.bury(journal.claim(1, 10s, 0ms).at(0), "refused"));
        }
        const Ran list = tool({path, "list"});
        CHECK(has(list.out, "a\\x0ab\\x00  put"));
        CHECK(tool({path, "revive", list.out.substr(0, list.out.find(' '))}).status == 0);
        CHECK(tool({path, "revive", "a"}).status == 1);
        const larder::SqliteJournal<std::string, std::string, Raw> journal{path};
        CHECK(journal.pending(key));
    }
    SECTION("that is not there, and is not made") {
        const Ran ran = tool({path, "list"});
        CHECK(ran.status == 1);
        CHECK(has(ran.err, "there is no journal in " + path));
        CHECK_FALSE(std::filesystem::exists(path));
    }
}

TEST_CASE("the journal tool on a server", "[tool]") {
    const RedisServer server;
    SECTION("with dead letters") {
        const bool schema = GENERATE(false, true);
        larder::redis::Client client{server.unix_url()};
        larder::RedisJournalOptions options;
        larder::RedisStoreOptions of_store;
        options.schema = of_store.schema = schema ? 3 : 0;
        options.partitions = of_store.partitions = GENERATE(0U, 8U);
        bury_three(larder::RedisJournal<int, std::string, Raw>{client, "orders", options});
        larder::RedisStore<int, std::string, Raw> copies{client, "orders", of_store};
        copies.put(1, "old", {1h});
        works_on_dead_letters({server.unix_url(), schema ? "orders@3" : "orders"});
        CHECK_FALSE(copies.find(1));  // a copy of before its letter was revived
    }
    SECTION("that does not answer") {
        const std::string url = server.unix_url() + ".not";
        const Ran ran = tool({url, "orders", "list"});
        CHECK(ran.status == 1);
        CHECK(has(ran.err, "journal_tool: "));
        CHECK(has(ran.err, "redis.sock.not"));
    }
}

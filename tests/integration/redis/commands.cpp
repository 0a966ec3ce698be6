// SPDX-License-Identifier: MIT

// What is sent to a server: which commands, in which order, naming which keys.

#include "support/catch.hpp"
#include "support/redis_front.hpp"
#include "support/redis_server.hpp"
#include "support/table.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Tagged;
using larder::WriteThrough;
using larder_test::RedisFront;
using larder_test::RedisServer;
using Command = std::vector<std::string>;

namespace {

// A store whose commands are written down on their way.
class Overheard {
public:
    Overheard()
        : front_{server_,
                 [this](std::size_t link, RedisFront::Way way, std::string& bytes) {
                     if (way == RedisFront::Way::request) {
                         const std::scoped_lock lock{mutex_};
                         take_in(unread_[link] += bytes);
                     }
                     return RedisFront::Fate::pass;
                 }},
          client_{larder::redis::ClientOptions{.path = front_.path()}},
          store{client_, "n"} {}

    /// What `f` sends.
    template <class F>
    std::vector<Command> during(F&& f) {
        {
            const std::scoped_lock lock{mutex_};
            commands_.clear();
        }
        f();
        const std::scoped_lock lock{mutex_};
        return commands_;
    }

private:
    // Whole commands, as arrays of texts: *2 $3 GET $3 n:1.
    void take_in(std::string& bytes) {
        for (std::size_t at = 0;;) {
            Command command;
            const std::optional<std::size_t> words = number(bytes, at, '*');
            for (std::size_t i = 0; words && i < *words; ++i) {
                const std::optional<std::size_t> size = number(bytes, at, '$');
                if (!size || bytes.size() < at + *size + 2) {
                    return;
                }
                command.push_back(bytes.substr(at, *size));
                at += *size + 2;
            }
            if (!words) {
                return;
            }
            commands_.push_back(std::move(command));
            bytes.erase(0, at);
            at = 0;
        }
    }
    static std::optional<std::size_t> number(const std::string& bytes, std::size_t& at, char kind) {
        const std::size_t end = bytes.find("\r\n", at);
        if (end == std::string::npos) {
            return std::nullopt;
        }
        if (bytes[at] != kind) {
            throw std::logic_error{"no command: " + bytes.substr(at, end - at)};
        }
        const std::size_t value = std::stoul(bytes.substr(at + 1, end - at - 1));
        at = end + 2;
        return value;
    }

    RedisServer server_{};
    std::mutex mutex_{};
    std::map<std::size_t, std::string> unread_{};
    std::vector<Command> commands_{};
    RedisFront front_;
    larder::redis::Client client_;

public:
    larder::RedisStore<int, int> store;
};

std::vector<std::string> names(const std::vector<Command>& commands) {
    std::vector<std::string> all;
    for (const Command& command : commands) {
        all.push_back(command.front() == "EVALSHA" || command.front() == "EVAL"
                          ? "script"
                          : command.front() + ' ' + (command.size() > 1 ? command[1] : ""));
    }
    return all;
}

std::size_t most_keys_of_a_script(const std::vector<Command>& commands) {
    std::size_t most = 0;
    for (const Command& command : commands) {
        if (command.front() == "EVALSHA" || command.front() == "EVAL") {
            most = (std::max)(most, std::size_t{std::stoul(command.at(2))});
        }
    }
    return most;
}

}  // namespace

// Rule R2.
TEST_CASE("a hit is one plain read, and time is read before the value", "[redis][commands]") {
    Overheard w;
    CacheAside cache{w.store, [](int key) { return key; }, {.ttl = 1h}};
    (void)cache.get(1);
    using Names = std::vector<std::string>;
    CHECK(names(w.during([&] { (void)cache.get(1); })) == Names{"GET n:1"});
    CHECK(names(w.during([&] { (void)cache.fetch(1); })) == Names{"PTTL n:1", "GET n:1"});
    CHECK(names(w.during([&] { (void)w.store.find(1); })) == Names{"PTTL n:1", "GET n:1"});
}

// Rule R3.
TEST_CASE("what needs no tag and no lease beside a value is a script over one key",
          "[redis][commands]") {
    Overheard w;
    larder_test::Table<int, int> rows;
    rows.set(1, 10);
    WriteThrough cache{w.store, std::ref(rows), {.ttl = 1h}};
    const auto scripts = w.during([&] {
        (void)cache.get(1);
        cache.invalidate(1);
        CHECK_THROWS_AS(
            cache.get(9, [](int) -> std::optional<int> { throw std::runtime_error{""}; }),
            std::runtime_error);
        cache.put(1, 11);
        cache.remove(1);
        cache.put_many({{1, 1}, {2, 2}});
        (void)cache.get_many({1, 2, 3});
        cache.invalidate_many({1, 2, 3});
    });
    CHECK(most_keys_of_a_script(scripts) == 1);

    // A tagged fill names the clock and its tags, too: the count counts.
    Tagged tagged{CacheAside{w.store, std::ref(rows), {.ttl = 1h}},
                  [](int) { return larder::Tags{"a"}; }};
    CHECK(most_keys_of_a_script(w.during([&] { (void)tagged.get(1); })) > 1);
}

// Rule R3.
TEST_CASE("the clock is read once, ahead of all that it dates", "[redis][commands]") {
    Overheard w;
    larder_test::Table<int, int> rows;
    for (int key = 1; key < 9; ++key) {
        rows.set(key, key);
    }
    const auto of_row = [](int) { return larder::Tags{"a"}; };
    Tagged tagged{WriteThrough{w.store, std::ref(rows), {.ttl = 1h, .grace = 1h}}, of_row};
    (void)tagged.get(8);
    tagged.put(8, 1);
    (void)tagged.refresh(8);  // scripts and clock are there
    const std::string clock = "GET ~clock:n";
    using Names = std::vector<std::string>;
    CHECK(names(w.during([&] { (void)tagged.get(1); })) ==
          Names{"PTTL n:1", "GET n:1", clock, "SET n:1", "script"});
    CHECK(names(w.during([&] {
              (void)tagged.get_many({2, 3});
          })) == Names{"PTTL n:2", "GET n:2", "PTTL n:3", "GET n:3", clock, "SET n:2", "SET n:3",
                       "script", "script"});
    CHECK(names(w.during([&] { (void)tagged.refresh(1); })) == Names{clock, "script", "script"});
    CHECK(names(w.during([&] { tagged.put(1, 2); })) == Names{clock, "script", "script"});
    CHECK(names(w.during([&] {
              tagged.put_many({{1, 3}, {2, 3}});
          })) == Names{clock, "script", "script", "script", "script"});
}

// Rule T4.
TEST_CASE("a hit with tags reads the slot first, and its tags second", "[redis][commands]") {
    Overheard w;
    Tagged tagged{CacheAside{w.store, [](int key) { return key; }, {.ttl = 1h}}, [](int) {
                      return larder::Tags{"a", "b"};
                  }};
    (void)tagged.get(1);
    const auto sent = w.during([&] { CHECK(tagged.fetch(1).source == larder::Source::hit); });
    REQUIRE(sent.size() == 3);
    CHECK(sent[1] == Command{"GET", "n:1"});
    CHECK(sent[2].front() == "MGET");
    CHECK(std::count(sent[2].begin(), sent[2].end(), "~tag:n:a") == 1);
}

// SPDX-License-Identifier: MIT

// A connection that is told of changes, against servers that answer as badly as can be. Has threads:
// std::thread.

#include "support/catch.hpp"
#include "support/fake_server.hpp"

#include <larder/entry.hpp>
#include <larder/redis/detail/client/connection.hpp>
#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/tracking/noted_descriptors.hpp>
#include <larder/redis/detail/tracking/tracked_names.hpp>
#include <larder/redis/detail/tracking/tracking_link.hpp>
#include <larder/redis/detail/tracking/tracking_message.hpp>
#include <larder/redis/options.hpp>
#include <larder/stats.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace std::chrono_literals;
using larder::NearMode;
using larder::redis::ClientOptions;
using larder::redis::detail::Connection;
using larder::redis::detail::ConnectionFailure;
using larder::redis::detail::NotedDescriptors;
using larder::redis::detail::TrackedNames;
using larder::redis::detail::TrackingLink;
using larder::redis::detail::TrackingMessage;
using larder::redis::detail::TrackingRefused;
using larder_test::FakeServer;

namespace {

using Clock = std::chrono::steady_clock;
using Words = std::vector<std::string>;

std::string bulk(std::string_view text) {
    return '$' + std::to_string(text.size()) + "\r\n" + std::string{text} + "\r\n";
}
std::string array(const Words& parts) {
    std::string all = '*' + std::to_string(parts.size()) + "\r\n";
    for (const std::string& part : parts) {
        all += part;
    }
    return all;
}
std::string message(const std::string& keys, std::string_view channel = "__redis__:invalidate") {
    return array({bulk("message"), bulk(channel), keys});
}
/// Of a store, about one key.
std::string published(std::string_view key) {
    return message(bulk(key), "~changes:product");
}
std::string change_of(const Words& keys) {
    Words all;
    for (const std::string& key : keys) {
        all.push_back(bulk(key));
    }
    return message(array(all));
}

/// Answers as a server does, but for some commands; then says more.
struct Script {
    std::map<std::string, std::string>
        instead{};                // of the answer to a command; "mute": no word of the probe
    std::string then{};           // before the second answer to PING
    std::size_t step = 1 << 20U;  // bytes at a time
    std::string node{};           // of a cluster: its ranges
};

/// What one connection has published, for another.
class Board {
public:
    void put(std::string text) {
        const std::scoped_lock lock{mutex_};
        text_ = std::move(text);
    }
    [[nodiscard]] std::string take() {
        const std::scoped_lock lock{mutex_};
        return std::exchange(text_, {});
    }

private:
    std::mutex mutex_{};
    std::string text_{};
};

/// A connection of a server that tracks.
class Tracking {
public:
    Tracking(const FakeServer::Peer& peer, const Script& script, Board& board)
        : peer_{peer}, script_{script}, board_{board} {}

    void serve() {
        for (std::string bytes = peer_.read(); !bytes.empty(); bytes = peer_.read()) {
            waiting_ += bytes;
            for (Words command; take(command);) {
                answer(command);
            }
        }
    }

private:
    bool take(Words& command) {
        std::size_t at = 0;
        const auto number = [&]() -> std::optional<std::size_t> {
            const auto end = waiting_.find("\r\n", at);
            if (end == std::string::npos) {
                return std::nullopt;
            }
            const std::size_t value = std::stoul(waiting_.substr(at + 1, end - at - 1));
            at = end + 2;
            return value;
        };
        command.clear();
        const auto count = number();
        for (std::size_t i = 0; count && i < *count; ++i) {
            const auto size = number();
            if (!size || waiting_.size() < at + *size + 2) {
                return false;
            }
            command.push_back(waiting_.substr(at, *size));
            at += *size + 2;
        }
        if (count) {
            waiting_.erase(0, at);
        }
        return count.has_value();
    }

    void answer(const Words& command) {
        std::string name = command[0];
        if (name == "CLIENT" || name == "CLUSTER") {
            name += ' ' + command[1];
        }
        if (name == "CLIENT TRACKING") {
            probe_ = command.back();
        }
        in_multi_ = in_multi_ && name != "EXEC";
        if (const auto other = script_.instead.find(name); other != script_.instead.end()) {
            say(other->second);
            return;
        }
        if (name == "CLIENT ID") {
            say(":7\r\n");
        } else if (name == "CLIENT TRACKINGINFO") {
            say(array({bulk("flags"), array({bulk("on"), bulk("bcast")}), bulk("redirect"),
                       ":7\r\n", bulk("prefixes"), array({})}));
        } else if (name == "CLUSTER MYID") {
            say(bulk("me"));
        } else if (name == "CLUSTER SLOTS") {
            say(script_.node);
        } else if (name == "SET" || name == "DEL") {
            say("+QUEUED\r\n");
        } else if (name == "SUBSCRIBE") {
            const std::string subscribed = array({bulk("subscribe"), bulk(command[1]), ":1\r\n"});
            say(in_multi_ ? "+QUEUED\r\n" : subscribed);
        } else if (name == "MULTI") {
            in_multi_ = true;
            say("+OK\r\n");
        } else if (name == "EXEC") {
            say(array({"+OK\r\n", ":1\r\n",
                       array({bulk("subscribe"), bulk("__redis__:invalidate"), ":1\r\n"})}));
            if (!script_.instead.contains("mute")) {
                say(change_of({"product:before", probe_}));
            }
        } else if (name == "PUBLISH") {
            board_.put(command[2]);
            say(":1\r\n");
        } else if (name == "PING") {
            const std::string text = board_.take();
            if (!text.empty() && !script_.instead.contains("mute")) {
                say(published(text));
            }
            if (++pings_ == 2) {
                say(script_.then);
            }
            say(array({bulk("pong"), bulk(command[1])}));
        } else {
            say("+OK\r\n");
        }
    }

    void say(std::string_view bytes) const {
        static_cast<void>(script_.step > bytes.size() ? peer_.write(bytes)
                                                      : peer_.drip(bytes, 0ms, script_.step));
    }

    const FakeServer::Peer& peer_;
    const Script& script_;
    Board& board_;
    std::string waiting_{};
    std::string probe_{};
    bool in_multi_ = false;
    int pings_ = 0;
};

/// A server that goes by a script, and a link to it.
struct Linked {
    explicit Linked(Script of, bool clustered = false, larder::Ttl limit = 5s,
                    NearMode way = NearMode::tracking)
        : script{std::move(of)} {
        options.port = server.port();
        link.emplace(options, nullptr, names, clustered, Connection::Greet::nothing, way,
                     Clock::now() + limit);
    }

    /// What is told until so many words were; `failed` if it ends before.
    Words told(std::size_t most) {
        Words words;
        try {
            link->ask_for_life(Clock::now());
            while (words.size() < most) {
                const bool came = link->receive([&](const TrackingMessage& one) {
                    if (one.kind == TrackingMessage::Kind::everything) {
                        words.emplace_back("everything");
                    }
                    one.each_key([&](std::string_view key) { words.emplace_back(key); });
                });
                if (!came) {
                    pollfd polled{link->descriptor(), POLLIN, 0};
                    REQUIRE(::poll(&polled, 1, 5000) == 1);
                }
            }
        } catch (const ConnectionFailure&) {
            words.emplace_back("failed");
        }
        return words;
    }

    Script script;
    TrackedNames names{"product:", false};
    ClientOptions options{};
    Board board{};
    FakeServer server{[this](const FakeServer::Peer& peer) {
        Tracking{peer, script, board}.serve();
    }};
    std::optional<TrackingLink> link{};
};

}  // namespace

TEST_CASE("a link tells of keys and of everything, and of what it has been told by when",
          "[redis]") {
    Words many;
    for (int i = 0; i < 100'000; ++i) {
        many.push_back("product:" + std::to_string(i));
    }
    Script script;
    script.then = change_of({"product:1"}) + change_of({"product:2", "~tag:product:red"}) +
                  message("$-1\r\n") + message("*-1\r\n") + change_of({}) + change_of(many);
    Linked linked{script};
    const auto before = Clock::now();
    CHECK_FALSE(linked.link->is_due());
    CHECK(linked.link->confirmed() < before);
    const Words words = linked.told(5 + many.size());
    REQUIRE(words.size() == 5 + many.size());
    CHECK(Words(words.begin(), words.begin() + 5) ==
          Words{"product:1", "product:2", "~tag:product:red", "everything", "everything"});
    CHECK(words.back() == many.back());
    const auto asked = linked.link->asked();
    CHECK(asked > before);
    while (linked.link->is_due()) {
        CHECK(linked.link->confirmed() < before);
        static_cast<void>(linked.link->receive([](const TrackingMessage&) {}));
    }
    CHECK(linked.link->confirmed() == asked);
}

TEST_CASE("how the bytes of a server are cut is nothing to a link", "[redis]") {
    for (const std::size_t step : {1U, 2U, 3U, 7U}) {
        Script script;
        script.step = step;
        script.then = change_of({"product:1", "product:2"}) + message("$-1\r\n");
        Linked linked{script};
        CHECK(linked.told(3) == Words{"product:1", "product:2", "everything"});
    }
}

TEST_CASE("what makes no sense ends a link", "[redis]") {
    const auto last = GENERATE(
        as<std::string>{}, "+OK\r\n", ":1\r\n", "$-1\r\n", "*0\r\n", "-ERR what\r\n", "!!!\r\n",
        "*2\r\n$4\r\npong\r\n$1\r\nx\r\n", "*3\r\n$7\r\nmessage\r\n$5\r\nother\r\n$1\r\nx\r\n",
        "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n:1\r\n",
        "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$1\r\nx\r\n",
        "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n:1\r\n",
        "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$-1\r\n",
        "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*9999999\r\n",
        "*3\r\n$11\r\nunsubscribe\r\n$20\r\n__redis__:invalidate\r\n:0\r\n",
        "*4\r\n$8\r\npmessage\r\n$1\r\nx\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n");
    CAPTURE(last);
    Script script;
    script.then = change_of({"product:1"}) + last;
    Linked linked{script};
    CHECK(linked.told(2) == Words{"product:1", "failed"});
}

TEST_CASE("a link of a channel tells of one key at a time, and of nothing else", "[redis]") {
    const auto told = [](const std::string& then) {
        Linked linked{{.then = published("product:1") + published("~tag:product:red") + then},
                      false,
                      5s,
                      NearMode::channel};
        return linked.told(3);
    };
    CHECK(told(published("")) == Words{"product:1", "~tag:product:red", ""});
    for (const std::string& what :
         {change_of({"product:1"}), message("$-1\r\n"), message(":1\r\n", "~changes:product"),
          message(bulk("product:1"), "~changes:other")}) {
        CHECK(told(what) == Words{"product:1", "~tag:product:red", "failed"});
    }
}

TEST_CASE("half a message is none, and the end of a connection ends a link", "[redis]") {
    const std::string whole = change_of({"product:1", "product:2"});
    for (const std::size_t size : {std::size_t{1}, whole.size() / 2, whole.size() - 1}) {
        const FakeServer server{[&](const FakeServer::Peer& peer) {
            static_cast<void>(peer.read());
            static_cast<void>(peer.write(whole.substr(0, size)));
        }};
        ClientOptions options;
        options.port = server.port();
        Connection connection{options, nullptr, 0, Clock::now() + 5s, Connection::Greet::nothing};
        std::size_t sent = 0;
        std::size_t none = 0;
        larder::redis::detail::ReplyDeadline deadline{Clock::now() + 5s, {}};
        static_cast<void>(connection.send("x", sent, none, deadline, [](auto&&) {}));
        std::size_t replies = 0;
        const auto take_all = [&] {
            for (;;) {
                connection.take([&](auto&&) { ++replies; });
                static_cast<void>(connection.wait(Clock::now() + 5s));
            }
        };
        CHECK_THROWS_AS(take_all(), ConnectionFailure);
        CHECK(replies == 0);
    }
}

TEST_CASE("a server that does not track, or may not, is told from one that fails", "[redis]") {
    const auto outcome = [](const Script& script, bool clustered = false,
                            NearMode way = NearMode::tracking) -> std::string {
        try {
            const Linked linked{script, clustered, 5s, way};
            return "works";
        } catch (const TrackingRefused&) {
            return "refused";
        } catch (const ConnectionFailure&) {
            return "failed";
        }
    };
    const std::string no = "-NOPERM no\r\n";
    CHECK(outcome({}) == "works");
    CHECK(outcome({.instead = {{"CLIENT ID", "-ERR unknown subcommand\r\n"}}}) == "refused");
    CHECK(outcome({.instead = {{"CLIENT ID", "-LOADING wait\r\n"}}}) == "failed");
    CHECK(outcome({.instead = {{"CLIENT ID", "-ERR max number of clients reached\r\n"}}}) ==
          "failed");
    CHECK(outcome({.instead = {{"CLIENT ID", "-NOAUTH who\r\n"}}}) == "failed");
    CHECK(outcome({.instead = {{"CLIENT ID", "+OK\r\n"}}}) == "refused");
    CHECK(outcome({.instead = {{"CLIENT TRACKING", "-ERR Prefix overlaps\r\n"}}}) == "refused");
    CHECK(outcome({.instead = {{"CLIENT TRACKING",
                                "-ERR The client ID you want redirect to does "
                                "not exist\r\n"}}}) == "refused");
    CHECK(outcome({.instead = {{"PING", no}}}) == "refused");
    // It says that it works, and does not.
    CHECK(outcome({.instead = {{"mute", ""}}}) == "refused");
    CHECK(outcome({.instead = {{"mute", ""}, {"CLIENT TRACKINGINFO", no}}}) == "refused");
    // It is not allowed to try: what the server says of itself must do.
    CHECK(outcome({.instead = {{"MULTI", no}}}) == "works");
    CHECK(outcome({.instead = {{"MULTI", no}, {"CLIENT TRACKINGINFO", "-ERR unknown\r\n"}}}) ==
          "refused");
    CHECK(outcome({.instead = {{"SET", no}, {"EXEC", "-EXECABORT no\r\n"}}}) == "works");
    CHECK(outcome({.instead = {{"SET", "-READONLY no\r\n"}, {"EXEC", "-EXECABORT no\r\n"}}}) ==
          "failed");
    CHECK(outcome({.instead = {{"CLIENT TRACKINGINFO", "-ERR unknown\r\n"}}}) == "works");
    // A node of a cluster changes a key of its own slots.
    const auto owner = [](const std::string& id) {
        return array({array({":0\r\n", ":1000\r\n", array({bulk("h"), ":1\r\n", bulk("other")})}),
                      array({":1001\r\n", ":16383\r\n", array({bulk("h"), ":1\r\n", bulk(id)})})});
    };
    CHECK(outcome({.node = owner("me")}, true) == "works");
    CHECK(outcome({.node = owner("another")}, true) == "works");
    CHECK(outcome({.instead = {{"mute", ""}}, .node = owner("me")}, true) == "refused");
    CHECK(outcome({.instead = {{"CLIENT TRACKINGINFO", "-ERR unknown\r\n"}}, .node = owner("x")},
                  true) == "refused");
    // Stores tell.
    const auto channel = [&](const std::map<std::string, std::string>& instead) {
        return outcome({.instead = instead}, false, NearMode::channel);
    };
    CHECK(channel({{"CLIENT ID", no}, {"CLIENT TRACKING", no}, {"MULTI", no}}) == "works");
    CHECK(channel({{"SUBSCRIBE", no}}) == "refused");
    CHECK(channel({{"PUBLISH", no}}) == "refused");
    CHECK(channel({{"PING", no}}) == "refused");
    CHECK(channel({{"mute", ""}}) == "refused");
    CHECK(channel({{"PUBLISH", "-LOADING wait\r\n"}}) == "failed");
    CHECK(channel({{"SUBSCRIBE", "-LOADING wait\r\n"}}) == "failed");
}

TEST_CASE("a server that does not answer has its time and no more", "[redis]") {
    for (const std::string command : {"CLIENT ID", "CLIENT TRACKING", "MULTI", "EXEC", "PING"}) {
        Script script;
        script.instead[command] = "";
        const auto begin = Clock::now();
        CHECK_THROWS_AS((Linked{script, false, 50ms}), ConnectionFailure);
        CHECK(Clock::now() - begin < 5s);
    }
    for (const std::string command : {"SUBSCRIBE", "PUBLISH", "PING"}) {
        Script script;
        script.instead[command] = "";
        CHECK_THROWS_AS((Linked{script, false, 50ms, NearMode::channel}), ConnectionFailure);
    }
}

TEST_CASE("the names of keys say what they are", "[redis]") {
    const auto tell = [](const TrackedNames& names, std::string_view name) {
        std::string said = "nothing";
        names.tell(
            name, [&](std::string_view key) { said = "key " + std::string{key}; },
            [&](std::string_view tag) { said = "tag " + std::string{tag}; });
        return said;
    };
    const TrackedNames plain{"product@3:", false};
    CHECK(tell(plain, "product@3:42") == "key 42");
    CHECK(tell(plain, "product@3:") == "key ");
    CHECK(tell(plain, "product@3:{1}:42") == "key {1}:42");
    CHECK(tell(plain, "~tag:product@3:red:blue") == "tag red:blue");
    for (const auto* const other : {"", "product:42", "product@3", "~refresh:product@3:42",
                                    "~near:product@3:1", "~clock:product@3"}) {
        CHECK(tell(plain, other) == "nothing");
    }
    const TrackedNames parts{"product:", true};
    CHECK(tell(parts, "product:{17}:42") == "key 42");
    CHECK(tell(parts, "product:{17}:{1}:42") == "key {1}:42");
    CHECK(tell(parts, "~tag:product:{17}:red") == "tag red");
    CHECK(tell(parts, "product:42") == "nothing");
    CHECK(tell(parts, "product:{17") == "nothing");
}

// A daemon closes all that is open, and opens its own.
TEST_CASE("what a child has opened under the number of a noted socket stays open", "[tracking]") {
    const auto is_open = [](int descriptor) { return ::fcntl(descriptor, F_GETFD) >= 0; };
    std::array<int, 2> pair{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0);
    NotedDescriptors notes;
    notes.add(pair[0]);
    SECTION("a file") {
        const int file = ::open("/dev/null", O_RDONLY);
        REQUIRE(::dup2(file, pair[0]) == pair[0]);
        ::close(file);
        notes.close_all();
        CHECK(is_open(pair[0]));
        ::close(pair[0]);
    }
    SECTION("another socket") {
        REQUIRE(::dup2(pair[1], pair[0]) == pair[0]);
        notes.close_all();
        CHECK(is_open(pair[0]));
        ::close(pair[0]);
    }
    SECTION("not so the socket itself, unless it is noted no more") {
        const bool noted = GENERATE(true, false);
        if (!noted) {
            notes.remove(pair[0]);
        }
        notes.close_all();
        CHECK(is_open(pair[0]) != noted);
        if (!noted) {
            ::close(pair[0]);
        }
    }
    ::close(pair[1]);
}

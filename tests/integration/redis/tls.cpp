// SPDX-License-Identifier: MIT

// Connections over TLS: what goes through them, who is believed, and that no deadline is lost.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/certificates.hpp"
#include "support/child.hpp"
#include "support/fake_server.hpp"
#include "support/near_ear.hpp"
#include "support/redis_server.hpp"

#include <larder/larder.hpp>
#include <larder/redis.hpp>
#include <larder/tls.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

using larder::redis::Client;
using larder::redis::ClientOptions;
using larder::redis::ConnectError;
using larder::redis::NoReply;
using larder::redis::Pipeline;
using larder::redis::TimeoutError;
using larder::redis::detail::ClientInHand;
using larder_test::caught_text;
using larder_test::Certificates;
using larder_test::FakeServer;
using larder_test::NearEar;
using larder_test::RedisServer;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

namespace {

// A server that speaks TLS on the port after that of its plain one.
class TlsServer {
public:
    explicit TlsServer(const Certificates& certificates, const std::string& of = "server",
                       const std::string& clients = "no", const std::vector<std::string>& more = {})
        : ca_{certificates.ca()},
          port_{free_port()},
          server_{joined({"--tls-port", std::to_string(port_), "--tls-cert-file",
                          certificates.certificate(of), "--tls-key-file", certificates.key(of),
                          "--tls-ca-cert-file", ca_, "--tls-auth-clients", clients},
                         more)} {}

    [[nodiscard]] ClientOptions options() const {
        ClientOptions options;
        options.port = port_;
        options.connect_timeout = 10s;
        options.command_timeout = 10s;
        options.breaker = 1ms;
        options.max_breaker = 1ms;
        options.tls.on = true;
        options.tls.ca = ca_;
        return options;
    }
    [[nodiscard]] std::string url() const {
        return "rediss://127.0.0.1:" + std::to_string(port_) + "?ca=" + ca_;
    }
    RedisServer& operator*() noexcept { return server_; }
    RedisServer* operator->() noexcept { return &server_; }

private:
    static std::vector<std::string> joined(std::vector<std::string> words,
                                           const std::vector<std::string>& more) {
        words.insert(words.end(), more.begin(), more.end());
        return words;
    }
    static std::uint16_t free_port() {
        const FakeServer probe{[](const FakeServer::Peer&) {}};
        return probe.port();
    }

    std::string ca_;
    std::uint16_t port_;
    RedisServer server_;
};

struct World {
    World() { certificates.make("server"); }
    Certificates certificates{};
};

// Why a client with these options gets no answer.
std::string refusal(const ClientOptions& options) {
    const Client client{options};
    CHECK_THROWS_AS(client.command("GET", "a"), ConnectError);
    CHECK(client.in_hand() == ClientInHand{});
    return caught_text([&] { (void)Client{options}.command("GET", "a"); });
}

// What a FakeServer says over TLS.
class TlsPeer {
    template <class T>
    using Ptr = larder::redis::detail::OpensslPtr<T>;

public:
    TlsPeer(const FakeServer::Peer& peer, const Certificates& certificates)
        : peer_{peer}, context_{::SSL_CTX_new(::TLS_server_method())} {
        ::SSL_CTX_use_certificate_file(context_.get(), certificates.certificate("server").c_str(),
                                       SSL_FILETYPE_PEM);
        ::SSL_CTX_use_PrivateKey_file(context_.get(), certificates.key("server").c_str(),
                                      SSL_FILETYPE_PEM);
        session_.reset(::SSL_new(context_.get()));
        ::SSL_set_bio(session_.get(), ::BIO_new(::BIO_s_mem()), ::BIO_new(::BIO_s_mem()));
        ::SSL_set_accept_state(session_.get());
        while (::SSL_do_handshake(session_.get()) != 1 && exchange()) {}
        send_all();
    }

    // What came next; empty: it has gone.
    std::string read() {
        std::string bytes(64 * 1024, '\0');
        std::size_t got = 0;
        while (::SSL_read_ex(session_.get(), bytes.data(), bytes.size(), &got) != 1) {
            if (!exchange()) {
                return {};
            }
        }
        bytes.resize(got);
        return bytes;
    }

    // The name that the client says it asks for; empty: none.
    [[nodiscard]] std::string asked_for() const {
        const char* const name = ::SSL_get_servername(session_.get(), TLSEXT_NAMETYPE_host_name);
        return name != nullptr ? name : "";
    }

    // A record of its own, sent with the next `send_all`.
    void add(const std::string& text) {
        std::size_t sent = 0;
        CHECK(::SSL_write_ex(session_.get(), text.data(), text.size(), &sent) == 1);
    }
    // What is no data, likewise.
    void add_key_update() {
        CHECK(::SSL_key_update(session_.get(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
        CHECK(::SSL_do_handshake(session_.get()) == 1);
    }
    void send_all() {
        std::string bytes(::BIO_ctrl_pending(::SSL_get_wbio(session_.get())), '\0');
        if (!bytes.empty()) {
            (void)::BIO_read(::SSL_get_wbio(session_.get()), bytes.data(),
                             static_cast<int>(bytes.size()));
            (void)peer_.write(bytes);
        }
    }

private:
    bool exchange() {
        send_all();
        const std::string bytes = peer_.read();
        return ::BIO_write(::SSL_get_rbio(session_.get()), bytes.data(),
                           static_cast<int>(bytes.size())) > 0;
    }

    const FakeServer::Peer& peer_;
    Ptr<SSL_CTX> context_;
    Ptr<SSL> session_{};
};

bool has(const std::string& text, const std::string& part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("bytes of every size go both ways, encrypted", "[tls]") {
    World w;
    TlsServer server{w.certificates};
    const Client client{server.url()};
    for (const std::size_t size :
         {0UL, 1UL, 100UL, 16'383UL, 16'384UL, 16'385UL, 65'536UL, 1'000'000UL, 5'000'000UL}) {
        CAPTURE(size);
        std::string value(size, 'x');
        for (std::size_t i = 0; i < size; i += 97) {
            value[i] = static_cast<char>('a' + i % 26);
        }
        CHECK(client.command("SET", "key", value).text() == "OK");
        CHECK(client.command("GET", "key").text() == value);
    }
    // Both directions full at once: whoever only writes would wait for ever.
    Pipeline both;
    const std::string large(50'000, 'y');
    for (int i = 0; i < 400; ++i) {
        both.command("ECHO", large);
    }
    for (const auto& reply : client.run(both)) {
        CHECK(reply.text() == large);
    }
    CHECK(client.in_hand() == ClientInHand{});
}

TEST_CASE("policies and threads share encrypted connections", "[tls]") {
    World w;
    TlsServer server{w.certificates};
    const Client client{server.url()};
    larder::RedisStore<int, std::string, larder::RawCodec<std::string>> store{client, "text"};
    const larder::CacheAside cache{store, [](int key) { return std::to_string(key); }};
    std::atomic<int> wrong{0};
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 12; ++thread) {
        threads.emplace_back([&, thread] {
            for (int i = 0; i < 50; ++i) {
                const int key = thread * 1000 + i;
                wrong += cache.get(key) != std::to_string(key) ? 1 : 0;
                wrong += cache.peek(key) != std::to_string(key) ? 1 : 0;
            }
        });
    }
    threads.clear();
    CHECK(wrong == 0);
    CHECK(server->run("GET", "text:3007") == "3007");
    CHECK(client.in_hand() == ClientInHand{});
}

TEST_CASE("a connection that was idle is used again", "[tls]") {
    // With TLS 1.3 the server says something after the handshake that is no reply.
    World w;
    TlsServer server{w.certificates};
    const Client client{server.url()};
    for (int i = 0; i < 5; ++i) {
        CHECK(client.command("INCR", "n").integer() == i + 1);
        std::this_thread::sleep_for(3ms);  // longer than what is not looked at again
    }
    CHECK(client.stats().connects == 1);
    CHECK(server->run("CLIENT", "KILL", "TYPE", "normal") != "0");
    CHECK(client.command("INCR", "n").integer() ==
          6);  // it saw that it was closed, and sent nothing
    CHECK(client.stats().connects == 2);
}

TEST_CASE("what nobody asked for spoils a connection, what TLS says by itself does not", "[tls]") {
    World w;
    enum class Adds { nothing, key_update, reply };
    const auto adds = GENERATE(Adds::nothing, Adds::key_update, Adds::reply);
    CAPTURE(static_cast<int>(adds));
    FakeServer server{[&](const FakeServer::Peer& client) {
        TlsPeer peer{client, w.certificates};
        for (int asked = 0; !peer.read().empty(); ++asked) {
            peer.add("+PONG\r\n");
            if (adds == Adds::key_update) {
                peer.send_all();
                client.pause(1ms);  // so that it comes after the reply has been read
                peer.add_key_update();
            } else if (adds == Adds::reply && asked > 0) {  // not when it is greeted
                peer.add("+WRONG\r\n");  // in the same segment, but a record of its own
            }
            peer.send_all();
        }
    }};
    ClientOptions options;
    options.port = server.port();
    options.tls = {.on = true, .ca = w.certificates.ca()};
    const Client client{options};
    for (int i = 0; i < 4; ++i) {
        CHECK(client.command("PING").text() == "PONG");
        std::this_thread::sleep_for(3ms);  // longer than what is not looked at again
    }
    CHECK((client.stats().connects == 1) == (adds != Adds::reply));
}

TEST_CASE("what a peer may have seen is not called unsent", "[tls]") {
    World w;
    FakeServer server{[&](const FakeServer::Peer& client) {
        TlsPeer peer{client, w.certificates};
        (void)peer.read();
        peer.add("+PONG\r\n");
        peer.send_all();
        (void)peer.read();  // a part of the command
    }};
    ClientOptions options;
    options.port = server.port();
    options.tls = {.on = true, .ca = w.certificates.ca()};
    const Client client{options};
    has(caught_text([&] { (void)client.command("APPEND", "a", std::string(30'000'000, 'x')); }),
        "it may have been carried out");
}

TEST_CASE("a server that dies is noticed while its reply is waited for", "[tls]") {
    World w;
    TlsServer server{w.certificates};
    const Client client{server.options()};
    CHECK(client.command("PING").text() == "PONG");
    const auto began = steady::now();
    std::jthread killer{[&] {
        while (server->run("CLIENT", "LIST").find("cmd=blpop") == std::string::npos) {
            std::this_thread::yield();
        }
        server->kill();
    }};
    has(caught_text([&] { (void)client.command("BLPOP", "queue", 30); }),
        "the server closed the connection");
    CHECK(steady::now() - began < 20s);
}

TEST_CASE("only who is who it should be is asked", "[tls]") {
    World w;
    w.certificates.make("server", {.names = "DNS:localhost"});
    TlsServer server{w.certificates};
    ClientOptions options = server.options();
    options.host = "localhost";
    CHECK(Client{options}.command("PING").text() == "PONG");

    SECTION("under another name") {
        options.host = "127.0.0.1";
        has(refusal(options), "the server's certificate is not for 127.0.0.1");
        options.tls.server_name = "localhost";
        CHECK(Client{options}.command("PING").text() == "PONG");
        options.tls.server_name = "other";
        has(refusal(options), "not for other");
        options.tls.verify = false;
        CHECK(Client{options}.command("PING").text() == "PONG");
    }
    SECTION("by another authority") {
        const Certificates others;
        options.tls.ca = others.ca();
        has(refusal(options), "certificate is not accepted");
        options.tls.ca.clear();  // the system's
        has(refusal(options), "certificate is not accepted");
    }
    SECTION("by an authority in a folder") {
        options.tls.ca = w.certificates.folder();  // not as `openssl rehash` makes it
        has(refusal(options), "certificate is not accepted");
    }
}

TEST_CASE("a certificate is for its time", "[tls]") {
    World w;
    const bool early = GENERATE(false, true);
    w.certificates.make("server", {.begins = early ? 3600 : -7200, .ends = early ? 7200 : -3600});
    TlsServer server{w.certificates};
    has(refusal(server.options()), early ? "not yet valid" : "expired");
}

TEST_CASE("an address is a name like any other", "[tls]") {
    World w;
    w.certificates.make("server", {.names = "IP:127.0.0.1"});
    TlsServer server{w.certificates};
    CHECK(Client{server.url()}.command("PING").text() == "PONG");
    w.certificates.make("other", {.names = "DNS:127.0.0.1"});  // which is no name
    TlsServer other{w.certificates, "other"};
    has(refusal(other.options()), "not for 127.0.0.1");
}

TEST_CASE("a server hears which of its names is asked for", "[tls]") {
    World w;
    FakeServer server{[&](const FakeServer::Peer& client) {
        TlsPeer peer{client, w.certificates};
        while (!peer.read().empty()) {
            peer.add("+<" + peer.asked_for() + ">\r\n");
            peer.send_all();
        }
    }};
    ClientOptions options;
    options.port = server.port();
    options.tls = {.on = true, .ca = w.certificates.ca()};
    const bool verify = GENERATE(true, false);
    options.tls.verify = verify;
    CHECK(Client{options}.command("PING").text() == "<>");  // of an address there is none
    for (const std::string name : {"localhost", "localhost."}) {
        options.tls.server_name = name;
        CHECK(Client{options}.command("PING").text() == "<localhost>");
    }
}

TEST_CASE("a server may ask who we are", "[tls]") {
    World w;
    w.certificates.make("me");
    TlsServer server{w.certificates, "server", "yes"};
    ClientOptions options = server.options();
    has(refusal(options), "certificate");
    options.tls.certificate = w.certificates.certificate("me");
    options.tls.key = w.certificates.key("me");
    CHECK(Client{options}.command("PING").text() == "PONG");

    Certificates others;
    others.make("me");
    options.tls.certificate = others.certificate("me");
    options.tls.key = others.key("me");
    has(refusal(options), "certificate");
}

TEST_CASE("files that are no use are refused at once", "[tls]") {
    World w;
    w.certificates.make("me");
    ClientOptions options;
    options.tls.on = true;
    const auto refused = [&](const std::string& option) {
        CHECK_THROWS_AS(Client{options}, std::invalid_argument);
        return has(caught_text([&] { const Client client{options}; }), option);
    };
    options.tls.ca = "/no/such/file";
    refused("TlsOptions::ca must be a file of PEM, but is /no/such/file: No such file");
    options.tls.ca = w.certificates.key("me");
    refused("TlsOptions::ca");
    options.tls.ca = w.certificates.ca();
    options.tls.certificate = w.certificates.key("me");
    options.tls.key = w.certificates.key("me");
    refused("TlsOptions::certificate");
    options.tls.certificate = w.certificates.certificate("me");
    options.tls.key = w.certificates.key("server");
    refused("TlsOptions::key");
    options.tls.key = w.certificates.certificate("me");
    refused("TlsOptions::key");
    options.tls.key = w.certificates.folder();
    refused("TlsOptions::key must be a file of PEM, but is " + w.certificates.folder());
    options.tls.key.clear();
    refused("together");
    options.tls = {.on = true};
    options.path = "/run/redis.sock";
    refused("ClientOptions::tls");
}

TEST_CASE("certificates are renewed under a running client", "[tls]") {
    World w;
    const Certificates others;
    TlsServer server{w.certificates};
    ClientOptions options = server.options();
    options.tls.ca = w.certificates.folder() + "/trusted.pem";
    std::filesystem::copy_file(others.ca(), options.tls.ca);
    const Client client{options};
    CHECK_THROWS_AS(client.command("PING"), ConnectError);
    const auto replace = std::filesystem::copy_options::overwrite_existing;
    std::filesystem::remove(options.tls.ca);  // between the two: what was known stays
    CHECK_THROWS_AS(client.command("PING"), larder::StoreError);
    std::filesystem::copy_file(w.certificates.ca(), options.tls.ca, replace);
    // The first that fails has the files read again, the next is served.
    const auto until = steady::now() + 20s;
    std::string answer;
    while (answer.empty() && steady::now() < until) {
        (void)caught_text([&] { answer = client.command("PING").text(); });
    }
    CHECK(answer == "PONG");
}

TEST_CASE("a handshake has its time and no more", "[tls]") {
    enum class Peer { silent, drips, floods, plain, closes, junk };
    const auto peer =
        GENERATE(Peer::silent, Peer::drips, Peer::floods, Peer::plain, Peer::closes, Peer::junk);
    CAPTURE(static_cast<int>(peer));
    FakeServer server{[peer](const FakeServer::Peer& client) {
        (void)client.read();
        switch (peer) {
            case Peer::silent: (void)client.read(); break;
            case Peer::drips:  // a record of 16 KiB, a byte at a time
                (void)client.drip("\x16\x03\x03\x40" + std::string(1000, '\0'), 20ms);
                break;
            case Peer::floods: {  // by requests to begin, which are passed over within a handshake
                std::string requests;
                while (requests.size() < 64'000) {
                    requests += std::string{"\x16\x03\x03\x00\x04\x00\x00\x00\x00", 9};
                }
                while (client.write(requests)) {}
                break;
            }
            case Peer::plain: (void)client.write("-ERR unknown command\r\n"); break;
            case Peer::closes: break;
            case Peer::junk: (void)client.write(std::string(1000, '\xff')); break;
        }
    }};
    ClientOptions options;
    options.port = server.port();
    options.connect_timeout = 200ms;
    options.command_timeout = 10s;
    options.tls = {.on = true, .verify = false};
    const Client client{options};
    const auto began = steady::now();
    const std::string text = caught_text([&] { (void)client.command("GET", "a"); });
    CHECK(steady::now() - began < 5s);
    const bool late = peer == Peer::silent || peer == Peer::drips || peer == Peer::floods;
    has(text, late ? "TLS handshake" : "TLS: ");
    has(text, "it was not sent");
    if (peer == Peer::closes) {
        has(text, "the server closed the connection");
    }
    CHECK(client.in_hand() == ClientInHand{});
}

TEST_CASE("an encrypted server may freeze, die and come back", "[tls]") {
    World w;
    TlsServer server{w.certificates};
    ClientOptions options = server.options();
    options.command_timeout = 100ms;
    const Client client{options};
    CHECK(client.command("SET", "a", "1").text() == "OK");
    server->freeze();
    CHECK_THROWS_AS(client.command("GET", "a"), TimeoutError);
    server->thaw();
    server->kill();
    // A write to a connection that the peer has closed raises no SIGPIPE.
    for (int i = 0; i < 5; ++i) {
        CHECK_THROWS_AS(client.command("SET", "a", std::string(200'000, 'x')), larder::StoreError);
    }
    server->start();
    const auto until = steady::now() + 20s;
    std::string answer;
    while (answer.empty() && steady::now() < until) {
        (void)caught_text([&] { answer = client.command("PING").text(); });
    }
    CHECK(answer == "PONG");
    CHECK(client.in_hand() == ClientInHand{});
}

TEST_CASE("a child has encrypted connections of its own", "[tls]") {
    if (!larder_test::can_fork) {
        return;
    }
    World w;
    TlsServer server{w.certificates};
    const Client client{server.url()};
    CHECK(client.command("SET", "a", "parent").text() == "OK");
    NearEar ear;
    const larder::redis::detail::SlotNames names{"product", 0};
    const auto channel = std::make_shared<larder::redis::detail::ChangeChannel>("~changes:product");
    larder::redis::detail::TrackingFeed feed{client, names, channel, ear, 2s};
    CHECK(feed.mode() == larder::NearMode::tracking);
    std::filesystem::remove(w.certificates.ca());  // a child may have given up the right to read it
    CHECK(larder_test::in_child([&]() -> const char* {
              feed.resume();
              while (!feed.reliable(steady::now())) {
                  std::this_thread::yield();
              }
              client.command("SET", "product:1", std::string(100'000, 'x'));
              while (!ear.heard("key 1")) {
                  std::this_thread::yield();
              }
              if (client.command("GET", "a").text() != "parent") {
                  return "it reads something else";
              }
              return client.command("SET", "a", "child").text() == "OK" ? nullptr : "no write";
          }) == 0);
    while (!ear.heard("key 1")) {
        std::this_thread::yield();
    }
    CHECK(feed.reliable(steady::now()));
    CHECK(client.command("GET", "a").text() == "child");
    CHECK(client.stats().connects == 1);
}

namespace {

std::unique_ptr<Client> lives_longest{};  // made before anything that a connection needs

}  // namespace

TEST_CASE("the nodes of a cluster are encrypted, too", "[tls]") {
    const World world;
    const std::string bus = std::to_string(RedisServer::free_port());
    TlsServer node{world.certificates,
                   "server",
                   "no",
                   {"--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-port", bus}};
    REQUIRE(node->run("CLUSTER", "ADDSLOTSRANGE", "0", "16383") == "OK");
    for (int i = 0; i < 1000 && node->run("SET", "a", "0") != "OK"; ++i) {
        std::this_thread::sleep_for(10ms);
    }
    const ClientOptions options = node.options();
    const Client client{"rediss+cluster://127.0.0.1:" + std::to_string(options.port) +
                        "?ca=" + options.tls.ca};
    CHECK(client.command("INCR", "a").integer() == 1);
    // It knows no address of its own: the one that was asked.
    CHECK(client.primaries() == std::vector<larder::redis::Endpoint>{{"127.0.0.1", options.port}});
    ClientOptions stranger = options;
    stranger.cluster.seeds = {{"127.0.0.1", options.port}};
    stranger.tls.ca.clear();
    CHECK(refusal(stranger).find("certificate") != std::string::npos);
}

TEST_CASE("a client may be the last of a program", "[tls]") {
#if defined(__GLIBC__)
    ::mallopt(M_PERTURB, 0x5a);  // what is freed is overwritten: the end of this program shows
#endif
    World w;
    TlsServer server{w.certificates};
    lives_longest = std::make_unique<Client>(server.url());
    CHECK(lives_longest->command("PING").text() == "PONG");
}

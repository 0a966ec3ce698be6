// SPDX-License-Identifier: MIT

// URLs, what is refused, and that no message shows a password.

#include "support/catch.hpp"
#include "support/caught.hpp"

#include <larder/redis/endpoint.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/url.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using larder::redis::ClientOptions;
using larder::redis::parse_url;
using larder_test::caught_text;
using namespace std::chrono_literals;

TEST_CASE("what a URL may say", "[redis]") {
    const ClientOptions plain = parse_url("redis://cache");
    CHECK(plain.host == "cache");
    CHECK(plain.port == 6379);
    CHECK(plain.database == 0);
    CHECK(plain.password.empty());
    CHECK(plain.path.empty());

    const ClientOptions all = parse_url(
        "redis://ann:p%40%2f%3A%00s@db.example:7000/3?name=shop&connect_timeout=50ms&"
        "command_timeout=2s&connections=4");
    CHECK(all.user == "ann");
    CHECK(all.password == std::string{"p@/:\0s", 6});
    CHECK(all.host == "db.example");
    CHECK(all.port == 7000);
    CHECK(all.database == 3);
    CHECK(all.name == "shop");
    CHECK(all.connect_timeout == 50ms);
    CHECK(all.command_timeout == 2s);
    CHECK(all.connections == 4);

    CHECK(parse_url("redis://:secret@cache").user.empty());
    CHECK(parse_url("redis://:secret@cache").password == "secret");
    CHECK(parse_url("redis://:a:b@cache").password == "a:b");
    CHECK(parse_url("redis://:a@b@cache").password == "a@b");
    CHECK(parse_url("redis://cache/").database == 0);
    CHECK(parse_url("redis://cache?db=5").database == 5);
    CHECK(parse_url("redis://[::1]").host == "::1");
    CHECK(parse_url("redis://[fe80::1%25eth0]:7001/1").host == "fe80::1%eth0");
    CHECK(parse_url("redis://[::1]:7001/1").port == 7001);
    CHECK(parse_url("redis://u:p@[::1]:7001").host == "::1");
}

TEST_CASE("what a URL with encryption may say", "[redis]") {
    CHECK_FALSE(parse_url("redis://cache").tls.on);
    const ClientOptions plain = parse_url("rediss://:secret@cache/1");
    CHECK(plain.tls.on);
    CHECK(plain.tls.verify);
    CHECK(plain.host == "cache");
    CHECK(plain.port == 6379);
    CHECK(plain.password == "secret");
    const ClientOptions all = parse_url(
        "rediss://cache?ca=%2fetc/ca.pem&certificate=/me.pem&key=/me.key&server_name=db.example&db=2");
    CHECK(all.tls.ca == "/etc/ca.pem");
    CHECK(all.tls.certificate == "/me.pem");
    CHECK(all.tls.key == "/me.key");
    CHECK(all.tls.server_name == "db.example");
    CHECK(all.database == 2);
}

TEST_CASE("sentinels, and what they call the primary", "[redis]") {
    using larder::redis::Endpoint;
    const ClientOptions one = parse_url("redis+sentinel://s1/mymaster");
    CHECK(one.sentinel.primary == "mymaster");
    CHECK(one.sentinel.sentinels == std::vector<Endpoint>{{"s1", 26379}});
    CHECK_FALSE(one.tls.on);
    const ClientOptions all = parse_url(
        "rediss+sentinel://ann:p%40@s1:1,[::1]:2,s3/my%2Fmaster?db=2&ca=/ca.pem&name=shop");
    CHECK(all.sentinel.primary == "my/master");
    CHECK(all.sentinel.sentinels == std::vector<Endpoint>{{"s1", 1}, {"::1", 2}, {"s3", 26379}});
    CHECK(all.user == "ann");
    CHECK(all.password == "p@");
    CHECK(all.database == 2);
    CHECK(all.tls.on);
    CHECK(all.tls.ca == "/ca.pem");
    CHECK(all.sentinel.password.empty());
}

TEST_CASE("some of the nodes of a cluster", "[redis]") {
    using larder::redis::Endpoint;
    const ClientOptions one = parse_url("redis+cluster://h1");
    CHECK(one.cluster.seeds == std::vector<Endpoint>{{"h1", 6379}});
    CHECK_FALSE(one.tls.on);
    const ClientOptions all =
        parse_url("rediss+cluster://ann:p%40@h1:7000,[::1]:7001/0?ca=/ca.pem&name=shop");
    CHECK(all.cluster.seeds == std::vector<Endpoint>{{"h1", 7000}, {"::1", 7001}});
    CHECK(all.user == "ann");
    CHECK(all.password == "p@");
    CHECK(all.tls.on);
    CHECK(all.name == "shop");
    CHECK(parse_url("redis+cluster://h1/").database == 0);
}

TEST_CASE("unix sockets", "[redis]") {
    CHECK(parse_url("unix:///run/redis.sock").path == "/run/redis.sock");
    CHECK(parse_url("unix:///run/redis.sock?db=2").database == 2);
    CHECK(parse_url("unix:///a%3Fb@c").path == "/a?b@c");
    const ClientOptions named = parse_url("unix://ann:secret@/run/redis.sock");
    CHECK(named.user == "ann");
    CHECK(named.password == "secret");
    CHECK(named.path == "/run/redis.sock");
}

TEST_CASE("what is refused, and why", "[redis]") {
    const auto [bad, part] = GENERATE(table<std::string, std::string>({
        {"", "scheme"},
        {"localhost", "scheme"},
        {"localhost:6379", "scheme"},
        {"http://cache", "scheme"},
        {"redis+cluster://a,b/1", "no databases"},
        {"redis+cluster://a,b?db=1", "database"},
        {"redis+cluster://", "host"},
        {"redis+cluster://a,,b", "host"},
        {"redis+cluster://a:0", "port"},
        {"redis+cluster://a/secret@b", "%2F"},
        {"redis+cluster://a?ca=x", "rediss://"},
        {"redis+sentinel://a,b", "name of the primary"},
        {"redis+sentinel://a,b/", "name of the primary"},
        {"redis+sentinel:///main", "host"},
        {"redis+sentinel://a,,b/main", "host"},
        {"redis+sentinel://a:0/main", "port"},
        {"redis+sentinel://a/main/2", "%2F"},
        {"redis+sentinel://a/main?ca=x", "rediss://"},
        {"redis+sentinel://:p@a,:p@b/main", "%40"},
        {"redis+cluster://:p@a,:p@b", "%40"},
        {"redis+sentinel://a/main?nonesuch=1", "nonesuch"},
        {"redis://", "host"},
        {"redis://:6379", "host"},
        {"redis://cache:", "port"},
        {"redis://cache:0", "port"},
        {"redis://cache:65536", "port"},
        {"redis://cache:99999999999999999999", "port"},
        {"redis://cache:+1", "port"},
        {"redis://cache:63x", "port"},
        {"redis://cache/x", "database"},
        {"redis://cache/-1", "database"},
        {"redis://cache/1/2", "database"},
        {"redis://cache/4294967295", "database"},
        {"redis://cache/1?db=1", "twice"},
        {"redis://cache?name=a&name=b", "twice"},
        {"redis://cache?nonesuch=1", "nonesuch"},
        {"redis://cache?name", "name=value"},
        {"redis://cache?name=a&&db=1", "name=value"},
        {"redis://cache?connect_timeout=5", "unit"},
        {"redis://cache?connect_timeout=s", "unit"},
        {"redis://cache?connect_timeout=xs", "number"},
        {"redis://cache?connect_timeout=0ms", "connect_timeout"},
        {"redis://cache?command_timeout=4294967295s", "command_timeout"},
        {"redis://cache?connections=0", "connections"},
        {"redis://cache?connections=65", "connections"},
        {"redis://cache?ca=/ca.pem", "rediss://"},
        {"rediss://", "host"},
        {"rediss://cache?key=/me.key", "together"},
        {"rediss://cache?certificate=/me.pem", "together"},
        {"rediss://cache?ca=a&ca=b", "twice"},
        {"rediss://cache?verify=no", "verify"},
        {"rediss://cache?server_name=.example", "server_name"},
        {"rediss://cache?server_name=a%00b", "server_name"},
        {"rediss://cache?server_name=127.0.0.1%0A", "server_name"},
        {"redis://cache?name=a%20b", "name"},
        {"redis://::1", "brackets"},
        {"redis://[::1", "bracket"},
        {"redis://[::1]x", "brackets"},
        {"redis://ann@cache", "user:password@"},
        {"redis://ann:@cache", "password"},
        {"redis://%zz", "%"},
        {"redis://%4", "%"},
        {"redis://%", "%"},
        {"redis://a%00b", "host"},
        {"unix://", "path"},
        {"unix://run/redis.sock", "host"},
        {"unix://cache", "path"},
        {"unix:///a%00b", "path"},
    }));
    const std::string url = bad;  // a lambda may not capture a binding
    CAPTURE(url, part);
    CHECK_THROWS_AS(parse_url(url), std::invalid_argument);
    CHECK(caught_text([&] { (void)parse_url(url); }).find(part) != std::string::npos);
    CHECK_THROWS_AS(parse_url("unix:///" + std::string(107, 'x')), std::invalid_argument);
}

TEST_CASE("no message shows a password", "[redis]") {
    // With a character that should have been encoded, or something else that is wrong.
    for (const char* url : {"redis://:hush/hush@cache",
                            "redis://:hush?hush@cache",
                            "redis://:hush?hush=1@cache",
                            "redis://:hush#hush@cache",
                            "redis://:hush%hush@cache",
                            "redis://u:hush@",
                            "redis://u:hush@cache:port",
                            "redis://u:hush@cache/x",
                            "redis://u:hush@cache?nonesuch=1",
                            "redis://u:hush@cache?connections=hush",
                            "redis://hush@cache",
                            "rediss://u:hush@cache?key=hush&nonesuch=1",
                            "unix://u:hush/x@/run/s",
                            "redis+sentinel://u:hush@s1,s2",
                            "redis+sentinel://u:hush@s1,s2:x/m",
                            "redis+sentinel://u:hush/x@s1/m",
                            "unix://u:hush@cache/run/s",
                            "unix://u:hush?a=b@/run/s",
                            "hush://u:hush@cache",
                            "redis://u:hush@::1",
                            "redis://u:hush@[::1",
                            "u:hush@cache"}) {
        CAPTURE(url);
        const std::string text = caught_text([&] { (void)parse_url(url); });
        CHECK_FALSE(text.empty());
        CHECK(text.find("hush") == std::string::npos);
    }
    ClientOptions options;
    options.user = "ann";
    options.password = "hush";
    options.connections = 0;
    CHECK(caught_text([&] { validate(options); }).find("hush") == std::string::npos);
}

TEST_CASE("options of an encryption that is not on are refused", "[redis]") {
    using larder::redis::TlsOptions;
    CHECK_NOTHROW(validate(larder::redis::ClientOptions{}));
    for (const TlsOptions& tls :
         {TlsOptions{.ca = "/ca.pem"}, TlsOptions{.certificate = "/me.pem", .key = "/me.key"},
          TlsOptions{.server_name = "db.example"}, TlsOptions{.verify = false}}) {
        larder::redis::ClientOptions options;
        options.tls = tls;
        CHECK_THROWS_AS(validate(options),
                        std::invalid_argument);  // else it would connect in clear
        options.tls.on = true;
        CHECK_NOTHROW(validate(options));
    }
}

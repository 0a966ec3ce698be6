// SPDX-License-Identifier: MIT

// What a RedisStore keeps, as redis-cli and other programs see it, and what it makes of theirs.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/redis_server.hpp"
#include "support/redis_time.hpp"
#include "support/table.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::RedisStore;
using larder::Source;
using larder::WriteThrough;
using larder::redis::Client;
using larder_test::caught_text;
using larder_test::RedisServer;
using larder_test::Table;

namespace shop {

struct Product {
    int id = 0;
    std::string name{};
    double price = 0;

    friend bool operator==(const Product&, const Product&) = default;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Product, id, name, price)

enum class Colour : std::uint8_t { red = 1, green = 7 };

struct Sku {
    std::string maker{};
    int number = 0;

    friend bool operator==(const Sku&, const Sku&) = default;
};
std::string to_key(const Sku& sku) {
    return sku.maker + '/' + std::to_string(sku.number);
}

}  // namespace shop

template <>
struct std::hash<shop::Sku> {
    std::size_t operator()(const shop::Sku& sku) const noexcept {
        return static_cast<std::size_t>(sku.number);
    }
};

namespace {

// Bytes as they are. `textual`: others may read and write them.
template <bool Textual>
struct Bytes {
    static constexpr bool textual = Textual;
    std::string encode(const std::string& text) const { return text; }
    std::string decode(std::string_view bytes) const { return std::string{bytes}; }
};
using Text = RedisStore<std::string, std::string, Bytes<true>>;
using Binary = RedisStore<std::string, std::string, Bytes<false>>;
using Numbers = RedisStore<int, int>;

// One server for all cases: each begins with an empty one.
RedisServer& server() {
    static RedisServer one;
    return one;
}
RedisServer& empty_server() {
    server().run("FLUSHALL");
    return server();
}
Client client() {
    return Client{server().unix_url()};
}
std::int64_t left(const std::string& key) {
    return std::stoll(server().run("PTTL", key));
}
bool headed(const std::string& bytes, char kind) {
    return bytes.size() > 2 && bytes.substr(0, 3) == std::string{'\x01', '\x01', kind};
}
bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

// A policy over a table in which key k has the row 10 * k.
struct World {
    World() {
        for (int key = 1; key < 10; ++key) {
            table.set(key, 10 * key);
        }
    }
    Numbers store{client(), "n"};
    Table<> table{};
    CacheAside<Numbers, std::reference_wrapper<Table<>>> cache{
        store, std::ref(table), {.ttl = 1h, .negative_ttl = 1h}};
};

}  // namespace

TEST_CASE("a value is plain JSON under a name that people can guess", "[redis]") {
    empty_server();
    const shop::Product lamp{42, "lamp", 9.5};
    RedisStore<int, shop::Product> store{client(), "product"};
    CacheAside products{store, [&](int) { return lamp; }, {.ttl = 1h}};
    CHECK(products.get(42) == lamp);
    CHECK(server().run("GET", "product:42") == R"({"id":42,"name":"lamp","price":9.5})");
    CHECK(left("product:42") > 3'500'000);
    CHECK(left("product:42") <= 3'600'000);
    CHECK(products.fetch(42).source == Source::hit);
}

TEST_CASE("a value that another program wrote is a hit", "[redis]") {
    empty_server();
    World w;
    server().run("SET", "n:1", "5", "PX", "60000");
    server().run("SET", "n:2", "6");
    CHECK(w.cache.get(1) == 5);
    const auto one = w.cache.fetch(1);
    CHECK(one.value == 5);
    CHECK(one.source == Source::hit);
    CHECK(one.remaining <= 60s);
    CHECK(one.remaining > 50s);

    SECTION("without an end it stays so while nobody asks for the time") {
        CHECK(w.cache.get(2) == 6);
        CHECK(w.cache.get_many({1, 2}) == std::vector<std::optional<int>>{5, 6});
        CHECK(w.store.find(2)->value == 6);
        CHECK(left("n:2") == -1);
    }
    SECTION("a read that asks for it gives it a life") {
        const auto two = w.cache.fetch(2);
        CHECK(two.source == Source::hit);
        CHECK(two.remaining == 1h);
        CHECK(two.age == 0s);
        CHECK(left("n:2") > 3'500'000);
        server().run("PEXPIRE", "n:2", "50000");
        CHECK(w.cache.fetch(2).remaining <= 50s);
        CHECK(left("n:2") <= 50'000);  // once only
        // Nor if another program gives it an end between the look and the step.
        const std::string& adopt =
            larder::redis::detail::SlotScripts::instance().adopt.on("").body();
        CHECK(server().run("EVAL", adopt, "1", "n:2", "3600000") == "0");
        CHECK(left("n:2") <= 50'000);
    }
    SECTION("until it is invalidated, or written") {
        CHECK(w.cache.invalidate(1));
        CHECK(w.cache.get(1) == 10);
        w.cache.put(2, 7);
        CHECK(w.cache.get(2) == 7);
    }
    CHECK(w.cache.stats().undecodable == 0);
}

// Rule R1.
TEST_CASE("a header only where there is something to say", "[redis]") {
    empty_server();
    const Client one = client();
    Table<std::string, std::string> table;
    Text store{one, "t"};
    Text reader{client(), "t"};
    const auto bytes = [](const std::string& key) { return server().run("GET", "t:" + key); };
    const auto keep = [&](std::string value, larder::Options options) {
        table.set("k", std::move(value));
        CacheAside cache{store, std::ref(table), std::move(options)};
        CHECK(cache.get("k") == table.row("k"));
        CacheAside other{reader, [](const std::string&) { return std::string{"loaded"}; }};
        CHECK(other.get("k") == table.row("k"));
    };

    SECTION("none for a value alone") {
        keep("plain", {});
        CHECK(bytes("k") == "plain");
    }
    SECTION("nor for an empty one") {
        keep("", {});
        CHECK(server().run("STRLEN", "t:k") == "0");
        CHECK(server().run("EXISTS", "t:k") == "1");
    }
    SECTION("grace") {
        keep("with grace", {.ttl = 10s, .grace = 20s});
        CHECK(headed(bytes("k"), 'V'));
        CHECK(bytes("k").ends_with("with grace"));
        CHECK(left("t:k") > 25'000);
        CHECK(left("t:k") <= 30'000);
    }
    SECTION("a text that begins as a header does") {
        for (const std::string& odd :
             {std::string{"\x01"}, std::string{"\x01\x01L0123456789abcdef"},
              std::string{"\x01\x02x"}, std::string{"\x01\x00", 2}}) {
            server().run("DEL", "t:k");
            keep(odd, {});
            CHECK(headed(bytes("k"), 'V'));
        }
    }
    SECTION("a life of its own") {
        using Loaded = larder::Loaded<std::string>;
        CacheAside cache{store, [](const std::string& key) -> Loaded {
                             return {key, std::chrono::milliseconds{key == "none" ? 0 : 7000}, {}};
                         }};
        CHECK(cache.get("k") == "k");
        CHECK(headed(bytes("k"), 'V'));
        CHECK(left("t:k") <= 7000);
        const auto again = cache.fetch("k");
        CHECK(again.source == Source::hit);
        CHECK(again.age + again.remaining == 7s);
        CHECK(cache.get("none") == "none");
        CHECK(server().run("EXISTS", "t:none") == "0");
    }
    SECTION("a known absence") {
        CacheAside cache{store, std::ref(table), {.ttl = 1h, .negative_ttl = 10s}};
        CHECK_FALSE(cache.get("absent"));
        CHECK(headed(bytes("absent"), 'A'));
        CHECK(left("t:absent") <= 10'000);
        CHECK_FALSE(cache.get("absent"));
        CHECK(table.loads == 1);
        CHECK(reader.find("absent").has_value());
        CHECK_FALSE(reader.find("absent")->value);
    }
    SECTION("always where the bytes are no text, so another program's are none of ours") {
        Binary binary{one, "b"};
        CacheAside cache{binary, std::ref(table)};
        table.set("k", "v");
        CHECK(cache.get("k") == "v");
        CHECK(headed(server().run("GET", "b:k"), 'V'));
        CHECK(cache.fetch("k").source == Source::hit);
        server().run("SET", "b:k", "plain");
        CHECK(cache.fetch("k").value == "v");
        CHECK(cache.stats().undecodable == 1);
    }
}

TEST_CASE("keys of many kinds have names of their own", "[redis]") {
    empty_server();
    const Client one = client();
    const auto kept = [](auto store, const auto& key, const std::string& name) {
        CAPTURE(name);
        store.put(key, 7, {1h});
        CHECK(server().run("GET", name) == "7");
        CHECK(store.find(key)->value == 7);
        const std::vector keys{key};
        CHECK(store.find_many(keys)[0]->value == 7);
        CHECK(store.erase(key));
        CHECK_FALSE(store.find(key));
        CHECK(server().run("EXISTS", name) == "0");
    };
    kept(RedisStore<int, int>{one, "int"}, -42, "int:-42");
    kept(RedisStore<std::uint64_t, int>{one, "u64"}, ~std::uint64_t{0}, "u64:18446744073709551615");
    kept(RedisStore<shop::Colour, int>{one, "enum"}, shop::Colour::green, "enum:7");
    kept(RedisStore<shop::Sku, int>{one, "sku"}, shop::Sku{"acme:x", 3}, "sku:acme:x/3");
    kept(RedisStore<std::string, int>{one, "text"}, std::string{}, "text:");
    kept(RedisStore<std::string, int>{one, "text"}, std::string{"a:b%{}*~"}, "text:a:b%{}*~");
    const std::string odd{"\0\r\n\xff\x01 $3", 8};
    kept(RedisStore<std::string, int>{one, "text"}, odd, "text:" + odd);
    using Pair = std::pair<std::string, std::string>;
    kept(RedisStore<Pair, int>{one, "pair"}, Pair{"a:b", "c"}, "pair:a%3Ab:c");
    kept(RedisStore<Pair, int>{one, "pair"}, Pair{"a", "b:c"}, "pair:a:b%3Ac");
    kept(RedisStore<Pair, int>{one, "pair"}, Pair{"a%3Ab", "c"}, "pair:a%253Ab:c");
    using Nested = std::tuple<int, Pair, shop::Colour>;
    kept(RedisStore<Nested, int>{one, "nested"}, Nested{1, {"a:b", "c"}, shop::Colour::red},
         "nested:1:a%253Ab%3Ac:1");

    RedisStore<std::string, int> text{one, "text"};
    text.put("k", 1, {1h});
    CHECK(text.find(std::string_view{"k"})->value == 1);
    CHECK(text.find("k")->value == 1);
}

TEST_CASE("builds of another schema have keys of their own", "[redis]") {
    empty_server();
    const Client one = client();
    Numbers old{one, "product"};
    Numbers now{one, "product", {.schema = 3}};
    now.put(42, 1, {1h});
    CHECK(server().run("GET", "product@3:42") == "1");
    CHECK_FALSE(old.find(42));
    old.put(42, 2, {1h});
    CHECK(now.find(42)->value == 1);
    now.clear();
    CHECK(old.find(42)->value == 2);
}

TEST_CASE("a namespace that would spoil others' keys is refused", "[redis]") {
    const Client one{server().unix_url()};
    for (const std::string& name :
         {std::string{}, std::string{"~"}, std::string{"~clock"}, std::string{"a{b"},
          std::string{"a}"}, std::string{"a\nb"}, std::string{"a\0b", 3}, std::string{"a\x7f"},
          std::string{":a"}, std::string{"a:"}}) {
        CAPTURE(name);
        CHECK_THROWS_AS((Numbers{one, name}), std::invalid_argument);
    }
    CHECK_NOTHROW(Numbers{one, "a~b: c*[x]?\xc3\xa4"});
    CHECK_THROWS_AS((Numbers{one, "a", {.lease = 1ms}}), std::invalid_argument);
    CHECK_THROWS_AS((Numbers{one, "a", {.max_value_bytes = 0}}), std::invalid_argument);
}

TEST_CASE("two stores of a client do not share keys", "[redis]") {
    const Client one{server().unix_url()};
    const Client same = one;
    std::optional<Numbers> shop{Numbers{one, "shop"}};
    CHECK_NOTHROW(Numbers{same, "shop"});
    CHECK_NOTHROW(Numbers{same, "shop2"});
    CHECK_NOTHROW(Numbers{same, "sho"});
    CHECK_NOTHROW(Numbers{same, "shop-a:b"});
    const std::string text = caught_text([&] { Numbers{same, "shop:cart"}; });
    CHECK(has(text, "\"shop\""));
    CHECK(has(text, "\"shop:cart\""));
    CHECK_THROWS_AS((Numbers{same, "shop:cart:item"}), std::invalid_argument);
    CHECK_NOTHROW(Numbers{same, "shop", {.schema = 2}});
    CHECK_THROWS_AS((Numbers{same, "shop:cart", {.schema = 2}}), std::invalid_argument);
    CHECK_NOTHROW(Numbers{Client{server().unix_url()}, "shop:cart"});

    // As long as a handle is left.
    std::optional<Numbers> handle{*shop};
    shop.reset();
    CHECK_THROWS_AS((Numbers{one, "shop:cart"}), std::invalid_argument);
    handle.reset();
    std::optional<Numbers> cart{Numbers{one, "shop:cart"}};
    const Numbers list{one, "shop-list"};  // sorts between them
    CHECK_THROWS_AS((Numbers{one, "shop"}), std::invalid_argument);
    cart.reset();
    CHECK_NOTHROW(Numbers{one, "shop"});
}

TEST_CASE("bytes that do not decode are a miss, until the next load", "[redis]") {
    empty_server();
    World w;
    for (const char* junk : {"garbage", "\"text\"", "{", "[1", "1 2", ""}) {
        CAPTURE(junk);
        server().run("SET", "n:1", junk);
        const auto before = w.cache.stats().undecodable;
        CHECK(w.cache.fetch(1).source == Source::loaded);
        CHECK(w.cache.stats().undecodable == before + 1);
        CHECK(server().run("GET", "n:1") == "10");
        CHECK(w.cache.fetch(1).source == Source::hit);
    }
    // In a batch, too.
    server().run("SET", "n:1", "garbage", "PX", "60000");
    CHECK(w.cache.get_many({1, 2}) == std::vector<std::optional<int>>{10, 20});
    CHECK(server().run("GET", "n:1") == "10");
}

TEST_CASE("only the bytes that were seen are replaced", "[redis]") {
    empty_server();
    World w;
    Numbers::Query query{.remaining = true};
    const auto ignore = [](const int*, auto, auto, bool) {};
    server().run("SET", "n:1", "garbage");
    CHECK_FALSE(w.store.peek(1, ignore, query));

    SECTION("a value that came meanwhile is a hit") {
        server().run("SET", "n:1", "5", "PX", "60000");
        const auto opening = w.store.open(1, query);
        REQUIRE(opening.slot == larder::detail::Slot::hit);
        CHECK(opening.copy->entry.value == 5);
    }
    SECTION("other bytes that do not decode are looked at anew") {
        server().run("SET", "n:1", "rubbish");
        const auto opening = w.store.open(1, query);
        CHECK(opening.slot == larder::detail::Slot::lead);
        w.store.release(1, opening.lease);
        CHECK(server().run("EXISTS", "n:1") == "0");
    }
    SECTION("a write that came meanwhile is left alone") {
        const auto ticket = w.store.begin_write(1, 30s);
        CHECK(w.store.open(1, query).slot == larder::detail::Slot::bypass);
        CHECK(w.store.finish_write(1, ticket, larder::detail::Finish::nothing, std::nullopt, {}));
    }
}

TEST_CASE("a key of another type is left alone by reads, and taken over by a write", "[redis]") {
    empty_server();
    World w;
    server().run("RPUSH", "n:1", "a", "b");
    for (int i = 1; i <= 2; ++i) {
        CHECK(w.cache.fetch(1).value == 10);
        CHECK(w.cache.get(1) == 10);
        CHECK(w.cache.get_many({1, 2}) == std::vector<std::optional<int>>{10, 20});
    }
    CHECK(w.table.loads == 7);
    CHECK(w.cache.refresh(1) == 10);
    CHECK(server().run("LRANGE", "n:1", "0", "-1") == "a\nb");

    SECTION("cache-aside") {
        w.cache.put(1, 11);
        CHECK(w.cache.fetch(1).source == Source::loaded);
    }
    SECTION("write-through") {
        WriteThrough through{w.store, std::ref(w.table), {.ttl = 1h}};
        through.put(1, 11);
        CHECK(server().run("GET", "n:1") == "11");
    }
    SECTION("invalidation") {
        w.table.set(1, 11);
        w.cache.invalidate(1);
        CHECK(w.cache.fetch(1).source == Source::loaded);
    }
    SECTION("the plain Store's put") {
        w.store.put(1, 11, {1h});
    }
    CHECK(w.cache.get(1) == 11);
    CHECK(w.cache.fetch(1).source == Source::hit);
}

TEST_CASE("a header of another version is not ours to touch while it has an end", "[redis]") {
    empty_server();
    World w;
    const std::string newer = "\x01\x02what a newer build may write";
    server().run("SET", "n:1", newer, "PX", "60000");
    for (int i = 0; i < 2; ++i) {
        CHECK(w.cache.fetch(1).source == Source::bypassed);
        CHECK(w.cache.get(1) == 10);
        CHECK(w.cache.get_many({1}) == std::vector<std::optional<int>>{10});
    }
    CHECK(server().run("GET", "n:1") == newer);

    SECTION("then it is over") {
        larder_test::pass_time(server(), 61s);
        CHECK(w.cache.fetch(1).source == Source::loaded);
    }
    SECTION("a write leaves nothing, since it may have met one of a newer build") {
        WriteThrough through{w.store, std::ref(w.table), {.ttl = 1h}};
        through.put(1, 11);
        CHECK(server().run("EXISTS", "n:1") == "0");
        CHECK(w.cache.fetch(1).source == Source::loaded);
    }
    SECTION("an invalidation drops it") {
        w.cache.invalidate(1);
        CHECK(w.cache.fetch(1).source == Source::loaded);
    }
    SECTION("without an end it is bytes that do not decode") {
        server().run("PERSIST", "n:1");
        CHECK(w.cache.fetch(1).source == Source::loaded);
        CHECK(w.cache.stats().undecodable == 1);
    }
    CHECK(w.cache.fetch(1).source == Source::hit);
}

// Rule R5.
TEST_CASE("a slot in hand that would never end is nobody's", "[redis]") {
    empty_server();
    World w;
    const std::string head{"\x01\x01", 2};
    const std::string lease = head + "L0123456789abcdef";
    const std::string zeros(16, '0');
    const std::string write = head + "W0" + zeros + "0123456789abcdef9999999999999999";
    struct Case {
        std::string bytes;
        std::string px;  // empty: none
    };
    const Case cases[] = {
        {lease, ""},
        {lease, "120000"},  // longer than any lease
        {write, ""},
        {write, "7200000"},                    // longer than any ticket
        {head + "L0123456789abcdeg", "1000"},  // no id
        {head + "L" + zeros, "1000"},
        {head + "L01", "1000"},
        {head + "W0", "1000"},
        {head + "W0" + zeros + "0", "1000"},
        {head + "X", "1000"},
        {head, "1000"},
        {"\x01", "1000"},
        {head + std::string{"V\xff\xff\xff\xff", 5}, "1000"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.bytes, c.px);
        for (int round = 0; round < 3; ++round) {
            server().run("SET", "n:1", c.bytes);
            if (!c.px.empty()) {
                server().run("PEXPIRE", "n:1", c.px);
            }
            const auto before = w.cache.stats().undecodable;
            switch (round) {
                case 0: CHECK(w.cache.fetch(1).source == Source::loaded); break;
                case 1: CHECK(w.cache.get(1) == 10); break;
                default: CHECK(w.cache.get_many({1, 2})[0] == 10);
            }
            CHECK(w.cache.stats().undecodable > before);
            CHECK(server().run("GET", "n:1") == "10");
        }
    }
    // A write that begins on such bytes is not one that meets another.
    server().run("SET", "n:1", write);
    WriteThrough through{w.store, std::ref(w.table), {.ttl = 1h}};
    through.put(1, 11);
    CHECK(server().run("GET", "n:1") == "11");
}

TEST_CASE("whatever is in a slot, the key is served from the cache after its next load",
          "[redis]") {
    empty_server();
    World w;
    std::mt19937 random{7};
    const auto number = [&](unsigned below) { return random() % below; };
    std::vector<std::string> seeds{"10", "\x01\x01L0123456789abcdef",
                                   "\x01\x01W0" + std::string(48, '1')};
    CacheAside graced{w.store, std::ref(w.table), {.ttl = 1h, .grace = 1h}};
    (void)graced.get(1);
    seeds.push_back(server().run("GET", "n:1"));
    const int rounds = 300;
    for (int i = 0; i < rounds; ++i) {
        std::string bytes = seeds[number(static_cast<unsigned>(seeds.size()))];
        for (auto n = number(4); n > 0 && !bytes.empty(); --n) {
            bytes[number(static_cast<unsigned>(bytes.size()))] = static_cast<char>(number(256));
        }
        bytes.resize(number(3) == 0 ? number(static_cast<unsigned>(bytes.size()) + 8)
                                    : bytes.size());
        server().run("SET", "n:1", bytes);
        const auto first = w.cache.fetch(1);
        CAPTURE(i, bytes, to_string(first.source));
        CHECK((first.source == Source::hit || first.value == 10));
        CHECK(w.cache.fetch(1).source == Source::hit);
    }
}

TEST_CASE("no life is so long that it ends at once", "[redis]") {
    empty_server();
    World w;
    constexpr larder::Ttl ever = (larder::Ttl::max)();
    for (const char* years : {"10000000000000", "9000000000000000"}) {  // 317, and many more
        server().run("SET", "n:1", "5", "PX", years);
        CHECK(w.cache.fetch(1).source == Source::hit);
        CHECK(w.cache.fetch(1).remaining == larder::detail::longest_life);
        CHECK(w.cache.stats().misses == 0);
    }
    server().run("SET", "n:2", "6");
    CacheAside cache{w.store, std::ref(w.table), {.ttl = ever, .grace = ever}};
    CHECK(cache.fetch(1).source == Source::hit);
    CHECK(cache.fetch(2).source == Source::hit);
    CHECK(cache.fetch(3).source == Source::loaded);
    CHECK(cache.fetch(3).remaining > 24h * 365 * 99);
    CHECK(left("n:2") > 0);

    SECTION("nor is a copy with grace whose end was taken away") {
        CacheAside graced{w.store, std::ref(w.table), {.ttl = 1h, .grace = 2h}};
        CHECK(graced.get(4) == 40);
        server().run("PERSIST", "n:4");
        CHECK(graced.fetch(4).source == Source::hit);
        CHECK(graced.fetch(4).remaining > 59min);
        CHECK(left("n:4") > 3 * 3'590'000);
    }
}

TEST_CASE("values that are too large are served and not kept", "[redis]") {
    empty_server();
    Text store{client(), "t", {.max_value_bytes = 8}};
    Table<std::string, std::string> table;
    table.set("k", "123456789");
    WriteThrough cache{store, std::ref(table), {.ttl = 1h}};
    CHECK(cache.get("k") == "123456789");
    CHECK(server().run("EXISTS", "t:k") == "0");
    cache.put("k", "12345678");
    CHECK(server().run("GET", "t:k") == "12345678");
    cache.put("k", "987654321");
    CHECK(server().run("EXISTS", "t:k") == "0");
    CHECK(cache.get("k") == "987654321");
    store.put("k", "123456789", {1h});
    CHECK(server().run("EXISTS", "t:k") == "0");
    CHECK(cache.stats().oversized == 4);
}

TEST_CASE("clear takes what is of its name, and nothing else", "[redis]") {
    empty_server();
    const Client one = client();
    for (const std::string name : {"a*b", "a?b", "a[x-z]b", "a[^c]b", "a\\b", "plain"}) {
        CAPTURE(name);
        const std::vector<std::string> neighbours{"axb:1",    "aXXb:1", "ab:1", "aab:1",
                                                  "plain2:1", "plai:1", name,   "x" + name + ":1"};
        for (const std::string& key : neighbours) {
            server().run("SET", key, "1");
        }
        server().run("SET", "~clock:" + name, "0123456789abcdef7");
        server().run("SET", "~tag:" + name + ":red", "0123456789abcdef7");
        server().run("SET", "~sequence:" + name, "9");
        RedisStore<std::string, int> store{one, name};
        const std::string odd{"\n*\0", 3};
        for (const std::string& key : {std::string{"1"}, std::string{}, odd}) {
            store.put(key, 1, {1h});
        }
        store.clear();
        CHECK_FALSE(store.find("1"));
        CHECK_FALSE(store.find(""));
        CHECK_FALSE(store.find(odd));
        for (const std::string& key : neighbours) {
            CAPTURE(key);
            CHECK(server().run("EXISTS", key) == "1");
        }
        CHECK(server().run("GET", "~clock:" + name) == "0123456789abcdef7");
        CHECK(server().run("GET", "~tag:" + name + ":red") == "0123456789abcdef7");
        CHECK(server().run("GET", "~sequence:" + name) == "9");
    }
}

TEST_CASE("clear goes through all pages, and wins over loads and writes", "[redis]") {
    empty_server();
    World w;
    std::vector<std::pair<int, std::optional<int>>> many;
    for (int key = 100; key < 2100; ++key) {
        many.emplace_back(key, key);
    }
    w.store.put_many(many, {1h});
    CHECK(server().run("DBSIZE") == "2000");
    auto opening = w.store.open(1);
    REQUIRE(opening.slot == larder::detail::Slot::lead);
    const auto ticket = w.store.begin_write(2, 30s);
    w.store.clear();
    CHECK_FALSE(w.store.fill(1, opening.lease, 10, {{1h}, {}}).kept);
    CHECK(w.store.finish_write(2, ticket, larder::detail::Finish::value, 20, {{1h}, {}}));
    // What is left is the clock.
    CHECK(server().run("KEYS", "*") == "~clock:n");
}

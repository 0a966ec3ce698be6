// SPDX-License-Identifier: MIT

// What each verb of each policy costs on the wire: round trips, and the commands that travel in them,
// for one key and for a hundred. What scripts do by themselves is not on the wire, and not counted.

#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"
#include "support/redis_time.hpp"
#include "support/table.hpp"
#include "support/unflushed_journal.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Options;
using larder::RefreshAhead;
using larder::Tagged;
using larder::WriteBehind;
using larder::WriteThrough;
using larder_test::RedisServer;

namespace {

using Pair = larder_test::SeasonedPair;
using Store = Pair::Store;
using Keys = std::vector<int>;
using Rows = std::vector<std::pair<int, int>>;

const RedisServer& server() {
    static const RedisServer one;
    return one;
}

struct World : Pair {
    World() : Pair{server()} {
        for (int key = 0; key < 100; ++key) {
            table.set(key, key);
        }
        (void)here.client().command("PING");  // the connection is there
    }
};

const Keys& hundred() {
    static const Keys all = [] {
        Keys keys;
        for (int key = 0; key < 100; ++key) {
            keys.push_back(key);
        }
        return keys;
    }();
    return all;
}
Rows hundred_rows() {
    Rows rows;
    for (const int key : hundred()) {
        rows.emplace_back(key, key + 1000);
    }
    return rows;
}

// A call, and what is there before it.
template <class Cache>
struct Verb {
    std::string_view name;
    std::function<void(Cache&, World&)> before;
    std::function<void(Cache&, World&)> call;
    bool graced = false;  // by a policy with a grace
};

template <class Cache>
concept HasTags = requires(Cache& c) { c.invalidate_tag("a"); };
template <class Cache>
concept HasWriting = requires(Cache& c) { c.writing(1).commit(); };
template <class Cache>
concept HasWrites = requires(Cache& c) { c.put(1, 1); };

template <class Cache>
std::vector<Verb<Cache>> verbs_of_one() {
    const auto nothing = [](Cache&, World&) {};
    const auto there = [](Cache& c, World&) { (void)c.get(1); };
    const auto stale = [](Cache& c, World&) {
        (void)c.get(1);
        larder_test::pass_time(server(), 90min);
    };
    return {
        {"get, a hit", there, [](Cache& c, World&) { CHECK(c.get(1) == 1); }},
        {"get, a miss", nothing, [](Cache& c, World&) { CHECK(c.get(1) == 1); }},
        {"get, no row", nothing, [](Cache& c, World&) { CHECK_FALSE(c.get(404)); }},
        {"get, a hit, grace", there, [](Cache& c, World&) { CHECK(c.get(1) == 1); }, true},
        {"get, a miss, grace", nothing, [](Cache& c, World&) { CHECK(c.get(1) == 1); }, true},
        {"get, a stale copy", stale, [](Cache& c, World&) { CHECK(c.get(1) == 1); }, true},
        {"fetch, a hit", there, [](Cache& c, World&) { CHECK(c.fetch(1).value == 1); }},
        {"fetch, a miss", nothing, [](Cache& c, World&) { CHECK(c.fetch(1).value == 1); }},
        {"peek", there, [](Cache& c, World&) { (void)c.peek(1); }},
        {"find of the store", there, [](Cache&, World& w) { CHECK(w.here.find(1)); }},
        {"put", there,
         [](Cache& c, World&) {
             if constexpr (HasWrites<Cache>) {
                 c.put(1, 11);
             }
         }},
        {"remove", there,
         [](Cache& c, World&) {
             if constexpr (HasWrites<Cache>) {
                 c.remove(1);
             }
         }},
        {"writing, commit", there,
         [](Cache& c, World&) {
             if constexpr (HasWriting<Cache>) {
                 c.writing(1).commit();
             }
         }},
        {"writing, rollback", there,
         [](Cache& c, World&) {
             if constexpr (HasWriting<Cache>) {
                 c.writing(1).rollback();
             }
         }},
        {"invalidate", there, [](Cache& c, World&) { c.invalidate(1); }},
        {"refresh", there, [](Cache& c, World&) { CHECK(c.refresh(1) == 1); }},
        {"warm", nothing, [](Cache& c, World&) { (void)c.warm({1}); }},
        {"invalidate_tag", there,
         [](Cache& c, World&) {
             if constexpr (HasTags<Cache>) {
                 c.invalidate_tag("a");
             }
         }},
        {"get, its tag gone",
         [](Cache& c, World&) {
             if constexpr (HasTags<Cache>) {
                 (void)c.get(1);
                 c.invalidate_tag("a");
             }
         },
         [](Cache& c, World&) {
             if constexpr (HasTags<Cache>) {
                 CHECK(c.get(1) == 1);
             }
         }},
    };
}

template <class Cache>
std::vector<Verb<Cache>> verbs_of_many() {
    const auto nothing = [](Cache&, World&) {};
    const auto there = [](Cache& c, World&) { (void)c.get_many(hundred()); };
    const auto stale = [](Cache& c, World&) {
        (void)c.get_many(hundred());
        larder_test::pass_time(server(), 90min);
    };
    const auto half = [](Cache& c, World&) { (void)c.get_many(std::span{hundred()}.first(50)); };
    const auto get = [](Cache& c, World&) { CHECK(c.get_many(hundred())[99] == 99); };
    return {
        {"get_many, all hit", there, get},
        {"get_many, none", nothing, get},
        {"get_many, half", half, get},
        {"get_many, all hit, grace", there, get, true},
        {"get_many, none, grace", nothing, get, true},
        {"get_many, all stale", stale, get, true},
        {"get_many, none decodes",
         [](Cache&, World&) {
             for (const int key : hundred()) {
                 server().run("SET", "n:" + std::to_string(key), "junk");
             }
         },
         get},
        {"get_many, a tag gone",
         [](Cache& c, World&) {
             if constexpr (HasTags<Cache>) {
                 (void)c.get_many(hundred());
                 c.invalidate_tag("a");
             }
         },
         [](Cache& c, World&) {
             if constexpr (HasTags<Cache>) {
                 CHECK(c.get_many(hundred())[99] == 99);
             }
         }},
        {"find_many of the store", there,
         [](Cache&, World& w) { CHECK(w.here.find_many(hundred())[99]); }},
        {"put_many", there,
         [](Cache& c, World&) {
             if constexpr (HasWrites<Cache>) {
                 c.put_many(hundred_rows());
             }
         }},
        {"writing, commit", there,
         [](Cache& c, World&) {
             if constexpr (HasWriting<Cache>) {
                 c.writing(hundred()).commit();
             }
         }},
        {"writing, rollback", there,
         [](Cache& c, World&) {
             if constexpr (HasWriting<Cache>) {
                 c.writing(hundred()).rollback();
             }
         }},
        {"invalidate_many", there, [](Cache& c, World&) { c.invalidate_many(hundred()); }},
        {"warm", nothing, [](Cache& c, World&) { (void)c.warm(hundred()); }},
        {"invalidate_tags", there,
         [](Cache& c, World&) {
             if constexpr (HasTags<Cache>) {
                 c.invalidate_tags({"a", "b", "a"});
             }
         }},
        {"of no key", nothing,
         [](Cache& c, World&) {
             (void)c.get_many(Keys{});
             c.invalidate_many(Keys{});
             (void)c.warm(Keys{});
             if constexpr (HasWrites<Cache>) {
                 c.put_many(Rows{});
             }
             if constexpr (HasWriting<Cache>) {
                 c.writing(Keys{}).commit();
             }
             if constexpr (HasTags<Cache>) {
                 c.invalidate_tags(std::span<const std::string>{});
             }
         }},
    };
}

// A column of the table: a policy, and what each verb costs with it.
struct Column {
    std::string_view title;
    std::vector<std::pair<std::string_view, std::string>> cells{};

    template <class Make, class Cache>
    void add(const Make& make, const std::vector<Verb<Cache>>& verbs) {
        for (const Verb<Cache>& verb : verbs) {
            INFO(title << ": " << verb.name);
            World w;
            Cache cache = make(w, Options{.ttl = 1h, .grace = verb.graced ? Ttl{1h} : Ttl{0}});
            verb.before(cache, w);
            const auto before = w.here.client().stats();
            verb.call(cache, w);
            const auto after = w.here.client().stats();
            cells.emplace_back(verb.name, std::to_string(after.round_trips - before.round_trips) +
                                              ' ' +
                                              std::to_string(after.commands - before.commands));
        }
    }

private:
    using Ttl = larder::Ttl;
};

const std::vector<std::string_view> titles{"CacheAside",     "WriteThrough", "WriteBehind",
                                           "unshared",       "RefreshAhead", "Tagged aside",
                                           "Tagged through", "Tagged behind"};

auto behind(World& w, const Options& o) {
    WriteBehind cache{w.here,
                      larder::unfenced(w.rows),
                      larder_test::UnflushedJournal{w.here.client(), "n"},
                      o,
                      {.delay = 1h, .drain = 0ms}};
    cache.put(999, 1);  // it has seen the server's policy of eviction
    return cache;
}

// Each policy makes a column of the verbs that `verbs` gives for it.
template <class Verbs>
std::vector<Column> columns(const Verbs& verbs) {
    std::vector<Column> all;
    const auto add = [&](const auto& make) {
        using Cache = decltype(make(std::declval<World&>(), Options{}));
        all.push_back({titles[all.size()]});
        all.back().add(make, verbs.template operator()<Cache>());
    };
    const auto tags_of = [](int) { return larder::Tags{"a", "b"}; };
    static larder_test::ManualExecutor background;  // reloads nothing
    add([](World& w, const Options& o) { return CacheAside{w.here, w.rows, o}; });
    add([](World& w, const Options& o) { return WriteThrough{w.here, w.rows, o}; });
    add([](World& w, const Options& o) { return behind(w, o); });
    add([](World& w, const Options& o) {
        return WriteBehind{w.here,
                           w.rows,
                           larder::unshared(larder::MemoryJournal<int, int>{}),
                           o,
                           {.delay = 1h, .drain = 0ms}};
    });
    add([](World& w, Options o) {
        o.executor = background.handle();
        return RefreshAhead{w.here, w.rows, o};
    });
    add([&](World& w, const Options& o) { return Tagged{CacheAside{w.here, w.rows, o}, tags_of}; });
    add([&](World& w, const Options& o) {
        return Tagged{WriteThrough{w.here, w.rows, o}, tags_of};
    });
    add([&](World& w, const Options& o) { return Tagged{behind(w, o), tags_of}; });
    return all;
}

std::string table_of(const std::vector<Column>& all) {
    const auto padded = [](std::string text, std::size_t width) {
        text.resize((std::max)(width, text.size()), ' ');
        return text;
    };
    const auto line = [](std::string text) {
        text.erase(text.find_last_not_of(' ') + 1);
        return text + '\n';
    };
    std::string head = padded("", 26);
    for (const Column& column : all) {
        head += padded(std::string{column.title}, 16);
    }
    std::string text = '\n' + line(head);
    for (std::size_t row = 0; row < all[0].cells.size(); ++row) {
        std::string cells = padded(std::string{all[0].cells[row].first}, 26);
        for (const Column& column : all) {
            cells += padded(column.cells[row].second, 16);
        }
        text += line(cells);
    }
    return text;
}

void compare(const std::string& table, const std::string& expected) {
    if (table != expected) {
        std::cerr << table;  // as it is: what a CHECK shows is broken into shorter lines
    }
    CHECK(table == expected);
}

}  // namespace

// In each cell: round trips, commands. 0 0 is of a verb that the policy has not, or of no need to ask.
TEST_CASE("what each verb costs for one key", "[redis][trips]") {
    compare(table_of(columns([]<class Cache>() { return verbs_of_one<Cache>(); })), R"(
                          CacheAside      WriteThrough    WriteBehind     unshared        RefreshAhead    Tagged aside    Tagged through  Tagged behind
get, a hit                1 1             1 1             1 1             1 1             1 2             2 2             2 2             2 2
get, a miss               3 3             3 3             4 4             3 3             3 4             3 4             3 4             4 5
get, no row               3 3             3 3             4 4             3 3             3 4             3 4             3 4             4 5
get, a hit, grace         1 2             1 2             1 2             1 2             1 2             2 3             2 3             2 3
get, a miss, grace        3 4             3 4             4 5             3 4             3 4             3 5             3 5             4 6
get, a stale copy         3 4             3 4             4 5             3 4             3 4             5 7             5 7             6 8
fetch, a hit              1 2             1 2             1 2             1 2             1 2             2 3             2 3             2 3
fetch, a miss             3 4             3 4             4 5             3 4             3 4             3 5             3 5             4 6
peek                      1 1             1 1             1 1             1 1             1 2             2 2             2 2             2 2
find of the store         1 2             1 2             1 2             1 2             1 2             2 3             2 3             2 3
put                       2 2             2 2             1 1             2 2             2 2             2 2             2 3             1 1
remove                    2 2             2 2             1 1             2 2             2 2             2 2             2 3             1 1
writing, commit           2 2             2 2             0 0             0 0             2 2             2 2             2 2             0 0
writing, rollback         2 2             2 2             0 0             0 0             2 2             2 2             2 2             0 0
invalidate                1 1             1 1             1 1             1 1             1 1             1 1             1 1             1 1
refresh                   2 2             2 2             3 3             2 2             2 2             2 3             2 3             3 4
warm                      3 3             3 3             4 4             3 3             3 4             3 4             3 4             4 5
invalidate_tag            0 0             0 0             0 0             0 0             0 0             1 1             1 1             1 1
get, its tag gone         0 0             0 0             0 0             0 0             0 0             4 5             4 5             5 6
)");
}

TEST_CASE("what each verb costs for a hundred keys", "[redis][trips]") {
    compare(table_of(columns([]<class Cache>() { return verbs_of_many<Cache>(); })), R"(
                          CacheAside      WriteThrough    WriteBehind     unshared        RefreshAhead    Tagged aside    Tagged through  Tagged behind
get_many, all hit         1 4             1 4             1 4             1 4             1 200           2 5             2 5             2 5
get_many, none            3 204           3 204           4 205           3 204           3 400           3 205           3 205           4 206
get_many, half            3 104           3 104           4 105           3 104           3 300           4 106           4 106           5 107
get_many, all hit, grace  1 200           1 200           1 200           1 200           1 200           2 201           2 201           2 201
get_many, none, grace     3 400           3 400           4 401           3 400           3 400           3 401           3 401           4 402
get_many, all stale       3 400           3 400           4 401           3 400           3 400           5 403           5 403           6 404
get_many, none decodes    3 204           3 204           4 205           3 204           3 400           3 205           3 205           4 206
get_many, a tag gone      0 0             0 0             0 0             0 0             0 0             4 206           4 206           5 207
find_many of the store    1 200           1 200           1 200           1 200           1 200           2 201           2 201           2 201
put_many                  2 200           2 200           1 100           2 200           2 200           2 200           2 201           1 100
writing, commit           2 200           2 200           0 0             0 0             2 200           2 200           2 200           0 0
writing, rollback         2 200           2 200           0 0             0 0             2 200           2 200           2 200           0 0
invalidate_many           1 100           1 100           1 100           1 100           1 100           1 100           1 100           1 100
warm                      3 204           3 204           4 205           3 204           3 400           3 205           3 205           4 206
invalidate_tags           0 0             0 0             0 0             0 0             0 0             1 1             1 1             1 1
of no key                 0 0             0 0             0 0             0 0             0 0             0 0             0 0             0 0
)");
}

// Rule R3.
TEST_CASE("who has no tags needs no tag clock", "[redis][trips]") {
    World w;
    server().run("DEL", "~clock:n");
    WriteThrough cache{w.here, w.rows, {.ttl = 1h, .grace = 1h}};
    (void)cache.get(1);
    cache.put(2, 21);
    cache.remove(3);
    cache.put_many(hundred_rows());
    cache.writing(1, 2).commit();
    (void)cache.get_many(hundred());
    (void)cache.warm({1, 2, 404});
    (void)cache.refresh(1);
    larder_test::pass_time(server(), 90min);
    (void)cache.get(1);
    CHECK(server().run("EXISTS", "~clock:n") == "0");
}

// Rule T1.
TEST_CASE("a loader may give tags where the policy has none", "[redis][tags]") {
    using larder::Loaded;
    using larder::Source;
    World w;
    CacheAside cache{w.here, w.rows, {.ttl = 1h}};
    Tagged by_tag{CacheAside{w.here, w.rows, {.ttl = 1h}}, [](int) { return larder::Tags{}; }};
    const auto load = [](int key) { return Loaded<int>{key, std::nullopt, {"a"}}; };
    const auto many = [](std::span<const int> keys) {
        std::vector<Loaded<int>> rows;
        for (const int key : keys) {
            rows.push_back({key, std::nullopt, {"a"}});
        }
        return rows;
    };
    const auto kept_until_invalidated = [&](auto& policy) {
        CHECK(policy.fetch(1).source == Source::hit);
        by_tag.invalidate_tag("a");
        CHECK_FALSE(policy.peek(1));
    };
    SECTION("a loader for a call") {
        (void)cache.get(1, load);
        kept_until_invalidated(cache);
    }
    SECTION("a loader for a call that may outlive it") {
        (void)cache.get(1, larder::detached(load), {.timeout = 1min});
        kept_until_invalidated(cache);
    }
    SECTION("a loader of many for a call") {
        (void)cache.warm({1, 2}, many);
        kept_until_invalidated(cache);
    }
    SECTION("a loader of one for a warm") {
        (void)cache.warm({1, 2}, load);
        kept_until_invalidated(cache);
    }
    SECTION("the policy's own, and a reload of it") {
        CacheAside tagging{w.here, load, {.ttl = 1h, .grace = 1h}};
        (void)tagging.get(1);
        kept_until_invalidated(tagging);
        (void)tagging.get_many({1, 2});
        kept_until_invalidated(tagging);
        (void)tagging.refresh(1);
        kept_until_invalidated(tagging);
        (void)tagging.warm({1});
        larder_test::pass_time(server(), 90min);
        (void)tagging.get(1);
        kept_until_invalidated(tagging);
    }
    SECTION("behind a journal") {
        struct Repository : larder_test::Table<> {
            Loaded<int> load(int key) { return {key, std::nullopt, {"a"}}; }
        };
        Repository rows;
        WriteBehind tagging{w.here,
                            std::ref(rows),
                            larder::unshared(larder::MemoryJournal<int, int>{}),
                            {.ttl = 1h}};
        (void)tagging.get(1);
        kept_until_invalidated(tagging);
    }
}

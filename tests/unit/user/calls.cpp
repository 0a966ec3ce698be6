// SPDX-License-Identifier: MIT

// The place where larder calls the user's loader and repository: whatever they answer becomes one
// form, and nothing of it is lost.

#include "support/catch.hpp"
#include "support/caught.hpp"

#include <larder/detail/user/calls.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::Change;
using larder::Errc;
using larder::Loaded;
using larder_test::caught;
namespace detail = larder::detail;

namespace {

using Text = std::string;

const std::vector<int> three{1, 2, 3};

std::span<const int> keys() {
    return three;
}

template <class R>
std::vector<std::optional<Text>> values(const R& loaded) {
    std::vector<std::optional<Text>> all;
    for (const auto& one : loaded) {
        all.push_back(one.value);
    }
    return all;
}

// Converts from an optional of itself, as std::any and some variants do.
struct Greedy {
    Greedy() = default;
    template <class T>
        requires(!std::same_as<std::remove_cvref_t<T>, Greedy>)
    explicit Greedy(T&&) : from_other{true} {}
    bool from_other = false;
};

template <class F>
std::exception_ptr thrown(F f) {
    try {
        f();
    } catch (...) {
        return std::current_exception();
    }
    return nullptr;
}

}  // namespace

TEST_CASE("a loader may give any of four forms", "[call]") {
    const auto load = [](auto loader) { return detail::load_one<Text>(loader, 7); };
    CHECK(load([](int key) { return std::to_string(key); }).value == "7");
    CHECK(load([](int key) { return std::optional{std::to_string(key)}; }).value == "7");
    CHECK_FALSE(load([](int) { return std::optional<Text>{}; }).value);
    CHECK_FALSE(load([](int) { return std::nullopt; }).value);

    const Loaded<Text> loaded =
        load([](int) { return Loaded<Text>{.value = "v", .ttl = 3s, .tags = {"t"}}; });
    CHECK(loaded.value == "v");
    CHECK(loaded.ttl == 3s);
    CHECK(loaded.tags == larder::Tags{"t"});
    CHECK_FALSE(load([](int) { return Text{}; }).ttl);  // the policy's own, unless it is said
}

TEST_CASE("values that are themselves truths or options", "[call]") {
    auto no = [](int) { return false; };
    CHECK(detail::load_one<bool>(no, 1).value == std::optional{false});  // a value, not an absence
    auto optional_no = [](int) { return std::optional<bool>{false}; };
    CHECK(detail::load_one<bool>(optional_no, 1).value == std::optional{false});

    using Option = std::optional<int>;
    auto empty_value = [](int) { return Option{}; };  // exactly V: a row that holds nothing
    CHECK(detail::load_one<Option>(empty_value, 1).value.has_value());
    auto absent = [](int) { return std::optional<Option>{}; };
    CHECK_FALSE(detail::load_one<Option>(absent, 1).value.has_value());
    auto null = [](int) { return std::nullopt; };
    CHECK_FALSE(detail::load_one<Option>(null, 1).value.has_value());

    auto greedy = [](int) { return std::optional<Greedy>{Greedy{}}; };
    CHECK_FALSE(detail::load_one<Greedy>(greedy, 1).value->from_other);
    auto no_greedy = [](int) { return std::optional<Greedy>{}; };
    CHECK_FALSE(detail::load_one<Greedy>(no_greedy, 1).value);
}

TEST_CASE("load goes before a call, and references are seen through", "[call]") {
    struct Both {
        int loads = 0;
        Text load(int) {
            ++loads;
            return "load";
        }
        Text operator()(int) { return "call"; }
    };
    Both both;
    CHECK(detail::load_one<Text>(both, 1).value == "load");
    auto lent = std::ref(both);
    CHECK(detail::load_one<Text>(lent, 1).value == "load");
    CHECK(both.loads == 2);  // the one that was lent, no copy

    struct Constant {
        Text load(int) const { return "const"; }
        Text load(int) { return "not const"; }
    };
    const Constant constant;
    auto lent_const = std::cref(constant);
    CHECK(detail::load_one<Text>(constant, 1).value == "const");
    CHECK(detail::load_one<Text>(lent_const, 1).value == "const");
}

TEST_CASE("what a loader keeps is copied, not taken", "[call]") {
    struct Keeper {
        std::optional<Text> kept{"a text that is too long to be kept within the string itself"};
        std::vector<std::optional<Text>> all{kept, kept, std::nullopt};
        const std::optional<Text>& load(int) { return kept; }
        std::vector<std::optional<Text>>& load_many(std::span<const int>) { return all; }
    };
    Keeper keeper;
    const auto before = keeper.all;
    CHECK(detail::load_one<Text>(keeper, 1).value == keeper.kept);
    CHECK(values(detail::load_many<Text>(keeper, keys())) == before);
    CHECK(keeper.all == before);
}

TEST_CASE("many keys, one by one or at once", "[call]") {
    SECTION("a loader of one") {
        std::vector<int> asked;
        auto loader = [&](int key) {
            asked.push_back(key);
            return key == 2 ? std::nullopt : std::optional{std::to_string(key)};
        };
        CHECK(values(detail::load_many<Text>(loader, keys())) ==
              std::vector<std::optional<Text>>{"1", std::nullopt, "3"});
        CHECK(asked == three);
    }
    SECTION("a loader of many, which wins") {
        struct Batch {
            int batches = 0;
            Text load(int) { throw std::logic_error{"asked for one"}; }
            std::vector<Loaded<Text>> load_many(std::span<const int> asked) {
                ++batches;
                std::vector<Loaded<Text>> all;
                for (const int key : asked) {
                    all.push_back({.value = std::to_string(key), .ttl = larder::Ttl{key}});
                }
                return all;
            }
        };
        Batch batch;
        auto lent = std::ref(batch);
        const auto loaded = detail::load_many<Text>(lent, keys());
        CHECK(values(loaded) == std::vector<std::optional<Text>>{"1", "2", "3"});
        CHECK(loaded[2].ttl == 3ms);
        CHECK(batch.batches == 1);
    }
    SECTION("truths, which a vector packs") {
        struct Flags {
            bool load(int) { return false; }
            std::vector<bool> load_many(std::span<const int>) { return {true, false, true}; }
        };
        Flags flags;
        const auto loaded = detail::load_many<bool>(flags, keys());
        REQUIRE(loaded.size() == 3);
        CHECK(loaded[0].value == std::optional{true});
        CHECK(loaded[1].value == std::optional{false});
    }
    SECTION("none") {
        auto loader = [](int) -> Text { throw std::logic_error{"asked"}; };
        CHECK(detail::load_many<Text>(loader, std::span<const int>{}).empty());
    }
}

TEST_CASE("a batch of the wrong size is an error", "[call]") {
    struct Batch {
        std::size_t answers = 0;
        Text load(int) { return {}; }
        std::vector<Text> load_many(std::span<const int>) { return std::vector<Text>(answers); }
    };
    for (const std::size_t answers : {0U, 2U, 4U}) {
        Batch batch{answers};
        CHECK(caught([&] { (void)detail::load_many<Text>(batch, keys()); }) == Errc::bad_batch);
    }
    Batch right{3};
    CHECK(detail::load_many<Text>(right, keys()).size() == 3);

    struct Writer {
        std::size_t answers = 0;
        std::vector<bool> save_many(std::span<const Change<int, Text>>) {
            return std::vector<bool>(answers, true);
        }
    };
    const std::vector<Change<int, Text>> changes(3);
    Writer writer{2};
    CHECK(caught([&] { (void)detail::save_many(writer, std::span{changes}); }) == Errc::bad_batch);
}

TEST_CASE("what a loader throws passes through", "[call]") {
    auto loader = [](int) -> Text { throw 42; };
    CHECK_THROWS_AS(detail::load_one<Text>(loader, 1), int);
    CHECK_THROWS_AS(detail::load_many<Text>(loader, keys()), int);
}

TEST_CASE("the row that save gives is taken if it is exactly one", "[call]") {
    const Text value = "v";
    std::optional<Text> kept;
    const auto save = [&](auto repository) {
        kept.reset();
        return detail::save_one<Text>(repository, 1, value, kept);
    };
    struct Nothing {
        void save(int, const Text&) {}
    };
    struct Row {
        Text save(int, const Text& value) { return value + "!"; }
    };
    struct Perhaps {
        std::optional<Text> save(int, const Text&) { return std::nullopt; }
    };
    struct RowsAffected {
        int save(int, const Text&) { return 1; }
    };
    struct Success {
        bool save(int, const Text&) { return true; }
    };
    CHECK(save(Nothing{}) == &value);
    CHECK(*save(Row{}) == "v!");
    CHECK(kept == "v!");
    CHECK(save(Perhaps{}) == nullptr);
    CHECK(save(RowsAffected{}) == &value);
    CHECK(save(Success{}) == &value);

    Row row;
    auto lent = std::ref(row);
    CHECK(*detail::save_one<Text>(lent, 1, value, kept) == "v!");
}

TEST_CASE("remove is called, whatever it gives", "[call]") {
    struct Rows {
        std::vector<int> removed{};
        int remove(int key) {
            removed.push_back(key);
            return 1;
        }
    };
    Rows rows;
    auto lent = std::ref(rows);
    detail::remove_one(rows, 1);
    detail::remove_one(lent, 2);
    CHECK(rows.removed == std::vector<int>{1, 2});
}

TEST_CASE("a batch of writes tells which were applied", "[call]") {
    struct Silent {
        std::size_t given = 0;
        void save_many(std::span<const Change<int, Text>> changes) { given = changes.size(); }
    };
    struct ObserverCall {
        std::vector<bool> save_many(std::span<const Change<int, Text>> changes) {
            std::vector<bool> applied;
            for (const auto& change : changes) {
                applied.push_back(change.value.has_value());
            }
            return applied;
        }
    };
    const std::vector<Change<int, Text>> changes{{1, "a"}, {2, std::nullopt}, {3, "c"}};
    Silent silent;
    auto lent = std::ref(silent);
    CHECK(detail::save_many(lent, std::span{changes}) == std::vector<bool>{true, true, true});
    CHECK(silent.given == 3);
    ObserverCall telling;
    CHECK(detail::save_many(telling, std::span{changes}) == std::vector<bool>{true, false, true});
}

TEST_CASE("nothing was written only if that is said", "[call]") {
    struct Plain {};
    struct Refused : std::runtime_error, larder::NotWritten {
        using std::runtime_error::runtime_error;
    };
    struct Bare : larder::NotWritten {};
    struct Derived : Refused {
        using Refused::Refused;
    };
    Plain plain;
    const auto said = [&](auto error) {
        return detail::wrote_nothing(plain, thrown([&] { throw error; }));
    };
    CHECK(said(Refused{"no"}));
    CHECK(said(Derived{"no"}));
    CHECK(said(Bare{}));
    CHECK_FALSE(said(std::runtime_error{"connection lost"}));
    CHECK_FALSE(said(42));
    // Passed on with more said around it: what is thrown still derives from it.
    CHECK(detail::wrote_nothing(plain, thrown([] {
                                    try {
                                        throw std::runtime_error{"inner"};
                                    } catch (...) {
                                        std::throw_with_nested(Refused{"outer"});
                                    }
                                })));
    // What lies inside says nothing of what followed it.
    CHECK_FALSE(detail::wrote_nothing(plain, thrown([] {
                                          try {
                                              throw Refused{"inner"};
                                          } catch (...) {
                                              std::throw_with_nested(std::runtime_error{"outer"});
                                          }
                                      })));
}

TEST_CASE("a repository knows its own exceptions", "[call]") {
    struct Database {
        int asked = 0;
        bool wrote_nothing(const std::exception& error) {
            ++asked;
            const Text text = error.what();
            if (text == "explode") {
                throw std::logic_error{"a bug"};
            }
            return text == "duplicate key";
        }
    };
    Database database;
    auto lent = std::ref(database);
    const auto failure = [](const char* what) {
        return std::make_exception_ptr(std::runtime_error{what});
    };
    CHECK(detail::wrote_nothing(database, failure("duplicate key")));
    CHECK(detail::wrote_nothing(lent, failure("duplicate key")));
    CHECK_FALSE(detail::wrote_nothing(database, failure("connection lost")));
    CHECK_FALSE(detail::wrote_nothing(database, failure("explode")));
    CHECK(database.asked == 4);
    CHECK_FALSE(detail::wrote_nothing(database, std::make_exception_ptr(42)));  // no std::exception
    CHECK(database.asked == 4);
}

// SPDX-License-Identifier: MIT

#include "support/catch.hpp"

#include <larder/detail/write/open_write.hpp>
#include <larder/larder.hpp>

#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

using larder::Written;
using larder::detail::AfterWrite;
using larder::detail::OpenWrite;
using larder::detail::WriteStep;

namespace {

using Store = larder::MemoryStore<int, int>;

int nothing(int) {
    return 0;
}

using Core = larder::detail::Core<Store, int (*)(int)>;

struct Fixture {
    Store store{};
    Core core{store, nothing, {}};
    const int key = 7;

    std::vector<WriteStep> steps{};

    // Carries out one step after the other; `between` sees what is next.
    template <class Save, class Between>
    void run(OpenWrite<Core>& write, Save&& save, Between&& between) {
        while (write.next() != WriteStep::done) {
            steps.push_back(write.next());
            write.step(save);
            between(write.next());
        }
    }
};

}  // namespace

TEST_CASE("a write is carried out a step at a time, and reads see each", "[open_write]") {
    Fixture f;
    int row = 1;
    f.store.put(7, 1, {larder::Ttl{1000}});
    OpenWrite<Core> write{f.core, f.key, AfterWrite::replace};
    CHECK(f.store.find(7));
    f.run(
        write,
        [&] {
            row = 2;
            return &row;
        },
        [&](WriteStep next) {
            const auto copy = f.store.find(7);
            CHECK(copy.has_value() == (next == WriteStep::done));
            CHECK(f.store.in_hand().tickets == (next == WriteStep::done ? 0U : 1U));
        });
    CHECK(f.steps == std::vector{WriteStep::begin, WriteStep::save, WriteStep::finish});
    CHECK(f.store.find(7)->value == 2);
    CHECK_NOTHROW(write.rethrow());
}

TEST_CASE("what the save threw comes after what is owed", "[open_write]") {
    Fixture f;
    struct Duplicate : std::runtime_error, larder::NotWritten {
        using runtime_error::runtime_error;
    };
    OpenWrite<Core> write{f.core, f.key, AfterWrite::replace};
    f.run(
        write, []() -> const int* { throw Duplicate{"there is one"}; }, [](WriteStep) {});
    CHECK(f.steps == std::vector{WriteStep::begin, WriteStep::save, WriteStep::clear});
    CHECK_THROWS_AS(write.rethrow(), Duplicate);
    CHECK(f.store.in_hand().tickets == 0);
}

TEST_CASE("a write that goes before its save ends its ticket", "[open_write]") {
    Fixture f;
    {
        OpenWrite<Core> write{f.core, f.key, AfterWrite::replace};
        write.open();
        CHECK(f.store.in_hand().tickets == 1);
        const OpenWrite<Core> moved{std::move(write)};
        CHECK(moved.next() == WriteStep::save);
    }
    CHECK(f.store.in_hand().tickets == 0);
}

TEST_CASE("a write that goes while it saves lets its ticket stand", "[open_write]") {
    Fixture f;
    f.store.put(7, 1, {larder::Ttl{1000}});
    {
        OpenWrite<Core> write{f.core, f.key, AfterWrite::replace};
        write.open();
        write.saving();
    }
    CHECK(f.store.in_hand().tickets == 1);
    CHECK_FALSE(f.store.find(7));
}

TEST_CASE("a write that was told of its end takes no second word", "[open_write]") {
    Fixture f;
    const int row = 5;
    OpenWrite<Core> write{f.core, f.key, AfterWrite::replace};
    write.open();
    write.saving();
    write.saved(Written::yes, &row);
    write.finish();
    write.saved(Written::unknown);
    write.finish();
    CHECK(f.store.find(7)->value == 5);
}

// SPDX-License-Identifier: MIT

// A MemoryStore beside a map, a clock and the state machine: calls in any order, of which one or another
// step fails. Every answer, size, weight and removal is compared.

#include "fuzz/memory_game.hpp"
#include "support/failing_new.hpp"

#include <larder/larder.hpp>
#include <larder/store/eviction/adaptive_clock.hpp>
#include <larder/store/eviction/lru.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>

namespace {

using larder_test::Bytes;

// What may be copied byte by byte.
template <class Hash, class Eviction = larder::AdaptiveClock>
struct Numbers {
    using Store = larder::MemoryStore<std::uint64_t, std::uint64_t, larder::ManualClock, Hash,
                                      std::equal_to<>, Eviction>;

    static constexpr const char* name = "numbers";
    static constexpr bool arguments_may_fail = false;
    static constexpr bool in_order = std::is_same_v<Eviction, larder::Lru>;

    static larder::ManualClock clock(const larder::ManualClock& manual) { return manual; }
    static std::uint64_t key(int number) { return static_cast<std::uint64_t>(number) << 32U; }
    static int number(std::uint64_t key) { return static_cast<int>(key >> 32U); }
    static std::uint64_t value(int id) { return static_cast<std::uint64_t>(id); }
    static int id(std::uint64_t value) { return static_cast<int>(value); }
};

// Keys that meet in few places.
struct FewHashes {
    std::size_t operator()(std::uint64_t key) const noexcept { return (key >> 32U) % 3; }
};

// Some have their bytes in themselves, some do not.
struct Texts {
    using Store = larder::MemoryStore<std::string, std::string, larder::ManualClock>;

    static constexpr const char* name = "texts";
    static constexpr bool arguments_may_fail = false;
    static constexpr bool in_order = false;

    static larder::ManualClock clock(const larder::ManualClock& manual) { return manual; }
    static std::string text(int number) {
        return std::to_string(number) + std::string(static_cast<std::size_t>(number % 4) * 9, '.');
    }
    static int parsed(const std::string& text) {
        int number = 0;
        std::from_chars(text.data(), text.data() + text.size(), number);
        return number;
    }
    static std::string key(int number) { return text(number); }
    static int number(const std::string& key) { return parsed(key); }
    static std::string value(int id) { return text(id); }
    static int id(const std::string& value) { return parsed(value); }
};

// Every step may fail.
template <bool moves_may_fail>
struct Frails {
    using Key = larder_test::Brittle<true>;
    using Value = larder_test::Brittle<moves_may_fail>;
    using Store =
        larder::MemoryStore<Key, Value, larder_test::BrittleClock, larder_test::BrittleHash>;

    static constexpr const char* name = moves_may_fail ? "frail" : "firm";
    static constexpr bool arguments_may_fail = moves_may_fail;
    static constexpr bool in_order = false;

    static larder_test::BrittleClock clock(const larder::ManualClock& manual) { return {manual}; }
    static Key key(int number) { return Key{number}; }
    static int number(const Key& key) { return key.number(); }
    static Value value(int id) { return Value{id}; }
    static int id(const Value& value) { return value.number(); }
};

template <class Kind>
void play(Bytes& bytes) {
    larder_test::MemoryGame<Kind>{bytes}.play();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bytes bytes{data, size};
    switch (bytes.next() % 6) {
        case 0: play<Numbers<larder::Hash<std::uint64_t>>>(bytes); break;
        case 1: play<Numbers<FewHashes>>(bytes); break;
        case 2: play<Texts>(bytes); break;
        case 3: play<Frails<true>>(bytes); break;
        case 4: play<Numbers<larder::Hash<std::uint64_t>, larder::Lru>>(bytes); break;
        default: play<Frails<false>>(bytes); break;
    }
    return 0;
}

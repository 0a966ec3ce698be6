// SPDX-License-Identifier: MIT

/// @file
/// The names of a journal's keys in Redis.

#ifndef LARDER_REDIS_DETAIL_JOURNAL_NAMES_HPP
#define LARDER_REDIS_DETAIL_JOURNAL_NAMES_HPP

#include <larder/redis/key_name.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

LARDER_NS_BEGIN

namespace redis::detail {

/// The keys of one partition of a journal, in the order in which scripts take them:
///
/// | Key       | Kind   | Holds                                                                    |
/// |-----------|--------|--------------------------------------------------------------------------|
/// | `changes` | hash   | the newest change of each key: `1`, version (16 digits), `+` or `-`, value |
/// | `waiting` | sorted | keys that nobody has tried to write, by the µs since which they wait     |
/// | `letters` | hash   | what was buried: see JournalBytes                                        |
/// | `later`   | sorted | keys in hand, or to be tried again, by the ms at which they are due      |
/// | `held`    | sorted | the same keys, by the µs since which they wait                           |
/// | `claims`  | hash   | of the same keys, behind a `:`: claim (16 hexadecimal digits, all 0: none), version, ms of the first failure (16 digits each), tries; `dead` of a key that has a letter; `counter`, the last version; `over`, the last one that was recorded over a pending change; and, behind a `!` and the name of a hand, its last 20 digits, `over` as it was then (16), and its keys |
/// | `hands`   | sorted | of changes that were claimed together and untried, which `later`, `held` and `claims` do not know one by one: 12 digits that their claims begin with, the µs since which the first of them waits (16), how many they are (4), by the ms at which they are due |
///
/// They begin with `~`, which no namespace does, and have no life: `volatile-*` does not evict them.
class JournalNames {
public:
    static constexpr std::size_t count = 7;
    using Keys = std::array<std::string, count>;

    /// @param schema     as RedisStoreOptions::schema
    /// @param partition  the slot's name in a cluster: all keys of a script are in one; empty: none
    /// @throws std::invalid_argument  as require_namespace
    JournalNames(std::string_view name, std::uint32_t schema, std::string_view partition = {}) {
        require_namespace(name);
        journal_ = "~journal:" + std::string{name};
        if (schema != 0) {
            journal_ += '@' + std::to_string(schema);
        }
        if (!partition.empty()) {
            journal_ += ":{" + std::string{partition} + '}';
        }
        std::size_t at = 0;
        for (const char* const part :
             {"changes", "waiting", "letters", "later", "held", "claims", "hands"}) {
            keys_[at++] = journal_ + ':' + part;
        }
    }

    /// What all of them begin with.
    [[nodiscard]] const std::string& journal() const noexcept { return journal_; }

    [[nodiscard]] const Keys& keys() const noexcept { return keys_; }
    /// Those that a change is recorded in: who has others in hand does not matter.
    [[nodiscard]] std::span<const std::string> record_keys() const noexcept {
        return std::span{keys_}.first(count - 1);
    }
    [[nodiscard]] const std::string& changes() const noexcept { return keys_[0]; }
    [[nodiscard]] const std::string& waiting() const noexcept { return keys_[1]; }
    [[nodiscard]] const std::string& letters() const noexcept { return keys_[2]; }
    [[nodiscard]] const std::string& held() const noexcept { return keys_[4]; }
    [[nodiscard]] const std::string& hands() const noexcept { return keys_[6]; }
    /// The µs in a member of `hands`.
    [[nodiscard]] static std::string_view since(std::string_view hand) noexcept {
        return hand.substr((std::min)(hand.size(), std::size_t{12}), 16);
    }

private:
    std::string journal_{};
    Keys keys_{};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_JOURNAL_NAMES_HPP

// SPDX-License-Identifier: MIT

/// @file
/// Judges what is in the database against what writers were told that it is safe.

#ifndef LARDER_TESTS_SUPPORT_BEHIND_JUDGE_HPP
#define LARDER_TESTS_SUPPORT_BEHIND_JUDGE_HPP

#include "support/behind/notes.hpp"
#include "support/behind/row_table.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace larder_test {

struct KillVerdict {
    std::vector<std::string> lost{};       ///< keys whose last acknowledged change is not there
    std::vector<std::string> went_back{};  ///< rows that were at a newer version before
    std::size_t acknowledged = 0;
    std::size_t removed = 0;    ///< acknowledged removals
    std::size_t in_doubt = 0;   ///< changes of which nobody was told how they ended
    std::size_t coalesced = 0;  ///< acknowledged changes that the database was spared
};

namespace detail_of_kill {

struct KeyStory {
    std::uint64_t last = 0;  // acknowledged; 0: none
    bool removed = true;
    std::map<std::uint64_t, bool> open{};  // begun, not acknowledged: whether it removes

    void note(const Note& note) {
        if (note.kind == Note::Kind::begun) {
            open.emplace(note.number, note.removes);
        } else if (note.number > last) {
            last = note.number;
            removed = note.removes;
            open.erase(open.begin(), open.upper_bound(note.number));
        }
    }
    [[nodiscard]] bool explains(std::optional<std::uint64_t> found) const {
        if (found ? !removed && *found == last : removed) {
            return true;
        }
        for (const auto& [number, removes] : open) {
            if (found ? !removes && *found == number : removes) {
                return true;
            }
        }
        return false;
    }
};

}  // namespace detail_of_kill

/// Of each key the row, or its absence, must be the last acknowledged change, or one after that of which
/// its writer was not told.
///
/// @param notes  of each key in the order of its writer
inline KillVerdict judge(const std::vector<Note>& notes, const std::map<int, std::string>& rows,
                         const std::vector<RowStep>& history) {
    KillVerdict verdict;
    std::map<int, detail_of_kill::KeyStory> keys;
    for (const Note& note : notes) {
        keys[note.key].note(note);
        if (note.kind == Note::Kind::acknowledged) {
            ++verdict.acknowledged;
            verdict.removed += note.removes ? 1 : 0;
        } else {
            ++verdict.in_doubt;
        }
    }
    verdict.in_doubt -= verdict.acknowledged;
    verdict.coalesced =
        verdict.acknowledged > history.size() ? verdict.acknowledged - history.size() : 0;
    for (const auto& [key, value] : rows) {
        keys[key];  // one that nobody has written is to be seen, too
    }
    for (const auto& [key, story] : keys) {
        const auto row = rows.find(key);
        const auto found =
            row == rows.end() ? std::nullopt : std::optional{number_in(key, row->second)};
        if (!story.explains(found)) {
            verdict.lost.push_back(
                "key " + std::to_string(key) +
                (found ? " holds " + std::to_string(*found) : std::string{" holds nothing"}) +
                ", acknowledged was " + (story.removed ? "the removal " : "") +
                std::to_string(story.last));
        }
    }
    std::map<int, std::uint64_t> newest;
    for (const RowStep& step : history) {
        std::uint64_t& before = newest[step.key];
        if (step.version < before) {
            verdict.went_back.push_back("key " + std::to_string(step.key) + " went from version " +
                                        std::to_string(before) + " to " +
                                        std::to_string(step.version));
        }
        before = step.version;
    }
    return verdict;
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_BEHIND_JUDGE_HPP

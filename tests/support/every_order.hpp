// SPDX-License-Identifier: MIT

/// @file
/// Every way that a run which asks for choices can go.

#ifndef LARDER_TESTS_SUPPORT_EVERY_ORDER_HPP
#define LARDER_TESTS_SUPPORT_EVERY_ORDER_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace larder_test {

/// The choices of one run. The runs of `every_order` differ in them, and no two are alike.
class Choices {
public:
    /// One of so many.
    std::size_t among(std::size_t many) {
        if (at_ == made_.size()) {
            made_.push_back({random_ ? (*random_)() % many : 0, many});
        }
        return made_[at_++].taken;
    }

    /// From now on new choices are made at random.
    void at_random(std::uint32_t seed) { random_.emplace(seed); }

    /// What was chosen so far: `0 2 1`, for the message of a failure.
    [[nodiscard]] std::string text() const {
        std::string all;
        for (std::size_t i = 0; i < at_; ++i) {
            all += (i == 0 ? "" : " ") + std::to_string(made_[i].taken);
        }
        return all;
    }

    /// The next run's; false if there is none.
    bool next() {
        made_.resize(at_);
        while (!made_.empty() && made_.back().taken + 1 == made_.back().many) {
            made_.pop_back();
        }
        at_ = 0;
        if (made_.empty()) {
            return false;
        }
        ++made_.back().taken;
        return true;
    }

    /// Forgets all of them.
    void anew() {
        made_.clear();
        at_ = 0;
    }

private:
    struct Choice {
        std::size_t taken;
        std::size_t many;
    };
    std::vector<Choice> made_{};
    std::size_t at_ = 0;
    std::optional<std::minstd_rand> random_{};
};

/// Carries out `run(choices)` once for each way that its choices can go, depth first.
///
/// @return how many there were
template <class Run>
std::uint64_t every_order(Run&& run) {
    Choices choices;
    std::uint64_t runs = 0;
    do {
        run(choices);
        ++runs;
    } while (choices.next());
    return runs;
}

/// So many of them, at random.
template <class Run>
std::uint64_t some_orders(std::uint64_t runs, std::uint32_t seed, Run&& run) {
    Choices choices;
    choices.at_random(seed);
    for (std::uint64_t i = 0; i < runs; ++i) {
        choices.anew();
        run(choices);
    }
    return runs;
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_EVERY_ORDER_HPP

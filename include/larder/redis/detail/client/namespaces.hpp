// SPDX-License-Identifier: MIT

/// @file
/// Which namespaces the stores of one client have, so that none reaches into another's keys.

#ifndef LARDER_REDIS_DETAIL_CLIENT_NAMESPACES_HPP
#define LARDER_REDIS_DETAIL_CLIENT_NAMESPACES_HPP

#include <larder/version.hpp>

#include <cstddef>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// What keys of a client begin with: `shop:` and `shop:cart:` cannot both be, since the keys of the
/// second might be keys of the first; `shop:` twice can.
///
/// Thread safety: all members may run concurrently.
class Namespaces {
public:
    /// A namespace is in use as long as this lives. The Namespaces must outlive it.
    class Registration {
    public:
        /// @param prefix  ends with a colon
        /// @throws std::invalid_argument  another is its prefix, or begins with it
        Registration(Namespaces& all, std::string prefix) : all_{all}, prefix_{std::move(prefix)} {
            all_.add(prefix_);
        }
        Registration(const Registration&) = delete;
        Registration& operator=(const Registration&) = delete;
        ~Registration() { all_.remove(prefix_); }

    private:
        Namespaces& all_;
        const std::string prefix_;
    };

private:
    using Used = std::map<std::string, std::size_t>;

    void add(const std::string& prefix) {
        const std::scoped_lock lock{mutex_};
        for (std::size_t at = prefix.find(':'); at + 1 < prefix.size();
             at = prefix.find(':', at + 1)) {
            if (used_.contains(prefix.substr(0, at + 1))) {
                refuse(prefix, prefix.substr(0, at + 1));
            }
        }
        // What begins with it comes right after it.
        if (const auto next = used_.upper_bound(prefix);
            next != used_.end() && next->first.starts_with(prefix)) {
            refuse(prefix, next->first);
        }
        ++used_[prefix];
    }
    void remove(const std::string& prefix) noexcept {
        const std::scoped_lock lock{mutex_};
        if (const auto at = used_.find(prefix); --at->second == 0) {
            used_.erase(at);
        }
    }

    [[noreturn]] static void refuse(std::string_view prefix, std::string_view other) {
        const auto name = [](std::string_view p) {
            return '"' + std::string{p.substr(0, p.size() - 1)} + '"';
        };
        throw std::invalid_argument{"larder: the namespace " + name(prefix) +
                                    " cannot be used beside " + name(other) +
                                    ": keys of one might be keys of the other"};
    }

    std::mutex mutex_{};
    Used used_{};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_NAMESPACES_HPP

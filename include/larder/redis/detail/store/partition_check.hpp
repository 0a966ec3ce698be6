// SPDX-License-Identifier: MIT

/// @file
/// Sees that all who use a namespace divide its keys alike.

#ifndef LARDER_REDIS_DETAIL_STORE_PARTITION_CHECK_HPP
#define LARDER_REDIS_DETAIL_STORE_PARTITION_CHECK_HPP

#include <larder/detail/support/process.hpp>
#include <larder/error.hpp>
#include <larder/redis/client.hpp>
#include <larder/redis/detail/store/partitions.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/store_options.hpp>
#include <larder/version.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// How many a store or a journal has, 0 for plain names: what the user says, or else what suits the server.
[[nodiscard]] inline std::uint32_t partitions_of(const Client& client,
                                                 std::uint32_t chosen) noexcept {
    return chosen != 0 ? chosen : client.clustered() ? cluster_partitions : 0;
}

/// A key of the namespace remembers its number of partitions: who comes with another would neither see
/// nor invalidate what the others keep, and is refused. Asked at the first use, and when another server
/// may hold the key. A namespace with plain names has no such key. Rule R10.
///
/// Thread safety: all members may run concurrently.
///
/// A template so that whoever includes it and has no store does not compile it.
template <class = void>
class BasicPartitionCheck {
public:
    /// @param name  of the namespace, with its schema
    BasicPartitionCheck(Client client, std::string name, const Partitions& partitions)
        : client_{std::move(client)},
          name_{std::move(name)},
          count_{partitions.plain() ? 0 : partitions.count()} {}

    /// @throws StoreError  the namespace has another number of partitions; or the server cannot be asked,
    ///                     the first time
    void require() const {
        if (count_ == 0) {
            return;
        }
        const std::uint64_t now = (larder::detail::forks() << 48U) + client_.topology() + 1;
        if (asked_.load(std::memory_order_relaxed) != now) [[unlikely]] {
            try {
                ask();
            } catch (const NoReply&) {
                // The other primaries serve their keys all the same, if the number was good before.
                if (asked_.load(std::memory_order_relaxed) == 0) {
                    throw;
                }
            }
            asked_.store(now, std::memory_order_relaxed);
        }
    }

private:
    void ask() const {
        const std::string key = "~partitions:" + name_;
        const std::string mine = "format=1 partitions=" + std::to_string(count_);
        Pipeline look;
        look.repeatable().command("GET", key);
        Reply known = client_.run_one(look);
        if (known.is_nil()) {
            require_unused();
            Pipeline note;
            note.repeatable().command("SET", key, mine, "NX").command("GET", key);
            std::array<Reply, 2> replies;
            client_.run(note, replies);
            if (replies[1].is_nil() && replies[0].is_error()) {
                client_.throw_error("SET " + key, replies[0]);
            }
            known = std::move(replies[1]);
        }
        if (known.is_error()) {
            client_.throw_error("GET " + key, known);
        }
        if (known.text() != mine) {
            refuse(key + " says \"" + std::string{known.text()} + '"');
        }
    }

    // These outlive all values: a clock, and a journal's counter.
    void require_unused() const {
        for (const std::string& plain : {"~clock:" + name_, "~journal:" + name_ + ":claims"}) {
            Pipeline look;
            look.repeatable().command("EXISTS", plain);
            const Reply reply = client_.run_one(look);
            if (reply.is_integer() && reply.integer() == 1) {
                refuse("it was used with plain names, as one partition (there is " + plain + ')');
            }
        }
    }

    [[noreturn]] void refuse(const std::string& why) const {
        throw StoreError{"redis " + client_.name() + ": the namespace " + name_ +
                         " cannot be used with " + std::to_string(count_) + " partitions: " + why +
                         ". Give all its stores and journals one number, or another schema"};
    }

    const Client client_;
    const std::string name_;
    const std::size_t count_;  // 0: plain names, and nothing is asked
    mutable std::atomic<std::uint64_t> asked_{0};
};

using PartitionCheck = BasicPartitionCheck<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_PARTITION_CHECK_HPP

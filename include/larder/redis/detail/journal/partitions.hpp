// SPDX-License-Identifier: MIT

/// @file
/// The partitions of a journal, and the server that is asked about them.

#ifndef LARDER_REDIS_DETAIL_JOURNAL_PARTITIONS_HPP
#define LARDER_REDIS_DETAIL_JOURNAL_PARTITIONS_HPP

#include <larder/redis/client.hpp>
#include <larder/redis/detail/journal/names.hpp>
#include <larder/redis/detail/store/partition_check.hpp>
#include <larder/redis/detail/store/partitions.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/journal_options.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/script.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// What is asked of one partition at once.
struct PartitionShare {
    std::size_t partition = 0;
    std::vector<std::size_t> places{};  ///< of its keys, among all that are asked for
};

/// A journal's partitions are those of the store whose values it journals: a copy and its change are in
/// one hash slot. Each has changes, claims and a counter of its own; which one a key is in is told by its
/// text alone.
///
/// Thread safety: all members may run concurrently.
///
/// A template so that whoever includes it and has no journal does not compile it.
template <class = void>
class BasicJournalPartitions {
public:
    /// @throws std::invalid_argument  as require_namespace, or there are too many partitions
    BasicJournalPartitions(Client given, std::string_view name, const RedisJournalOptions& options)
        : client{std::move(given)},
          partitions_{checked(partitions_of(client, options.partitions))},
          journal_{JournalNames{name, options.schema}.journal()},
          check_{client, journal_.substr(std::string_view{"~journal:"}.size()), partitions_} {
        names_.reserve(partitions_.count());
        for (std::size_t i = 0; i < partitions_.count(); ++i) {
            names_.emplace_back(
                name, options.schema,
                partitions_.plain() ? std::string{} : std::string{partitions_.tag(i)});
        }
    }

    /// What the names of all of them begin with: for messages.
    [[nodiscard]] const std::string& journal() const noexcept { return journal_; }

    /// As RedisStoreOptions::partitions: 0 where names are plain.
    [[nodiscard]] std::size_t divided() const noexcept {
        return partitions_.plain() ? 0 : partitions_.count();
    }

    [[nodiscard]] std::size_t count() const noexcept { return names_.size(); }
    [[nodiscard]] const std::vector<JournalNames>& all() const noexcept { return names_; }
    [[nodiscard]] const JournalNames& operator[](std::size_t i) const noexcept { return names_[i]; }

    /// The partition of a key.
    [[nodiscard]] std::size_t of(std::string_view key) const noexcept {
        return partitions_.of(key);
    }

    /// The partitions of many keys, with the places of theirs.
    ///
    /// @param key_at  the text of the i-th
    template <class KeyAt>
    [[nodiscard]] std::vector<PartitionShare> shares(std::size_t keys, KeyAt&& key_at) const {
        std::vector<PartitionShare> some;
        std::vector<std::size_t> share_of(count(), none);
        for (std::size_t i = 0; i < keys; ++i) {
            std::size_t& share = share_of[of(key_at(i))];
            if (share == none) {
                share = some.size();
                some.push_back({of(key_at(i)), {}});
            }
            some[share].places.push_back(i);
        }
        return some;
    }

    // ---- asking ----

    /// Adds a script of one partition.
    static void add(Pipeline& pipeline, const JournalNames& names, const Script& script,
                    std::span<const std::string> args) {
        const std::vector<std::string_view> keys{names.keys().begin(), names.keys().end()};
        const std::vector<std::string_view> words{args.begin(), args.end()};
        pipeline.script(script, keys, words);
    }

    /// A reply a command; errors too are replies.
    ///
    /// @throws StoreError  there are none, or the namespace is divided otherwise
    [[nodiscard]] std::vector<Reply> ask(const Pipeline& pipeline) const {
        std::vector<Reply> replies(pipeline.size());
        ask(pipeline, replies);
        return replies;
    }
    /// The same, into replies of the caller's: where it throws, some may be there.
    void ask(const Pipeline& pipeline, std::span<Reply> replies) const {
        check_.require();
        client.run(pipeline, replies);
    }

    /// The same of commands of which none may fail.
    ///
    /// @param what  for messages
    [[nodiscard]] std::vector<Reply> run(const Pipeline& pipeline, std::string_view what) const {
        std::vector<Reply> replies = ask(pipeline);
        for (const Reply& reply : replies) {
            check(reply, what);
        }
        return replies;
    }
    void check(ReplyView reply, std::string_view what) const {
        if (reply.is_error()) {
            client.throw_error(std::string{what} + " in " + journal_, reply);
        }
    }

    /// What no journal answers: whatever that was, it tells nothing.
    [[nodiscard]] NoReply odd(std::string_view what) const {
        return {"redis " + client.name() + ": " + std::string{what} + " in " + journal_ +
                    ": a reply of another shape",
                Outcome::unknown};
    }

    const Client client;

private:
    static constexpr std::size_t none = static_cast<std::size_t>(-1);

    static std::uint32_t checked(std::uint32_t count) {
        require_partitions("RedisJournalOptions::partitions", count);
        return count;
    }

    const Partitions partitions_;
    const std::string journal_;
    const PartitionCheck check_;
    std::vector<JournalNames> names_{};
};

using JournalPartitions = BasicJournalPartitions<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_JOURNAL_PARTITIONS_HPP

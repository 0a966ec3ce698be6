// SPDX-License-Identifier: MIT

/// @file
/// What a journal needs of its server, and whether that has it.

#ifndef LARDER_REDIS_DETAIL_JOURNAL_SERVER_CHECK_HPP
#define LARDER_REDIS_DETAIL_JOURNAL_SERVER_CHECK_HPP

#include <larder/detail/support/process.hpp>
#include <larder/error.hpp>
#include <larder/redis/client.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/journal_options.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// Refuses a server that could evict the journal, or cannot promise its durability; of a cluster each
/// primary that answers. Asked at the first use, and again after every connection that was opened: another
/// server may stand behind it.
///
/// Thread safety: all members may run concurrently.
///
/// A template so that whoever includes it and has no journal does not compile it.
template <class = void>
class BasicServerCheck {
public:
    /// @param journal  the journal's name, for messages
    BasicServerCheck(Client client, const RedisJournalOptions& options, std::string journal)
        : client_{std::move(client)}, options_{options}, journal_{std::move(journal)} {}

    /// Of the connections that there are: another once one was opened.
    using Moment = std::uint64_t;

    /// @return when that was found, for `still`
    /// @throws StoreError  the server is refused, with what to set; or it cannot be asked
    Moment require() {
        Moment now = moment();
        for (int tries = 0; asked_.load(std::memory_order_relaxed) != now && tries < 2; ++tries) {
            ask();  // which may open one
            asked_.store(now, std::memory_order_relaxed);
            now = moment();
        }
        return now;
    }

    /// The same once more, if a connection was opened since: what was asked for in between may have
    /// gone to another server.
    void still(Moment then) {
        if (moment() != then) {
            require();
        }
    }

    /// Whether the server has WAITAOF; once it was asked.
    [[nodiscard]] bool waits_for_disk() const noexcept {
        return waits_for_disk_.load(std::memory_order_relaxed);
    }

private:
    [[nodiscard]] Moment moment() const noexcept {
        return (larder::detail::forks() << 48U) + client_.stats().connects + client_.topology() + 1;
    }

    void ask() {
        Pipeline pipeline;
        if (!options_.assume_no_eviction) {
            pipeline.command("CONFIG", "GET", "maxmemory-policy").command("INFO", "memory");
        }
        if (options_.durability.on_disk()) {
            pipeline.command("COMMAND", "INFO", "WAITAOF")
                .command("CONFIG", "GET", "appendonly")
                .command("CONFIG", "GET", "appendfsync");
        }
        pipeline.repeatable();
        if (!client_.clustered()) {
            require_fit(client_.run(pipeline));
            return;
        }
        bool any = false;
        std::exception_ptr failure;
        for (const Endpoint& primary : client_.primaries()) {
            std::vector<Reply> replies(pipeline.size());
            try {
                client_.run_at(primary, pipeline, replies);
            } catch (const NoReply&) {
                // It takes no changes before a connection to it is opened: then it is asked.
                failure = std::current_exception();
                continue;
            }
            require_fit(replies);
            any = true;
        }
        if (!any && failure) {
            std::rethrow_exception(failure);
        }
    }

    void require_fit(const std::vector<Reply>& replies) {
        std::size_t at = 0;
        if (!options_.assume_no_eviction) {
            require_no_eviction(replies[0], replies[1]);
            at = 2;
        }
        if (options_.durability.on_disk()) {
            require_disk(replies[at], replies[at + 1], replies[at + 2]);
        }
    }

    void require_no_eviction(const Reply& config, const Reply& info) const {
        std::string policy{config[1].text()};
        constexpr std::string_view field = "maxmemory_policy:";
        if (const std::size_t found = info.text().find(field);
            policy.empty() && found != std::string_view::npos) {
            const std::string_view rest = info.text().substr(found + field.size());
            policy = rest.substr(0, rest.find_first_of("\r\n"));
        }
        if (policy.empty()) {
            refuse(
                "it does not tell its maxmemory-policy (CONFIG GET and INFO: " +
                std::string{config.text()} +
                "): allow one of them, or say assume_no_eviction where that policy is noeviction "
                "or volatile-*");
        }
        if (policy != "noeviction" && !policy.starts_with("volatile-")) {
            refuse("its maxmemory-policy is " + policy +
                   ", which may evict changes: set it to noeviction or to one of volatile-*");
        }
    }

    void require_disk(const Reply& command, const Reply& append_only, const Reply& fsync) {
        const bool waits = command[0].is_array() && command[0].size() > 0;
        waits_for_disk_.store(waits, std::memory_order_relaxed);
        if (append_only[1].text() == "no") {
            refuse("Durability::fsync needs appendonly yes, but it is no");
        }
        if (!waits && fsync[1].text() != "always") {
            refuse(
                "Durability::fsync needs appendfsync always on a server without WAITAOF (it came with "
                "Redis 7.2), but it is " +
                (fsync[1].text().empty() ? "not told" : std::string{fsync[1].text()}));
        }
    }

    [[noreturn]] void refuse(const std::string& why) const {
        throw StoreError{"redis " + client_.name() + " cannot keep the journal " + journal_ + ": " +
                         why};
    }

    const Client client_;
    const RedisJournalOptions options_;
    const std::string journal_;
    std::atomic<Moment> asked_{0};
    std::atomic<bool> waits_for_disk_{false};
};

using ServerCheck = BasicServerCheck<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_JOURNAL_SERVER_CHECK_HPP

// SPDX-License-Identifier: MIT

/// @file
/// A connection that many callers share: who comes while it is busy joins the next batch.

#ifndef LARDER_REDIS_DETAIL_CLIENT_MULTIPLEXER_HPP
#define LARDER_REDIS_DETAIL_CLIENT_MULTIPLEXER_HPP

#include <larder/redis/detail/client/batch_pace.hpp>
#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/channel.hpp>
#include <larder/redis/detail/client/connection.hpp>
#include <larder/redis/detail/client/exchange.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/client/server.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// A shared connection without a thread of its own. The caller that finds it idle leads: it sends
/// all that has gathered, reads all replies, hands the leadership to the one that has waited longest,
/// and wakes those whose replies are there. In a crowd it gives way once before it sends: those who
/// have their replies, and not yet a processor, call again, and so all are sent together.
///
/// Thread safety: all members may run concurrently.
class Multiplexer {
public:
    /// More than that is not sent at once.
    static constexpr std::size_t max_bytes = 256 * 1024;
    static constexpr std::size_t max_commands = 1024;

    /// Whether somebody is using it. A hint.
    [[nodiscard]] bool busy() const noexcept { return busy_.load(std::memory_order_relaxed); }

    /// Whether its connection served when it was used last. A hint.
    [[nodiscard]] bool connected() const noexcept {
        return connected_.load(std::memory_order_relaxed);
    }

    /// When the batch was sent that it is busy with. A hint.
    [[nodiscard]] time_point busy_since() const noexcept {
        return time_point{Call::duration{since_.load(std::memory_order_relaxed)}};
    }

    /// Carries out a call, with others if it meets them.
    ///
    /// @param crowd  how many call at the same time, if those who are about to call are to be given
    ///               time to join; else 0
    void run(Server& server, Call& call, std::size_t crowd) noexcept {
        time_point now = call.time.start;
        if (enter(call)) {
            if (server.give_way(crowd)) {
                now = std::chrono::steady_clock::now();
            }
        } else {
            switch (call.wait(server.give_way, crowd)) {
                case Call::leading: now = std::chrono::steady_clock::now(); break;
                case Call::taking_over: Exchange<Leadership>{server, call}.take_over(); return;
                default: return;
            }
        }
        const std::size_t commands = cut_batch(now);
        Exchange<Leadership> exchange{server, call, channel_};
        Leadership leadership{*this, crowd > 0 ? &server.pace : nullptr, now, commands};
        exchange.run(now, &leadership);
    }

    /// Closes the connection if nobody has used it since.
    void close_unused(time_point since) noexcept {
        std::unique_ptr<Connection> unused;
        const std::lock_guard lock{mutex_};
        if (!busy() && busy_since() < since) {
            unused = std::move(channel_.connection);
            connected_.store(false, std::memory_order_relaxed);
        }
    }

    /// Whoever holds it does the input and output of all. Its end passes it on.
    class Leadership {
    public:
        /// @param pace  is told how long the batch took, the waking of its callers not counted; may be
        ///              null
        Leadership(Multiplexer& multiplexer, BatchPace* pace, time_point sent,
                   std::size_t commands) noexcept
            : multiplexer_{&multiplexer}, pace_{pace}, sent_{sent}, commands_{commands} {}
        Leadership(const Leadership&) = delete;
        Leadership& operator=(const Leadership&) = delete;
        ~Leadership() { pass_on(nullptr); }

        /// @param back  calls that are to be sent again, before all that wait
        void pass_on(Call* back) noexcept {
            if (multiplexer_ == nullptr) {
                return;
            }
            if (pace_ != nullptr) {
                pace_->took(sent_ + connecting, std::chrono::steady_clock::now(), commands_);
            }
            std::exchange(multiplexer_, nullptr)->next_leads(back, connecting);
        }

        Call::duration connecting{0};  ///< spent on opening connections

    private:
        Multiplexer* multiplexer_;
        BatchPace* pace_;
        time_point sent_;
        std::size_t commands_;
    };

    /// In a child: closes the parent's socket, which stays open there.
    void close_inherited() noexcept {
        if (channel_.connection) {
            channel_.connection->close_inherited();
        }
    }

private:
    // Queues it. False: somebody leads.
    [[nodiscard]] bool enter(Call& call) noexcept {
        const std::lock_guard lock{mutex_};
        call.connecting = connecting_;
        (last_ == nullptr ? head_ : last_->next) = &call;
        last_ = &call;
        if (busy()) {
            return false;
        }
        since_.store(call.time.start.time_since_epoch().count(), std::memory_order_relaxed);
        busy_.store(true, std::memory_order_relaxed);
        return true;
    }

    // Takes from the queue what fits into one batch: at least its first, who leads. How many commands
    // that is.
    std::size_t cut_batch(time_point now) noexcept {
        const std::lock_guard lock{mutex_};
        since_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
        std::size_t bytes = head_->bytes.size();
        std::size_t commands = head_->commands;
        Call* end = head_;
        for (;;) {
            end->time.extend(connecting_ - end->connecting);
            const Call* const next = end->next;
            if (next == nullptr || bytes + next->bytes.size() > max_bytes ||
                commands + next->commands > max_commands) {
                break;
            }
            end = end->next;
            bytes += end->bytes.size();
            commands += end->commands;
        }
        head_ = std::exchange(end->next, nullptr);
        if (head_ == nullptr) {
            last_ = nullptr;
        }
        return commands;
    }

    void next_leads(Call* back, Call::duration connecting) noexcept {
        Call* leader = nullptr;
        {
            const std::lock_guard lock{mutex_};
            connecting_ += connecting;
            put_before(back);
            leader = head_;
            connected_.store(channel_.connection != nullptr, std::memory_order_relaxed);
            busy_.store(leader != nullptr, std::memory_order_relaxed);
        }
        if (leader != nullptr) {
            leader->wake(Call::leading);
        }
    }

    void put_before(Call* back) noexcept {
        if (back == nullptr) {
            return;
        }
        Call* end = back;
        for (end->connecting = connecting_; end->next != nullptr; end->connecting = connecting_) {
            end = end->next;
        }
        end->next = head_;
        last_ = head_ == nullptr ? end : last_;
        head_ = back;
    }

    std::mutex mutex_{};
    std::atomic<bool> busy_{false};
    std::atomic<bool> connected_{false};
    std::atomic<Call::duration::rep> since_{0};
    Call* head_{nullptr};  // the queue; whoever leads has taken its batch out
    Call* last_{nullptr};
    Call::duration connecting_{0};

    // The leader's.
    Channel channel_{};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_MULTIPLEXER_HPP

// SPDX-License-Identifier: MIT

/// @file
/// Tells near copies what has changed in Redis.

#ifndef LARDER_REDIS_DETAIL_TRACKING_TRACKING_FEED_HPP
#define LARDER_REDIS_DETAIL_TRACKING_TRACKING_FEED_HPP

#include <larder/detail/near/near_feed.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/detail/support/random.hpp>
#include <larder/entry.hpp>
#include <larder/redis/client.hpp>
#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/detail/client/encryption.hpp>
#include <larder/redis/detail/client/interrupt.hpp>
#include <larder/redis/detail/client/scoped_count.hpp>
#include <larder/redis/detail/store/change_channel.hpp>
#include <larder/redis/detail/store/slot_names.hpp>
#include <larder/redis/detail/tracking/noted_descriptors.hpp>
#include <larder/redis/detail/tracking/tracked_names.hpp>
#include <larder/redis/detail/tracking/tracking_link.hpp>
#include <larder/redis/detail/tracking/tracking_links.hpp>
#include <larder/redis/detail/tracking/wake_pipe.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include <poll.h>

LARDER_NS_BEGIN

namespace redis::detail {

/// Server-assisted client-side caching: a thread, and a connection to each primary, which redirects the
/// tracking of the namespace to itself.
///
/// What near copies are served by is a lease: an answer to what was asked of every server at one moment
/// comes behind all that was told before, so near is good as of that moment, and is served for `silence`
/// after it and no longer, whatever becomes of the server, the network, this process or its thread.
/// C. G. Gray, D. R. Cheriton, "Leases: An Efficient Fault-Tolerant Mechanism for Distributed File Cache
/// Consistency", SOSP 1989.
///
/// A connection that is lost, by an error, by silence, or because other servers own the keys now, ends it
/// at once. All are connected anew, with pauses that grow; then near is emptied, and then it is served again:
/// what was changed before the new subscription was told to nobody. Where a server refuses, or tells
/// nothing although it says that it does, this store and others like it publish what they change; where
/// that is refused, too, near copies live by their ttl alone, and it is tried again once a minute.
///
/// In a forked child it begins anew with `resume`. Rule N4.
///
/// Thread safety: all members may run concurrently; it is destroyed by one thread, not its own.
///
/// A template so that whoever includes it and has no near copies does not compile it.
template <class = void>
class BasicTrackingFeed final : public larder::detail::NearFeed {
public:
    /// Returns when it has been subscribed, or has failed to be once.
    ///
    /// @param channel   on which the store of these names tells of its changes, if it is to
    /// @param listener  must outlive it
    /// @param silence   how long near is served without a word
    BasicTrackingFeed(Client client, const SlotNames& names, std::shared_ptr<ChangeChannel> channel,
                      larder::detail::NearListener& listener, Ttl silence)
        : NearFeed{listener, silence},
          client_{std::move(client)},
          names_{names.slots(), !names.partitions().plain()},
          channel_{std::move(channel)} {
        publish(true);  // until it is known that nobody needs it
        resume();
        Worker& mine = worker_.get();
        std::unique_lock lock{mine.mutex};
        mine.changed.wait(lock, [&] { return mine.tried || !mine.thread.joinable(); });
    }
    BasicTrackingFeed(const BasicTrackingFeed&) = delete;
    BasicTrackingFeed& operator=(const BasicTrackingFeed&) = delete;
    ~BasicTrackingFeed() override {
        if (Worker* const mine = worker_.find()) {
            if (mine->thread.joinable()) {
                mine->wake->wake();
                mine->thread.join();
            }
        } else {
            notes_.close_all();
        }
    }

    /// @copydoc NearFeed::resume
    void resume() noexcept override {
        if (const Worker* const mine = worker_.find();
            mine != nullptr && mine->running.load(std::memory_order_acquire)) {
            return;
        }
        try {
            begin(worker_.get());
        } catch (...) {
            // No memory, no thread, no descriptor: whoever finds that near is not served tries again.
        }
    }

private:
    using Clock = std::chrono::steady_clock;
    using duration = Clock::duration;

    // Where a server refuses.
    static constexpr std::chrono::minutes refused_pause{1};

    // The first new attempt, at random, so that a thousand processes do not come back in one moment.
    static constexpr std::chrono::milliseconds first_pause{50};

    // Of one process.
    struct Worker {
        std::mutex mutex{};
        std::condition_variable changed{};
        std::unique_ptr<WakePipe> wake{};
        std::thread thread{};
        std::atomic<bool> running{false};
        bool tried = false;
    };

    // Of the thread.
    struct Course {
        std::optional<TrackingLinks> links{};
        std::optional<NearFlush> why{NearFlush::start};  // near must be emptied; none: it need not
        bool alone = false;                              // near copies live by their ttl
        Instant next{};                                  // attempt
        duration pause{0};
        Instant told{};  // of what was confirmed
    };

    void begin(Worker& mine) {
        const std::scoped_lock lock{mine.mutex};
        if (!mine.thread.joinable()) {
            notes_.close_all();  // those of the process that this one was forked off
            forked();
            mine.wake = std::make_unique<WakePipe>();
            mine.thread = larder::detail::quiet_thread([this, &mine] { run(mine); });
            mine.running.store(true, std::memory_order_release);
        }
    }

    void run(Worker& mine) noexcept {
        const Interrupt interrupt{mine.wake->descriptor()};
        Course course;
        while (!Interrupt::requested()) {
            try {
                step(course);
            } catch (...) {  // no memory
                lose(course, NearFlush::cut);
                back_off(course);
            }
            tell_tried(mine);
            wait(mine, course);
        }
    }

    static void tell_tried(Worker& mine) {
        {
            const std::scoped_lock lock{mine.mutex};
            if (std::exchange(mine.tried, true)) {
                return;
            }
        }
        mine.changed.notify_all();
    }

    void step(Course& course) {
        if (course.links) {
            listen(course);
        }
        if (course.why && Clock::now() >= course.next) {
            connect(course);
        }
        if (course.links && !course.why) {
            confirm_all(course);
        }
    }

    void listen(Course& course) {
        const auto see = [&](LinkLoss loss) {
            if (loss != LinkLoss::none) {
                lose(course, loss == LinkLoss::cut ? NearFlush::cut : NearFlush::silence);
            }
        };
        see(course.links->receive([this](std::string_view key) { changed(key); },
                                  [this](std::string_view tag) { tag_changed(tag); },
                                  [this] { flush(NearFlush::server_flush); }));
        see(course.links->ask_for_life(Clock::now()));
    }

    void connect(Course& course) {
        try {
            if (!course.links) {
                course.links.emplace(client_, encryption_.get(), names_, silence(), notes_);
            }
            work_by(course.links->connect());
            course.told = course.links->confirmed();
            subscribed(*course.why, course.told);
            course.why.reset();
            course.alone = false;
            course.pause = duration{0};
        } catch (const TrackingRefused&) {
            if (!std::exchange(course.alone, true)) {
                work_by(NearMode::ttl);
                subscribed(*course.why, (Instant::max)());
                course.why = NearFlush::start;
            }
            course.next = Clock::now() + refused_pause;
        } catch (const ConnectionFailure&) {
            back_off(course);
        }
    }

    void work_by(NearMode mode) noexcept {
        set_mode(mode);
        publish(mode == NearMode::channel);
    }

    void publish(bool all) noexcept {
        if (!all) {
            publishing_.reset();
        } else if (!publishing_) {
            publishing_.emplace(channel_->users());
        }
    }

    // Only what was asked after the servers were seen to be those that must tell.
    void confirm_all(Course& course) {
        const Instant now = course.links->confirmed();
        if (now == course.told) {
            return;
        }
        try {
            if (!course.links->moved()) {
                course.told = now;
                confirm(now);
                return;
            }
        } catch (const ConnectionFailure&) {  // nobody knows who they are
        }
        lose(course, NearFlush::topology);
        course.next = Clock::now();
    }

    void lose(Course& course, NearFlush why) noexcept {
        if (!course.why) {
            publish(true);  // others may come to the channel first
            doubt();
            course.why = why;
            course.next = Clock::now() + varied(first_pause, 0);
        }
    }

    void back_off(Course& course) noexcept {
        const duration shortest = client_.options().breaker;
        const duration longest = client_.options().max_breaker;
        course.pause = (std::min)(longest, (std::max)(shortest, 2 * course.pause));
        course.next = Clock::now() + varied(course.pause, 0.75);
    }

    static duration varied(duration about, double least) noexcept {
        const double part = least + larder::detail::random_fraction() / (least > 0 ? 2 : 1);
        return duration{static_cast<duration::rep>(static_cast<double>(about.count()) * part)};
    }

    static void wait(const Worker& mine, const Course& course) noexcept {
        const Instant until = course.why ? course.next : (Instant::max)();
        try {
            if (course.links) {
                course.links->wait(mine.wake->descriptor(), until);
                return;
            }
        } catch (...) {  // no memory
        }
        pollfd polled{mine.wake->descriptor(), POLLIN, 0};
        static_cast<void>(::poll(&polled, 1, milliseconds_until(until)));
    }

    const Client client_;
    const std::unique_ptr<const Encryption> encryption_{Encryption::of(client_.options())};
    const TrackedNames names_;
    const std::shared_ptr<ChangeChannel> channel_;
    std::optional<ScopedCount> publishing_{};
    NotedDescriptors notes_{};
    larder::detail::ForkLocal<Worker> worker_{};
};

using TrackingFeed = BasicTrackingFeed<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_TRACKING_TRACKING_FEED_HPP

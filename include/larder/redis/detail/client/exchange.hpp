// SPDX-License-Identifier: MIT

/// @file
/// Carries out calls over one connection.

#ifndef LARDER_REDIS_DETAIL_CLIENT_EXCHANGE_HPP
#define LARDER_REDIS_DETAIL_CLIENT_EXCHANGE_HPP

#include <larder/detail/support/random.hpp>
#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/call_chain.hpp>
#include <larder/redis/detail/client/channel.hpp>
#include <larder/redis/detail/client/connection.hpp>
#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/client/server.hpp>
#include <larder/redis/detail/client/socket.hpp>
#include <larder/redis/reply.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// Carries out a chain of calls over one connection, opening it if need be, in the thread of one of
/// them. Its end fails all that are left and wakes the threads of the others; the connection is gone
/// if it saw any error.
///
/// Over a connection that broke nothing is lost that may be sent again: what the server cannot have
/// seen, and what is repeatable, goes over a new one, once, within the time that there is.
///
/// A large reply that takes its time is its caller's own affair: the others are sent on, the
/// multiplexer is left to them, and if it is another's, that caller takes over in its own thread.
/// Rule R9.
///
/// @tparam Leadership  that of a multiplexer: `connecting`, and `pass_on(Call* back)`
template <class Leadership>
class Exchange {
public:
    using duration = std::chrono::steady_clock::duration;

    /// Over a connection of its own, which is kept afterwards.
    Exchange(Server& server, Call& mine) noexcept : server_{server}, mine_{mine} {}

    /// Over a multiplexer's, for all that are linked behind the first, which leads.
    Exchange(Server& server, Call& mine, Channel& channel) noexcept
        : server_{server}, mine_{mine}, channel_{&channel} {}

    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    ~Exchange() {
        chain_.each([](Call& call) { call.fail(Call::Failure::broken, nullptr); });
        chain_.remove_until(nullptr);
        if (!awaits_) {
            server_.idle.keep(std::move(own_.connection));
        }
    }

    /// @param leadership  passed on as soon as nothing is left to be done over the channel; may be null
    void run(time_point now, Leadership* leadership = nullptr) noexcept {
        leadership_ = leadership;
        chain_.assign(mine_);
        guarded([&] {
            if (may_ask(now)) {
                try_twice(now, false);
            }
        });
        leave_multiplexer(nullptr);
    }

    /// The first half of `run`, over a connection of its own: sends, and waits for no reply. So that
    /// several servers can be at work for one caller.
    void send_first(time_point now) noexcept {
        chain_.assign(mine_);
        guarded([&] {
            if (may_ask(now)) {
                static_cast<void>(attempt(now, false, [&] {
                    begin(false);
                    open(now, false);
                    static_cast<void>(send(now, false));
                    awaits_ = true;
                }));
            }
        });
    }

    /// The second half: waits for the replies, or tries again.
    void finish() noexcept {
        if (!mine_.finished()) {
            const bool sent = std::exchange(awaits_, false);
            guarded([&] { try_twice(std::chrono::steady_clock::now(), sent, !sent); });
        }
    }

    /// Goes on with what another thread has begun, and handed to this call.
    void take_over() noexcept {
        chain_.assign(mine_);
        own_.connection = std::move(mine_.takeover.connection);
        spoiled_ = mine_.takeover.spoiled;
        deadline_ = mine_.takeover.deadline;
        deadline_.hand_to(mine_.time.deadline);
        began_ = mine_.time.start;
        guarded([&] { try_twice(began_, true); });
    }

private:
    // A large reply may take so much of the time of those that wait behind it.
    static constexpr std::chrono::milliseconds long_reply{5};

    template <class F>
    void guarded(F&& f) noexcept {
        try {
            f();
        } catch (...) {
            // Out of memory. What of it arrived is not known.
            channel_->connection.reset();
            chain_.each([](Call& call) { call.fail(Call::Failure::broken, nullptr); });
        }
    }

    [[nodiscard]] bool may_ask(time_point now) {
        if (server_.breaker.state() != Breaker::closed &&
            !CallChain::any(chain_.first(),
                            [](const Call& call) { return call.permission.is_probe(); })) {
            chain_.each([](Call& call) { call.fail(Call::Failure::refused, nullptr); });
        }
        chain_.each([&](Call& call) {
            if (now >= call.time.deadline) {
                static const auto why =
                    std::make_shared<const std::string>("others before it took all of its time");
                call.fail(Call::Failure::timed_out, why);
            }
        });
        return chain_.remove_finished();
    }

    // @param again  the first attempt has failed
    void try_twice(time_point now, bool sent, bool again = false) {
        for (bool left = true; left; again = true, sent = false) {
            left = attempt(now, again, [&] {
                begin(sent);
                if (!sent) {
                    open(now, again);
                }
                const bool fresh = !sent && send(now, again);
                read(fresh);
            });
        }
    }

    // Whether it failed, and some calls are to be tried again.
    template <class F>
    [[nodiscard]] bool attempt(time_point& now, bool again, F&& f) {
        try {
            f();
            return false;
        } catch (const ConnectionFailure& failed) {
            now = std::chrono::steady_clock::now();
            channel_->connection.reset();
            fail_or_retry(failed, now, again);
            return chain_.remove_finished();
        }
    }

    void begin(bool sent) noexcept {
        at_ = chain_.first();
        left_ = 0;
        chain_.each([&](Call& call) { left_ += call.commands - call.answered; });
        era_ = sent ? channel_->connection->era() : server_.breaker.era();
    }

    void open(time_point now, bool again) {
        deadline_ = {};
        spoiled_ = false;
        if (server_.primary != nullptr && server_.primary->moved(now)) {
            server_.breaker.role_changed(now);
            era_ = server_.breaker.era();
        }
        auto& connection = channel_->connection;
        if (connection && !connection->usable(era_, now)) {
            connection.reset();
        }
        if (!connection && !again) {
            connection = server_.idle.reuse(era_, now);
        }
        if (!connection) {
            connect();
        }
    }

    void connect() {
        began_ = std::chrono::steady_clock::now();
        struct Spent {
            ~Spent() { on.spent(std::chrono::steady_clock::now() - on.began_); }
            Exchange& on;
        } const spent{*this};
        server_.counters.add(Server::connects);
        const time_point until =
            (std::min)(began_ + server_.options.connect_timeout, chain_.first()->time.latest);
        enough_ = until - began_ >= duration{server_.options.connect_timeout} / 2;
        try {
            channel_->connection = server_.connect(era_, until, mine_.has_others);
        } catch (ConnectionFailure& failed) {
            using Kind = ConnectionFailure::Kind;
            if (mine_.has_others && (failed.kind == Kind::connect || failed.kind == Kind::broken)) {
                failed.kind = Kind::no_further;
            }
            throw;
        }
    }
    void spent(duration time) noexcept {
        chain_.each([&](Call& call) { call.time.extend(time); });
        if (leadership_ != nullptr) {
            leadership_->connecting += time;
        }
        connected_ = true;
    }

    // Whether a read may wait for the whole time of a command.
    [[nodiscard]] bool send(time_point now, bool again) {
        std::string_view bytes = chain_.first()->bytes;
        if (chain_.first()->next != nullptr) {
            channel_->buffer.clear();
            chain_.each([&](Call& call) { channel_->buffer += call.bytes; });
            bytes = channel_->buffer;
        }
        server_.counters.add(Server::round_trips);
        server_.counters.add(Server::commands, left_);
        server_.counters.add(Server::bytes_sent, bytes.size());
        if (again) {
            server_.counters.add(Server::resent, left_);
        }
        const duration timeout = server_.options.command_timeout;
        const bool in_time = !again && !std::exchange(connected_, false);
        began_ = in_time ? now : std::chrono::steady_clock::now();
        deadline_ = {chain_.first()->time.deadline, timeout};
        enough_ = again || chain_.first()->time.deadline - began_ >= timeout / 2;
        struct Marks {
            ~Marks() { on.mark_as_sent(sent); }
            Exchange& on;
            std::size_t sent{0};
        } marks{*this};
        const bool at_once =
            channel_->connection->send(bytes, marks.sent, left_, deadline_, receiver());
        return at_once && in_time &&
               now - chain_.first()->time.start < Socket::fresh(server_.options.command_timeout);
    }

    void read(bool fresh) {
        channel_->connection->read(left_, deadline_, fresh, receiver(),
                                   [this](time_point now) { return keep_reading(now); });
        if (channel_->connection && (spoiled_ || !channel_->connection->clean())) {
            channel_->connection.reset();
        }
    }

    [[nodiscard]] auto receiver() {
        return [this](Reply reply) {
            if (reply.is_error()) [[unlikely]] {
                if (about_clients(reply.text())) {
                    throw ConnectionFailure{ConnectionFailure::Kind::connect,
                                            std::string{reply.text()}};
                }
                server_.note_error(reply);
            }
            at_->replies[at_->answered++] = std::move(reply);
            if (at_->answered == at_->commands) {
                at_ = at_->next;
            }
        };
    }

    // Of those that are sent together, those of which the kernel took a byte.
    void mark_as_sent(std::size_t sent) noexcept {
        std::size_t begin = 0;
        for (Call* call = chain_.first(); call != nullptr && begin < sent; call = call->next) {
            call->sent = true;
            begin += call->bytes.size();
        }
    }

    // While large replies take their time. False: another takes over.
    [[nodiscard]] bool keep_reading(time_point now) noexcept {
        if (now - began_ < long_reply) {
            return true;
        }
        chain_.remove_until(at_);
        if (leadership_ != nullptr) {
            give_up_channel();
        }
        if (now >= deadline_.deadline()) {
            time_out_others();
        }
        if (at_ == &mine_) {
            return true;
        }
        hand_over();
        return false;
    }

    // The multiplexer, and what may be sent twice, to those who wait for no large reply.
    void give_up_channel() noexcept {
        own_ = std::move(*channel_);
        channel_ = &own_;
        Call* back = nullptr;
        const auto stays = [](const Call& call) { return !call.repeatable; };
        if (!CallChain::any(at_->next, stays)) {
            back = unlink_others();
            for (const Call* call = back; call != nullptr; call = call->next) {
                server_.counters.add(Server::resent, call->commands);
            }
        }
        leave_multiplexer(back);
    }

    void leave_multiplexer(Call* back) noexcept {
        if (leadership_ != nullptr) {
            std::exchange(leadership_, nullptr)->pass_on(back);
        }
    }

    // Those behind the large reply, when their time has passed.
    void time_out_others() noexcept {
        for (Call* call = unlink_others(); call != nullptr;) {
            Call* const next = call->next;
            call->fail(Call::Failure::timed_out, nullptr);
            call->wake(Call::done);
            call = next;
        }
    }

    [[nodiscard]] Call* unlink_others() noexcept {
        left_ = at_->commands - at_->answered;
        spoiled_ = spoiled_ || at_->next != nullptr;
        return std::exchange(at_->next, nullptr);
    }

    void hand_over() noexcept {
        Call& to = chain_.remove_first();
        to.takeover = {std::move(own_.connection), deadline_, spoiled_};
        to.wake(Call::taking_over);
    }

    void fail_or_retry(const ConnectionFailure& failed, time_point now, bool again) {
        const auto why = std::make_shared<const std::string>(failed.text);
        const bool broke = failed.kind == ConnectionFailure::Kind::broken;
        if (is_servers_fault(failed.kind, now, again)) {
            server_.breaker.trip(
                era_, now, larder::detail::random_fraction(),
                {failed.text, failed.kind == ConnectionFailure::Kind::credentials});
        }
        chain_.each([&](Call& call) {
            if (!broke || again || now >= call.time.deadline || (call.sent && !call.repeatable)) {
                call.fail(failure_of(failed.kind), why);
            } else {
                call.answered = 0;
            }
        });
    }

    // Whether all others should leave it alone for a while: not if a large reply was on its way, nor
    // if there was hardly any time left, nor if one connection broke.
    [[nodiscard]] bool is_servers_fault(ConnectionFailure::Kind kind, time_point now,
                                        bool again) const noexcept {
        switch (kind) {
            case ConnectionFailure::Kind::no_further: return false;
            case ConnectionFailure::Kind::broken: return again;
            case ConnectionFailure::Kind::timed_out: return enough_ && !deadline_.flows(now);
            default: return true;
        }
    }

    Server& server_;
    Call& mine_;
    Channel own_{};
    Channel* channel_{&own_};
    Leadership* leadership_{nullptr};
    CallChain chain_{mine_};  // those of this attempt
    Call* at_{nullptr};       // whose reply comes next
    std::size_t left_{0};     // replies
    ReplyDeadline deadline_{};
    std::uint64_t era_{0};
    time_point began_{};
    bool connected_{false};
    bool enough_{true};    // time, for a time-out to say anything of the server
    bool spoiled_{false};  // nobody wants all of the replies that are to come
    bool awaits_{false};   // replies that have not been read
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_EXCHANGE_HPP

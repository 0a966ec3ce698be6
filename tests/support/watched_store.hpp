// SPDX-License-Identifier: MIT

/// @file
/// A far store in this process that tells what has changed, over channels which lose, delay and break as a
/// test says.

#ifndef LARDER_TESTS_SUPPORT_WATCHED_STORE_HPP
#define LARDER_TESTS_SUPPORT_WATCHED_STORE_HPP

#include <larder/detail/near/near_feed.hpp>
#include <larder/larder.hpp>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace larder_test {

/// The channel from a far store to the near copies of one process.
class Channel final : public larder::detail::NearFeed {
public:
    using Clock = std::function<Instant()>;

    Channel(larder::detail::NearListener& listener, larder::Ttl silence, Clock now)
        : NearFeed{listener, silence}, now_{std::move(now)} {
        set_mode(larder::NearMode::tracking);
        subscribe(larder::NearFlush::start);
    }

    /// A change of a key, or of a tag: told at once, unless it is held up or lost.
    void send(std::string_view text, bool tag) {
        const std::scoped_lock lock{mutex_};
        if (connected_) {
            held_.push_back({std::string{text}, tag});
            if (!delayed_) {
                deliver_all();
            }
        }
    }
    /// A change could not be sent.
    void overflow() {
        const std::scoped_lock lock{mutex_};
        flush(larder::NearFlush::overflow);
    }

    /// From now on nothing arrives until `deliver`.
    void delay(bool is = true) {
        const std::scoped_lock lock{mutex_};
        delayed_ = is;
    }
    /// What was held up arrives; the first of it only, if so many.
    void deliver(std::size_t most = ~std::size_t{0}) {
        const std::scoped_lock lock{mutex_};
        for (; most > 0 && !held_.empty(); --most) {
            deliver_first();
        }
    }
    [[nodiscard]] std::size_t held() const {
        const std::scoped_lock lock{mutex_};
        return held_.size();
    }

    /// It breaks: what was held up and what comes is lost, and nobody says so.
    void cut() {
        const std::scoped_lock lock{mutex_};
        connected_ = false;
        held_.clear();
    }
    /// The process learns of it.
    void notice() {
        const std::scoped_lock lock{mutex_};
        doubt();
    }
    /// And connects anew.
    void subscribe(larder::NearFlush why) {
        const std::scoped_lock lock{mutex_};
        connected_ = true;
        const Instant asked = now_();
        subscribed(why, asked);
    }
    /// The two halves of `subscribe`, but that near is not emptied.
    void reconnect() {
        const std::scoped_lock lock{mutex_};
        connected_ = true;
    }
    void trust() {
        const std::scoped_lock lock{mutex_};
        confirm(now_());
    }
    /// What was sent up to now has arrived, and is known to have.
    void beat() {
        const std::scoped_lock lock{mutex_};
        if (connected_) {
            deliver_all();
            confirm(now_());
        }
    }

private:
    struct Message {
        std::string text;
        bool tag;
    };

    void deliver_first() {
        const Message message = std::move(held_.front());
        held_.pop_front();
        message.tag ? tag_changed(message.text) : changed(message.text);
    }
    void deliver_all() {
        while (!held_.empty()) {
            deliver_first();
        }
    }

    mutable std::mutex mutex_{};
    const Clock now_;
    std::deque<Message> held_{};
    bool connected_ = false;
    bool delayed_ = false;
};

/// A store in memory as a server of several processes: each TieredStore over a copy of it is one.
///
/// @tparam S  a MemoryStore, or another CoherentStore
template <class S>
class WatchedStore : public S {
    using Key = typename S::key_type;
    using Value = typename S::value_type;
    using Lease = larder::detail::Lease;
    using Ticket = larder::detail::Ticket;
    using Terms = larder::detail::CopyTerms;
    using Opening = larder::detail::Opening<Value>;

public:
    struct Query : S::Query {
        bool wants_tags = false;
        larder::Tags tags{};
        std::exception_ptr failure{};
    };

    explicit WatchedStore(S store) : S{std::move(store)} {}

    [[nodiscard]] std::shared_ptr<larder::detail::NearFeed> watch(
        larder::detail::NearListener& listener, larder::Ttl silence) {
        auto channel = std::make_shared<Channel>(listener, silence,
                                                 [clock = this->clock()] { return clock.now(); });
        const std::scoped_lock lock{shared_->mutex};
        shared_->channels.push_back(channel);
        return channel;
    }
    /// The channel to the process that was the n-th to watch.
    [[nodiscard]] Channel& channel(std::size_t n = 0) const {
        const std::scoped_lock lock{shared_->mutex};
        return *shared_->channels.at(n).lock();
    }
    /// How many copies it was asked for.
    [[nodiscard]] std::size_t asked() const {
        const std::scoped_lock lock{shared_->mutex};
        return shared_->asked;
    }
    /// How many changes it has told of.
    [[nodiscard]] std::size_t changes() const {
        const std::scoped_lock lock{shared_->sending};
        return shared_->changes;
    }
    /// Called when it is asked, before it has answered and after.
    void on_ask(std::function<void(bool answered)> call) {
        const std::scoped_lock lock{shared_->mutex};
        shared_->on_ask = std::move(call);
    }

    // ---- what reads ----

    template <class Q, class See>
    bool peek(const Q& key, See&& see, Query& query) const {
        ask(false);
        const bool there = S::peek(key, see);
        if (query.wants_tags) {
            query.tags = tags_of(Key(key));
        }
        ask(true);
        return there;
    }
    template <class Q, class See>
    bool peek(const Q& key, See&& see) const {
        Query query;
        return peek(key, see, query);
    }
    template <class See>
    void peek_many(std::span<const Key> keys, See&& see, std::span<Query> queries) const {
        ask(false, keys.size());
        S::peek_many(keys, see);
        for (std::size_t i = 0; i < keys.size(); ++i) {
            queries[i].tags = tags_of(keys[i]);
        }
        ask(true);
    }
    template <class See>
    void peek_many(std::span<const Key> keys, See&& see) const {
        std::vector<Query> queries(keys.size());
        peek_many(keys, see, std::span{queries});
    }

    // ---- what changes a slot ----

    void put(const Key& key, std::optional<Value> value, larder::Lifetime life) {
        const Tell tell{*this, key};
        remember(key, {});
        S::put(key, std::move(value), life);
    }
    template <class Q = Key>
    bool erase(const Q& key) {
        const Key& mine = larder::detail::as_key<Key>(key);
        const Tell tell{*this, mine};
        return S::erase(mine);
    }
    void put_many(std::span<const std::pair<Key, std::optional<Value>>> pairs,
                  larder::Lifetime life) {
        for (const auto& [key, value] : pairs) {
            put(key, value, life);
        }
    }
    std::size_t erase_many(std::span<const Key> keys) {
        std::size_t had = 0;
        for (const Key& key : keys) {
            had += erase(key) ? 1U : 0U;
        }
        return had;
    }
    void invalidate_tags(std::span<const std::string> tags) {
        S::invalidate_tags(tags);
        for (const std::string& tag : tags) {
            shared_->send([&] { return std::string_view{tag}; }, true);
        }
    }
    [[nodiscard]] Opening open(const Key& key, const Query& = {}) {
        const Tell tell{*this, key};
        return S::open(key);
    }
    [[nodiscard]] std::vector<Opening> open_many(std::span<const Key> keys,
                                                 std::span<const Query>) {
        std::vector<Opening> openings = S::open_many(keys);
        for (const Key& key : keys) {
            tell(key);
        }
        return openings;
    }
    [[nodiscard]] std::vector<Opening> open_many(std::span<const Key> keys, const Query& = {}) {
        return open_many(keys, std::span<const Query>{});
    }
    larder::detail::Filled fill(const Key& key, const Lease& lease, std::optional<Value> value,
                                const Terms& terms) {
        const Tell tell{*this, key};
        remember(key, terms.tags);
        return S::fill(key, lease, std::move(value), terms);
    }
    void release(const Key& key, const Lease& lease) {
        const Tell tell{*this, key};
        S::release(key, lease);
    }
    void withdraw(const Key& key, const Lease& lease) {
        const Tell tell{*this, key};
        S::withdraw(key, lease);
    }
    [[nodiscard]] Ticket begin_write(const Key& key, larder::Ttl life) {
        const Tell tell{*this, key};
        return S::begin_write(key, life);
    }
    [[nodiscard]] std::vector<Ticket> begin_write_many(std::span<const Key> keys,
                                                       larder::Ttl life) {
        std::vector<Ticket> tickets = S::begin_write_many(keys, life);
        for (const Key& key : keys) {
            tell(key);
        }
        return tickets;
    }
    bool finish_write(const Key& key, const Ticket& ticket, larder::detail::Finish how,
                      std::optional<Value> value, const Terms& terms) {
        const Tell tell{*this, key};
        remember(key, terms.tags);
        return S::finish_write(key, ticket, how, std::move(value), terms);
    }
    template <class Record>
        requires requires { typename S::AtOnce; }
    bool write_at_once(const Key& key, std::optional<Value> value, const Terms& terms,
                       const Record& record) {
        const Tell tell{*this, key};
        remember(key, terms.tags);
        return S::write_at_once(key, std::move(value), terms, record);
    }

private:
    struct Shared {
        std::recursive_mutex sending{};  // one order for all
        std::mutex mutex{};
        std::vector<std::weak_ptr<Channel>> channels{};
        std::unordered_map<std::string, larder::Tags> tags{};
        std::function<void(bool)> on_ask{};
        std::size_t asked = 0;
        std::size_t changes = 0;

        // What cannot be told, for want of memory, empties near.
        template <class Text>
        void send(const Text& text, bool tag) noexcept {
            const std::scoped_lock lock{sending};
            ++changes;
            for (std::size_t n = 0;; ++n) {
                std::shared_ptr<Channel> channel;
                {
                    const std::scoped_lock list{mutex};
                    if (n == channels.size()) {
                        return;
                    }
                    channel = channels[n].lock();
                }
                if (channel) {
                    try {
                        channel->send(text(), tag);
                    } catch (...) {
                        channel->overflow();
                    }
                }
            }
        }
    };

    // Tells of a key when the step is over, however it ends.
    class Tell {
    public:
        Tell(const WatchedStore& store, const Key& key) : store_{store}, key_{key} {}
        Tell(const Tell&) = delete;
        Tell& operator=(const Tell&) = delete;
        ~Tell() { store_.tell(key_); }

    private:
        const WatchedStore& store_;
        const Key& key_;
    };

    void tell(const Key& key) const noexcept {
        shared_->send([&] { return larder::detail::key_text(key); }, false);
    }
    void ask(bool answered, std::size_t keys = 1) const {
        std::function<void(bool)> call;
        {
            const std::scoped_lock lock{shared_->mutex};
            shared_->asked += answered ? 0 : keys;
            call = shared_->on_ask;
        }
        if (call) {
            call(answered);
        }
    }
    // Tags that cannot be remembered are none: whoever asks for such finds no copy that has them.
    void remember(const Key& key, const larder::Tags& tags) const noexcept {
        const std::scoped_lock lock{shared_->mutex};
        try {
            shared_->tags[larder::detail::key_text(key)] = tags;
        } catch (...) {
            shared_->tags.clear();
        }
    }
    [[nodiscard]] larder::Tags tags_of(const Key& key) const {
        const std::scoped_lock lock{shared_->mutex};
        const auto at = shared_->tags.find(larder::detail::key_text(key));
        return at != shared_->tags.end() ? at->second : larder::Tags{};
    }

    std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_WATCHED_STORE_HPP

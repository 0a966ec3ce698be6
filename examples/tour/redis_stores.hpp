// SPDX-License-Identifier: MIT

/// @file
/// The tour's copies in Redis.

#ifndef LARDER_EXAMPLES_TOUR_REDIS_STORES_HPP
#define LARDER_EXAMPLES_TOUR_REDIS_STORES_HPP

#include "support/iso_codes.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

namespace examples {

/// Stores in a Redis server. Their names begin with `larder-tour`, and nothing of them stays.
class InRedis {
public:
    explicit InRedis(const std::string& url) : state_{std::make_shared<State>(url)} {
        state_->client.command("PING");  // better now than in the middle
    }

    template <class Row, class Key = std::string>
    [[nodiscard]] larder::RedisStore<Key, Row> store() const {
        static std::atomic<int> number{0};
        const std::string name =
            "larder-tour-" + std::to_string(::getpid()) + '-' + std::to_string(++number);
        larder::RedisStore<Key, Row> store{
            state_->client, name, {.lease = std::chrono::seconds{10}}};
        state_->clear.push_back([store]() mutable { store.clear(); });
        state_->forget_journal(name);
        return store;
    }

    /// A journal for the rows of the database in this file, which outlives the process.
    template <class Row, class Key>
    [[nodiscard]] larder::RedisJournal<Key, Row> durable_journal(const std::string& file) const {
        const std::string name = "larder-tour-" + std::to_string(std::hash<std::string>{}(file));
        state_->forget_journal(name);
        return {state_->client, name};
    }

    /// Redis has a clock of its own.
    void pass(std::chrono::nanoseconds) const {}

    static constexpr int repeats = 10'000;

private:
    struct State {
        explicit State(const std::string& url) : client{patient(url)} {}
        State(const State&) = delete;
        State& operator=(const State&) = delete;
        ~State() {
            try {
                for (const auto& forget : clear) {
                    forget();
                }
            } catch (const larder::StoreError&) {
                // Then what is left expires.
            }
        }

        // What a journal keeps when nothing waits in it: its last version, and dead letters.
        void forget_journal(const std::string& name) {
            clear.push_back([this, name] {
                for (const char* const part : {"claims", "letters"}) {
                    client.command("DEL", "~journal:" + name + ":" + part);
                }
            });
        }

        // Five thousand keys at once take their time on a busy machine.
        static larder::redis::ClientOptions patient(const std::string& url) {
            auto options = larder::redis::parse_url(url);
            options.command_timeout = std::chrono::seconds{10};
            return options;
        }

        larder::redis::Client client;
        std::vector<std::function<void()>> clear{};
    };

    std::shared_ptr<State> state_;
};

}  // namespace examples

#endif  // LARDER_EXAMPLES_TOUR_REDIS_STORES_HPP

// SPDX-License-Identifier: MIT

/// @file
/// The strategies as one writes them by hand, twenty lines of GET, SETEX and DEL each.

#ifndef LARDER_TESTS_SUPPORT_FLEET_TWENTY_LINES_HPP
#define LARDER_TESTS_SUPPORT_FLEET_TWENTY_LINES_HPP

#include "support/fleet/strategy.hpp"
#include "support/fleet/table.hpp"

#include <hiredis/hiredis.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace larder_test {

/// GET, load, SETEX; save, DEL.
///
/// Thread safety: a connection a thread.
class TwentyLinesCacheAside : public Strategy {
public:
    TwentyLinesCacheAside(std::string socket, FleetTable& table)
        : socket_{std::move(socket)}, table_{table} {}

    Row get(int key) override {
        if (auto copy = command({"GET", name(key)})) {
            return copy;
        }
        return load(key);
    }
    void put(int key) override {
        table_.save(key, {});
        invalidate(key);
    }
    void remove(int key) override {
        table_.remove(key);
        invalidate(key);
    }
    void invalidate(int key) override { command({"DEL", name(key)}); }
    void write(int key, const std::function<void()>& transaction) override {
        transaction();
        invalidate(key);
    }

protected:
    Row load(int key) {
        auto row = table_.load(key);
        if (row) {
            setex(key, *row);
        }
        return row;
    }
    void setex(int key, const std::string& row) { command({"PSETEX", name(key), "60000", row}); }
    static std::string name(int key) { return "twenty:" + std::to_string(key); }

    /// The reply as text; none for nil.
    std::optional<std::string> command(const std::vector<std::string>& words) {
        struct Free {
            void operator()(redisContext* context) const noexcept { ::redisFree(context); }
            void operator()(redisReply* reply) const noexcept { ::freeReplyObject(reply); }
        };
        thread_local const std::unique_ptr<redisContext, Free> connection{
            ::redisConnectUnix(socket_.c_str())};
        std::vector<const char*> argv;
        std::vector<std::size_t> sizes;
        for (const std::string& word : words) {
            argv.push_back(word.data());
            sizes.push_back(word.size());
        }
        const std::unique_ptr<redisReply, Free> reply{static_cast<redisReply*>(::redisCommandArgv(
            connection.get(), static_cast<int>(argv.size()), argv.data(), sizes.data()))};
        if (!reply || reply->type == REDIS_REPLY_ERROR) {
            throw std::logic_error{"no reply from the server of this test"};
        }
        switch (reply->type) {
            case REDIS_REPLY_NIL: return std::nullopt;
            case REDIS_REPLY_INTEGER: return std::to_string(reply->integer);
            default: return std::string(reply->str, static_cast<std::size_t>(reply->len));
        }
    }

    FleetTable& table() { return table_; }

private:
    std::string socket_;
    FleetTable& table_;
};

/// GET, load, SETEX; save, SETEX.
class TwentyLinesWriteThrough final : public TwentyLinesCacheAside {
public:
    using TwentyLinesCacheAside::TwentyLinesCacheAside;

    void put(int key) override { setex(key, table().save(key, {})); }
};

/// Cache-aside, and who finds a copy no longer new loads it in the background.
class TwentyLinesRefreshAhead final : public TwentyLinesCacheAside {
public:
    using TwentyLinesCacheAside::TwentyLinesCacheAside;
    ~TwentyLinesRefreshAhead() override {
        while (running_ > 0) {
            std::this_thread::yield();
        }
    }

    Row get(int key) override {
        auto copy = command({"GET", name(key)});
        if (!copy) {
            return load(key);
        }
        if (std::stoi(*command({"PTTL", name(key)})) < 59'990) {
            ++running_;
            std::thread{[this, key] {
                try {
                    load(key);
                } catch (const FleetTable::LoadFailed&) {
                    // The copy stays.
                }
                --running_;
            }}.detach();
        }
        return copy;
    }

private:
    std::atomic<int> running_{0};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FLEET_TWENTY_LINES_HPP

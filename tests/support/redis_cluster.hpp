// SPDX-License-Identifier: MIT

/// @file
/// A real Redis Cluster of a test's own: primaries and their replicas on free loopback ports.

#ifndef LARDER_TESTS_SUPPORT_REDIS_CLUSTER_HPP
#define LARDER_TESTS_SUPPORT_REDIS_CLUSTER_HPP

#include "support/redis_server.hpp"

#include <larder/redis/detail/client/hash_slot.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace larder_test {

/// Node i is a primary for i < primaries, and begins with an equal share of the slots; replica j of
/// primary i is node `primaries + i * replicas + j`. Who is what may change: ask.
///
/// Thread safety: one thread at a time.
class RedisCluster {
public:
    static constexpr std::size_t slots = larder::redis::detail::hash_slots;

    /// @param replicas  of each primary
    /// @param options   more of redis-server's command line, for each node
    explicit RedisCluster(std::size_t primaries = 3, std::size_t replicas = 0,
                          const std::vector<std::string>& options = {}) {
        std::vector<std::string> words{"--cluster-enabled",
                                       "yes",
                                       "--cluster-config-file",
                                       "nodes.conf",
                                       "--cluster-node-timeout",
                                       "1000",
                                       "--cluster-require-full-coverage",
                                       "no",
                                       "--cluster-replica-validity-factor",
                                       "0",
                                       "--repl-diskless-sync-delay",
                                       "0"};
        words.insert(words.end(), options.begin(), options.end());
        for (std::size_t i = 0; i < primaries * (1 + replicas); ++i) {
            nodes_.push_back(start(words));
            ids_.push_back(nodes_[i]->run("CLUSTER", "MYID"));
        }
        for (std::size_t i = 0; i < primaries; ++i) {
            std::vector<std::string> add{"CLUSTER", "ADDSLOTS"};
            for (std::size_t slot = slots * i / primaries; slot < slots * (i + 1) / primaries;
                 ++slot) {
                add.push_back(std::to_string(slot));
            }
            require_ok(nodes_[i]->run_words(add));
        }
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            require_ok(nodes_[i]->run("CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)));
        }
        for (std::size_t i = 1; i < nodes_.size(); ++i) {
            require_ok(
                nodes_[0]->run("CLUSTER", "MEET", "127.0.0.1", std::to_string(nodes_[i]->port())));
        }
        wait("all know each other",
             [&] { return all([&](std::size_t i) { return known_to(i) == nodes_.size(); }); });
        for (std::size_t i = primaries; i < nodes_.size(); ++i) {
            const std::string& primary = ids_[(i - primaries) / replicas];
            wait("a replica has its primary",
                 [&] { return nodes_[i]->run("CLUSTER", "REPLICATE", primary) == "OK"; });
        }
        wait_until_ok();
    }

    /// "redis+cluster://127.0.0.1:p1,127.0.0.1:p2,…", with all nodes.
    [[nodiscard]] std::string url() const {
        std::string url = "redis+cluster://";
        for (const auto& node : nodes_) {
            url +=
                (url.back() == '/' ? "127.0.0.1:" : ",127.0.0.1:") + std::to_string(node->port());
        }
        return url;
    }

    /// Clients are sent to other ports: that of node i is `port(i)`. Returns when all nodes know.
    template <class Port>
    void announce(Port&& port) {
        for (std::size_t i = 0; i < size(); ++i) {
            require_ok(
                node(i).run("CONFIG", "SET", "cluster-announce-port", std::to_string(port(i))));
        }
        wait("all know the ports", [&] {
            return all([&](std::size_t by) {
                const std::string nodes = nodes_[by]->run("CLUSTER", "NODES");
                bool known = true;
                for (std::size_t i = 0; i < size(); ++i) {
                    known = known &&
                            nodes.find(':' + std::to_string(port(i)) + '@') != std::string::npos;
                }
                return known;
            });
        });
        wait_until_ok();
    }

    [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }
    [[nodiscard]] RedisServer& node(std::size_t i) { return *nodes_.at(i); }
    [[nodiscard]] const std::string& id(std::size_t i) const { return ids_.at(i); }

    /// Which node serves a slot, as the nodes that live see it; `size()` where none does.
    [[nodiscard]] std::size_t owner_of(std::size_t slot) const {
        std::istringstream lines{witness().run("CLUSTER", "NODES")};
        for (std::string line; std::getline(lines, line);) {
            std::istringstream words{line};
            std::string id, address, flags, skip;
            words >> id >> address >> flags >> skip >> skip >> skip >> skip >> skip;
            if (flags.find("master") == std::string::npos || is_failed(flags)) {
                continue;
            }
            for (std::string range; words >> range;) {
                if (range.front() == '[') {
                    continue;  // on its way
                }
                const auto dash = range.find('-');
                const std::size_t first = std::stoul(range.substr(0, dash));
                const std::size_t last =
                    dash == std::string::npos ? first : std::stoul(range.substr(dash + 1));
                if (first <= slot && slot <= last) {
                    return index_of(id);
                }
            }
        }
        return size();
    }
    [[nodiscard]] std::size_t owner_of(std::string_view key) const {
        return owner_of(std::size_t{larder::redis::detail::hash_slot(key)});
    }

    /// From now on the owner answers ASK for what it has not got, and TRYAGAIN for what it has in part.
    void begin_move(std::size_t slot, std::size_t to) {
        const std::size_t from = owner_of(slot);
        const std::string number = std::to_string(slot);
        require_ok(node(to).run("CLUSTER", "SETSLOT", number, "IMPORTING", id(from)));
        require_ok(node(from).run("CLUSTER", "SETSLOT", number, "MIGRATING", id(to)));
    }

    /// Moves up to `most` keys of a slot that is being moved; how many that were.
    std::size_t move_keys(std::size_t slot, std::size_t to, std::size_t most = 100) {
        std::istringstream lines{
            node(owner_of(slot))
                .run("CLUSTER", "GETKEYSINSLOT", std::to_string(slot), std::to_string(most))};
        std::vector<std::string> keys;
        for (std::string key; std::getline(lines, key);) {
            keys.push_back(key);
        }
        if (!keys.empty()) {
            static_cast<void>(move_these(slot, to, keys));  // NOKEY, if it is gone by now
        }
        return keys.size();
    }

    /// Moves these keys of a slot that is being moved; what the owner said.
    std::string move_these(std::size_t slot, std::size_t to, const std::vector<std::string>& keys) {
        std::vector<std::string> words{
            "MIGRATE", "127.0.0.1", std::to_string(node(to).port()), "", "0", "5000", "KEYS"};
        words.insert(words.end(), keys.begin(), keys.end());
        return node(owner_of(slot)).run_words(words);
    }

    /// Moves what is left, and tells all nodes whose the slot is.
    void end_move(std::size_t slot, std::size_t to) {
        const std::size_t from = owner_of(slot);
        const std::string number = std::to_string(slot);
        // The owner refuses while a key is left, which others may have written meanwhile.
        wait("a slot has moved", [&] {
            while (move_keys(slot, to) > 0) {}
            require_ok(node(to).run("CLUSTER", "SETSLOT", number, "NODE", id(to)));
            return node(from).run("CLUSTER", "SETSLOT", number, "NODE", id(to)) == "OK";
        });
        for (std::size_t i = 0; i < size(); ++i) {
            if (i != from && i != to && node(i).pid() > 0) {
                node(i).run("CLUSTER", "SETSLOT", number, "NODE", id(to));  // a replica refuses
            }
        }
    }

    /// A slot with all that is in it goes to another primary.
    void move_slot(std::size_t slot, std::size_t to) {
        begin_move(slot, to);
        end_move(slot, to);
    }

    /// A replica takes over, in agreement with its primary. Returns when all nodes know.
    void fail_over(std::size_t replica) {
        require_ok(node(replica).run("CLUSTER", "FAILOVER"));
        wait("a failover", [&] { return is_primary(replica); });
        wait_until_ok();
    }

    /// Whether the nodes that live take it for a primary that lives.
    [[nodiscard]] bool is_primary(std::size_t i) const {
        return all([&](std::size_t by) {
            const std::string flags = flags_of(i, by);
            return flags.find("master") != std::string::npos && !is_failed(flags);
        });
    }

    /// Until every node that lives sees every slot served, and replicas have what their primaries have.
    void wait_until_ok() const {
        wait("the cluster is well", [&] {
            return all([&](std::size_t i) {
                const std::string replication = nodes_[i]->run("INFO", "replication");
                const std::string cluster = nodes_[i]->run("CLUSTER", "INFO");
                return cluster.find("cluster_state:ok") != std::string::npos &&
                       cluster.find("cluster_slots_ok:16384") != std::string::npos &&
                       (replication.find("role:slave") == std::string::npos ||
                        replication.find("master_link_status:up") != std::string::npos);
            });
        });
    }

private:
    // The port of its bus may be another's.
    static std::unique_ptr<RedisServer> start(const std::vector<std::string>& words) {
        for (int tries = 0;; ++tries) {
            try {
                return std::make_unique<RedisServer>(words, "", port());
            } catch (const std::runtime_error&) {
                if (tries == 5) {
                    throw;
                }
            }
        }
    }

    // The bus listens on a port that is greater by 10,000.
    static std::uint16_t port() {
        for (;;) {
            if (const std::uint16_t port = RedisServer::free_port(); port < 55'000) {
                return port;
            }
        }
    }

    static void require_ok(const std::string& reply) {
        if (reply != "OK") {
            throw std::runtime_error{"redis cluster: " + reply};
        }
    }

    static bool is_failed(const std::string& flags) {
        return (',' + flags + ',').find(",fail,") != std::string::npos ||
               flags.find("handshake") != std::string::npos;
    }

    // f(i) for each node that lives.
    template <class F>
    [[nodiscard]] bool all(F&& f) const {
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            if (nodes_[i]->pid() > 0 && !f(i)) {
                return false;
            }
        }
        return true;
    }

    template <class F>
    static void wait(const char* what, F&& f) {
        for (int tries = 0; tries < 3000; ++tries) {
            if (f()) {
                return;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
        throw std::runtime_error{std::string{"redis cluster: in 30 s it was not so that "} + what};
    }

    [[nodiscard]] const RedisServer& witness() const {
        for (const auto& node : nodes_) {
            if (node->pid() > 0) {
                return *node;
            }
        }
        throw std::runtime_error{"redis cluster: no node lives"};
    }

    [[nodiscard]] std::size_t index_of(const std::string& id) const {
        std::size_t i = 0;
        while (i < ids_.size() && ids_[i] != id) {
            ++i;
        }
        return i;
    }

    // "myself,master"
    [[nodiscard]] std::string flags_of(std::size_t i, std::size_t by) const {
        std::istringstream lines{nodes_[by]->run("CLUSTER", "NODES")};
        for (std::string line; std::getline(lines, line);) {
            if (line.starts_with(ids_[i])) {
                std::istringstream words{line};
                std::string skip, flags;
                words >> skip >> skip >> flags;
                return flags;
            }
        }
        return {};
    }

    [[nodiscard]] std::size_t known_to(std::size_t i) const {
        const std::string info = nodes_[i]->run("CLUSTER", "INFO");
        const std::string name = "cluster_known_nodes:";
        const auto at = info.find(name);
        return at == std::string::npos ? 0 : std::stoul(info.substr(at + name.size()));
    }

    std::vector<std::unique_ptr<RedisServer>> nodes_{};
    std::vector<std::string> ids_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_REDIS_CLUSTER_HPP

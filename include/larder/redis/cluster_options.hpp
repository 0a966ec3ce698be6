// SPDX-License-Identifier: MIT

/// @file
/// Where a cluster is entered.

#ifndef LARDER_REDIS_CLUSTER_OPTIONS_HPP
#define LARDER_REDIS_CLUSTER_OPTIONS_HPP

#include <larder/entry.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <vector>

LARDER_NS_BEGIN

namespace redis {

/// Of a Client, as `ClientOptions::cluster`: keys are spread over the primaries of a Redis Cluster by
/// their hash slots.
struct ClusterOptions {
    /// Some of the nodes, of which one at least must answer; the others are learnt from it. Empty:
    /// there is no cluster.
    std::vector<Endpoint> seeds{};

    /// How often it is asked who has which slots, though nothing hints at a change.
    Ttl refresh{std::chrono::seconds{30}};
};

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_CLUSTER_OPTIONS_HPP

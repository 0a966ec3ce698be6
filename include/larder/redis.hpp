// SPDX-License-Identifier: MIT

/// @file
/// What needs hiredis.

#ifndef LARDER_REDIS_HPP
#define LARDER_REDIS_HPP

#include <larder/redis/client.hpp>
#include <larder/redis/detail/tracking/tracking_feed.hpp>
#include <larder/redis/durability.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/journal.hpp>
#include <larder/redis/journal_options.hpp>
#include <larder/redis/key_name.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/script.hpp>
#include <larder/redis/sequence.hpp>
#include <larder/redis/store.hpp>
#include <larder/redis/store_options.hpp>
#include <larder/redis/url.hpp>
#include <larder/store/memory.hpp>
#include <larder/store/tiered.hpp>
#include <larder/store/tiered_options.hpp>
#include <larder/version.hpp>

#endif  // LARDER_REDIS_HPP

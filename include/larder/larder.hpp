// SPDX-License-Identifier: MIT

/// @file
/// The core of larder: everything that needs the standard library alone.

#ifndef LARDER_LARDER_HPP
#define LARDER_LARDER_HPP

#include <larder/clock.hpp>
#include <larder/codec/raw.hpp>
#include <larder/concepts.hpp>
#include <larder/detached.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/executor.hpp>
#include <larder/fwd.hpp>
#include <larder/hash.hpp>
#include <larder/journal/journal.hpp>
#include <larder/journal/memory.hpp>
#include <larder/journal/unshared.hpp>
#include <larder/memoize.hpp>
#include <larder/options.hpp>
#include <larder/policy/cache_aside.hpp>
#include <larder/policy/refresh_ahead.hpp>
#include <larder/policy/tagged.hpp>
#include <larder/policy/unfenced.hpp>
#include <larder/policy/warm_options.hpp>
#include <larder/policy/write_behind.hpp>
#include <larder/policy/write_behind_options.hpp>
#include <larder/policy/write_through.hpp>
#include <larder/policy/writing.hpp>
#include <larder/sequence.hpp>
#include <larder/stats.hpp>
#include <larder/store/coordinated.hpp>
#include <larder/store/eviction/lru.hpp>
#include <larder/store/memory.hpp>
#include <larder/store/tiered.hpp>
#include <larder/version.hpp>

#endif  // LARDER_LARDER_HPP

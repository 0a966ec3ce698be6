// SPDX-License-Identifier: MIT

// Every peer that is installed.

#ifndef LARDER_TESTS_BENCHMARKS_PEERS_ALL_HPP
#define LARDER_TESTS_BENCHMARKS_PEERS_ALL_HPP

#include "bare_table.hpp"
#include "caffeine.hpp"
#include "larder_store.hpp"
#include "list_lru.hpp"
#ifdef LARDER_BENCHMARK_TBB
#include "tbb_lru.hpp"
#include "tbb_map.hpp"
#endif
#if __has_include(<boost/unordered/concurrent_flat_map.hpp>)
#include "flat_map.hpp"
#endif

#endif  // LARDER_TESTS_BENCHMARKS_PEERS_ALL_HPP

// SPDX-License-Identifier: MIT

/// @file
/// Declarations of the main templates, for headers that only name them.

#ifndef LARDER_FWD_HPP
#define LARDER_FWD_HPP

#include <larder/version.hpp>

LARDER_NS_BEGIN

struct SteadyClock;
class ManualClock;
class Executor;
struct Options;
struct Read;
struct Stats;
struct WarmOptions;
struct WarmProgress;

template <class V>
struct Entry;
template <class V>
struct Loaded;
template <class V>
struct Fetched;
template <class K, class V>
struct Change;

template <class K>
struct Hash;
template <class K>
struct WarmReport;

template <class S, class L>
class CacheAside;
template <class S, class L>
class WriteThrough;
template <class S, class L>
class RefreshAhead;
template <class S, class R, class J>
class WriteBehind;
template <class P>
class Tagged;

template <class K, class V, class C>
class MemoryJournal;
template <class R>
class Unfenced;
template <class J>
struct Unshared;

template <class V>
struct JsonCodec;
template <class V>
struct CborCodec;
template <class V>
struct MsgPackCodec;
template <class V>
struct RawCodec;
template <class C>
class Compressed;

LARDER_NS_END

#endif  // LARDER_FWD_HPP

// SPDX-License-Identifier: MIT

/// @file
/// Declarations of every class that users name, for headers that only name them. The default template
/// arguments stand here and nowhere else.

#ifndef LARDER_FWD_HPP
#define LARDER_FWD_HPP

#include <larder/version.hpp>

#include <functional>

LARDER_NS_BEGIN

namespace detail {

class MemoryCounter;
template <class S>
struct JournalBeside;  // known once <larder/policy/write_behind.hpp> is there

}  // namespace detail

// ---- what verbs take and give ----

struct Lifetime;
template <class V>
struct Entry;
template <class V>
struct Loaded;
template <class V>
struct Fetched;
template <class K, class V>
struct Change;
struct Read;
template <class F>
struct Detached;

// ---- options, and what is seen ----

struct Options;
struct WriteBehindOptions;
struct WarmOptions;
struct WarmProgress;
template <class K>
struct WarmReport;
struct Stats;
struct NamedStats;
struct LoadTimes;
struct Event;

// ---- what is thrown ----

class Error;
class StoreError;
class CodecError;
struct NotWritten;
template <class K>
class PartialWrite;

// ---- clocks, executors, keys ----

struct SteadyClock;
class ManualClock;
class Executor;
template <class K>
struct Hash;
template <class Floor, class Counter = detail::MemoryCounter>
class Sequence;

// ---- stores ----

class AdaptiveClock;
class Lru;
template <class K, class V>
struct MemoryStoreOptions;
template <class K, class V, class C = SteadyClock, class KeyHash = Hash<K>,
          class KeyEqual = std::equal_to<>, class Eviction = AdaptiveClock>
class MemoryStore;
template <class S>
class Coordinated;
struct TieredStoreOptions;
template <class Near, class Far>
class TieredStore;
class EvictionQueue;
class GhostTable;

// ---- policies ----

template <class S, class L>
class CacheAside;
template <class S, class L>
class WriteThrough;
template <class S, class L>
class RefreshAhead;
// Without J only where the policy's own header is included.
template <class S, class R, class J = typename detail::JournalBeside<S>::type>
class WriteBehind;
template <class P>
class Tagged;
template <class C>
class Writing;
template <class S, class F>
class Memoized;

// ---- codecs ----

template <class V>
struct JsonCodec;
template <class V>
struct CborCodec;
template <class V>
struct MsgPackCodec;
template <class V>
struct RawCodec;
struct CompressedOptions;
template <class C>
class Compressed;

// ---- journals ----

template <class K, class V>
struct Claimed;
template <class K, class V>
struct DeadLetter;
template <class K, class V, class C = SteadyClock>
class MemoryJournal;
struct SqliteJournalOptions;
template <class K, class V, class C = JsonCodec<V>, class T = SteadyClock>
class SqliteJournal;
template <class R>
class Unfenced;
template <class J>
struct Unshared;

// ---- Redis ----

struct RedisStoreOptions;
template <class K, class V, class C = JsonCodec<V>>
class RedisStore;
struct RedisJournalOptions;
template <class K, class V, class C = JsonCodec<V>>
class RedisJournal;

namespace redis {

class Client;
struct ClientOptions;
struct ClusterOptions;
struct Endpoint;
struct SentinelOptions;
struct TlsOptions;
struct ClientStats;
class Pipeline;
class Script;
class Reply;
class ReplyView;
class Counter;
class Durability;
class NoReply;
class ConnectError;
class TimeoutError;
class ConnectionError;
class BreakerOpen;
class ReplyError;
class AuthError;

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_FWD_HPP

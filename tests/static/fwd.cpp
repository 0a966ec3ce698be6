// SPDX-License-Identifier: MIT

// Named with <larder/fwd.hpp> alone, then the same as what the headers define.

#include <larder/fwd.hpp>

#include <type_traits>

namespace larder_test_fwd {

struct Key;
struct Value;
struct Loader;

// A class is not known yet, and so may be passed by reference only.
template <class... Named>
struct Names {};

using Words = Names<larder::Lifetime, larder::Entry<Value>, larder::Loaded<Value>,
                    larder::Fetched<Value>, larder::Change<Key, Value>, larder::Read,
                    larder::Detached<Loader>, larder::Options, larder::WriteBehindOptions,
                    larder::WarmOptions, larder::WarmProgress, larder::WarmReport<Key>,
                    larder::Stats, larder::NamedStats, larder::LoadTimes, larder::Event>;
using Thrown = Names<larder::Error, larder::StoreError, larder::CodecError, larder::NotWritten,
                     larder::PartialWrite<Key>>;
using Tools = Names<larder::SteadyClock, larder::ManualClock, larder::Executor, larder::Hash<Key>,
                    larder::Sequence<Loader>>;
using Codecs = Names<larder::JsonCodec<Value>, larder::CborCodec<Value>,
                     larder::MsgPackCodec<Value>, larder::RawCodec<Value>,
                     larder::CompressedOptions, larder::Compressed<larder::RawCodec<Value>>>;
using Redis =
    Names<larder::redis::Client, larder::redis::ClientOptions, larder::redis::ClientStats,
          larder::redis::Pipeline, larder::redis::Script, larder::redis::Reply,
          larder::redis::ReplyView, larder::redis::Counter, larder::redis::NoReply,
          larder::redis::ConnectError, larder::redis::TimeoutError, larder::redis::ConnectionError,
          larder::redis::BreakerOpen, larder::redis::ReplyError, larder::redis::AuthError>;

using Memory = larder::MemoryStore<int, long>;
using Tiers = larder::TieredStore<Memory, larder::RedisStore<int, long>>;
using InRedis = larder::RedisStore<int, long>;
using Behind = larder::WriteBehind<Memory, Loader, larder::MemoryJournal<int, long>>;

long total(const larder::CacheAside<Memory, Loader>& cache);
long total(const larder::WriteThrough<Memory, Loader>& cache);
long total(const larder::RefreshAhead<InRedis, Loader>& cache);
long total(const larder::Tagged<larder::CacheAside<Memory, Loader>>& cache);
long total(const larder::Memoized<Memory, Loader>& function);
long total(const larder::CacheAside<Tiers, Loader>& cache,
           const larder::TieredStoreOptions& options);
void flush(Behind& cache);
void warm(larder::Coordinated<Loader>& store, const larder::MemoryStoreOptions<int, long>& options,
          const larder::RedisStoreOptions& redis_options);
void bury(const larder::Claimed<int, long>& claimed, larder::DeadLetter<int, long>& letter);
larder::Unfenced<Loader>& without_fence(Loader& loader);
larder::Unshared<larder::MemoryJournal<int, long>>& alone(Loader& loader);

// Where S is not known yet, the journal need not be either.
template <class S, class R>
void drain(larder::WriteBehind<S, R>& cache);

}  // namespace larder_test_fwd

#include <larder/larder.hpp>
#include <larder/policy/tagged.hpp>
#include <larder/policy/write_behind.hpp>

#include <functional>
#include <optional>

namespace larder_test_fwd {

struct Table {
    std::optional<long> load(int) { return {}; }
    void save(int, long) {}
    void remove(int) {}
};

static_assert(std::is_same_v<Memory, larder::MemoryStore<int, long, larder::SteadyClock,
                                                         larder::Hash<int>, std::equal_to<>>>);
static_assert(std::is_same_v<larder::WriteBehind<Memory, Table>::journal_type,
                             larder::MemoryJournal<int, long, larder::SteadyClock>>);
static_assert(std::is_same_v<decltype(larder::WriteBehind{Memory{}, Table{}}),
                             larder::WriteBehind<Memory, Table>>);
static_assert(std::is_same_v<InRedis, larder::RedisStore<int, long, larder::JsonCodec<long>>>);

}  // namespace larder_test_fwd

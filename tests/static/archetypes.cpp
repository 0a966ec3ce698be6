// SPDX-License-Identifier: MIT

// One archetype for each concept, and near misses: what lacks one thing must not pass.

#include <larder/larder.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using larder::Change;
using larder::Entry;
using larder::Lifetime;
using larder::Loaded;

struct Plain {
    using key_type = int;
    using value_type = std::string;
    std::optional<Entry<std::string>> find(int) { return {}; }
    void put(int, std::optional<std::string>, Lifetime) {}
    bool erase(int) { return false; }
};
struct FindsAValue : Plain {
    std::optional<std::string> find(int) { return {}; }
};
struct PutsWithoutLifetime : Plain {
    void put(int, std::optional<std::string>) {}
};
struct ErasesSilently : Plain {
    void erase(int) {}
};
using Memory = larder::MemoryStore<int, std::string>;

static_assert(larder::Store<Plain>);
static_assert(!larder::Store<FindsAValue>);
static_assert(!larder::Store<PutsWithoutLifetime>);
static_assert(!larder::Store<ErasesSilently>);
static_assert(!larder::Store<int>);
static_assert(!larder::CoherentStore<Plain>);
static_assert(larder::CoherentStore<Memory>);
static_assert(larder::BatchStore<Memory>);
static_assert(larder::TaggingStore<Memory>);
static_assert(larder::CoherentStore<larder::Coordinated<Plain>>);
static_assert(larder::BatchStore<larder::Coordinated<Plain>>);
static_assert(!larder::TaggingStore<larder::Coordinated<Plain>>);
static_assert(larder::CoherentStore<larder::Coordinated<std::reference_wrapper<Plain>>>);

struct Table {
    std::optional<std::string> load(int) { return {}; }
    void save(int, const std::string&) {}
    void remove(int) {}
};
struct WithoutRemove {
    std::optional<std::string> load(int) { return {}; }
    void save(int, const std::string&) {}
};
struct Versioned {
    std::optional<std::string> load(int) { return {}; }
    bool save(int, const std::string&, std::uint64_t) { return true; }
    bool remove(int, std::uint64_t) { return true; }
};
struct Batched : Table {
    std::vector<std::optional<std::string>> load_many(std::span<const int> keys) {
        return std::vector<std::optional<std::string>>(keys.size());
    }
    void save_many(std::span<const Change<int, std::string>>) {}
};
struct BatchOfTheWrongType : Table {
    std::vector<int> load_many(std::span<const int>) { return {}; }
};
struct BatchThatCounts : Table {
    int save_many(std::span<const Change<int, std::string>>) { return 0; }
};
struct BatchThatTells : Table {
    std::vector<bool> save_many(std::span<const Change<int, std::string>>) { return {}; }
};
template <class R>
struct Gives {
    R operator()(int) { throw 1; }
};

static_assert(larder::LoaderFor<Table, Plain>);
static_assert(larder::LoaderFor<std::reference_wrapper<Table>, Plain>);
static_assert(larder::LoaderFor<Gives<std::optional<std::string>>, Plain>);
static_assert(larder::LoaderFor<Gives<Loaded<std::string>>, Plain>);
static_assert(larder::LoaderFor<Gives<std::string>, Plain>);
static_assert(larder::LoaderFor<Gives<std::nullopt_t>, Plain>);
static_assert(larder::LoaderFor<std::string (*)(const int&), Plain>);
static_assert(!larder::LoaderFor<Gives<const char*>, Plain>);
static_assert(!larder::LoaderFor<Gives<std::string_view>, Plain>);
static_assert(!larder::LoaderFor<Gives<std::optional<int>>, Plain>);
static_assert(!larder::LoaderFor<Gives<void>, Plain>);
static_assert(!larder::LoaderFor<int, Plain>);
static_assert(larder::BatchLoaderFor<Batched, Plain>);
static_assert(!larder::BatchLoaderFor<Table, Plain>);
static_assert(!larder::BatchLoaderFor<BatchOfTheWrongType, Plain>);
static_assert(larder::RepositoryFor<Table, Plain>);
static_assert(larder::RepositoryFor<std::reference_wrapper<Table>, Plain>);
static_assert(!larder::RepositoryFor<WithoutRemove, Plain>);
static_assert(!larder::RepositoryFor<Gives<std::string>, Plain>);
static_assert(!larder::RepositoryFor<Versioned, Plain>);
static_assert(larder::VersionedRepositoryFor<Versioned, Plain>);
static_assert(!larder::VersionedRepositoryFor<Table, Plain>);
static_assert(larder::BatchRepositoryFor<Batched, Plain>);
static_assert(larder::BatchRepositoryFor<BatchThatTells, Plain>);
static_assert(!larder::BatchRepositoryFor<BatchThatCounts, Plain>);
static_assert(!larder::BatchRepositoryFor<Table, Plain>);

struct Raw {
    static constexpr bool textual = true;
    std::string encode(const std::string& value) const { return value; }
    std::string decode(std::string_view bytes) const { return std::string{bytes}; }
};
struct Speechless {
    std::string encode(const std::string& value) const { return value; }
    std::string decode(std::string_view bytes) const { return std::string{bytes}; }
};
struct EncodesAView : Raw {
    std::string_view encode(const std::string& value) const { return value; }
};
struct DecodesMaybe : Raw {
    std::optional<std::string> decode(std::string_view) const { return {}; }
};
struct DecodesOwnedBytes : Raw {
    std::string decode(const std::string& bytes) const { return bytes; }
};
struct RemembersItsValues : Raw {
    std::string decode(std::string_view bytes) { return std::string{bytes}; }
};
struct EncodesByChange : Raw {
    std::string encode(std::string& value) const { return value; }
};
static_assert(larder::Codec<Raw, std::string>);
static_assert(!larder::Codec<Raw, int>);
static_assert(!larder::Codec<Speechless, std::string>);
static_assert(!larder::Codec<EncodesAView, std::string>);
static_assert(!larder::Codec<DecodesMaybe, std::string>);
static_assert(!larder::Codec<DecodesOwnedBytes, std::string>);
static_assert(!larder::Codec<RemembersItsValues, std::string>);
static_assert(!larder::Codec<EncodesByChange, std::string>);
static_assert(larder::Codec<larder::RawCodec<>, std::string>);
static_assert(larder::Codec<larder::RawCodec<int>, int>);
static_assert(!larder::Codec<larder::RawCodec<int>, long>);

static_assert(larder::Clock<larder::SteadyClock>);
static_assert(larder::Clock<larder::ManualClock>);
static_assert(!larder::Clock<int>);

static_assert(larder::LookupKey<std::string_view, std::string>);
static_assert(larder::LookupKey<const char*, std::string>);
static_assert(!larder::LookupKey<int, std::string>);
static_assert(!larder::LookupKey<int, long>);

using Reading = larder::CacheAside<Memory, Gives<std::string>>;
using Writing = larder::WriteThrough<Plain, Table>;
using Ahead = larder::RefreshAhead<Memory, std::reference_wrapper<Table>>;

static_assert(larder::Cache<Reading>);
static_assert(!larder::WritableCache<Reading>);  // a plain loader has no put
static_assert(larder::WritableCache<Writing>);
static_assert(larder::WritableCache<Ahead>);
static_assert(!larder::Cache<Plain>);
static_assert(std::movable<Reading> && !std::copyable<Reading>);

// Every member of every public aggregate has an initialiser: leaving some out warns nobody.
[[maybe_unused]] const Lifetime life{.fresh = larder::Ttl{1}};
[[maybe_unused]] const Loaded<int> loaded{.value = 1, .tags = {"a"}};
[[maybe_unused]] const larder::Read how{.from = larder::From::far};
[[maybe_unused]] const larder::Fetched<int> fetched{.value = 1};
[[maybe_unused]] const Change<int, int> change{.key = 1};
static_assert(std::same_as<decltype(Entry{1, larder::Ttl{1}}), Entry<int>>);
static_assert(std::same_as<decltype(Entry{std::optional{1}, larder::Ttl{1}}), Entry<int>>);
static_assert(std::same_as<decltype(Loaded{1, larder::Ttl{1}}), Loaded<int>>);
static_assert(std::same_as<decltype(Loaded{std::optional{1}}), Loaded<int>>);
static_assert(std::same_as<decltype(Change{1, std::string{}}), Change<int, std::string>>);

}  // namespace

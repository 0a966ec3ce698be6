// SPDX-License-Identifier: MIT

/// @file
/// Tagged: invalidation by what entries depend on, mixed into any policy.

#ifndef LARDER_POLICY_TAGGED_HPP
#define LARDER_POLICY_TAGGED_HPP

#include <larder/concepts.hpp>
#include <larder/detail/policy_base.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <concepts>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Carried by every entry of a Tagged policy. No user's tag starts with this byte.
inline const std::string& everything_tag() {
    // In two parts: an escape takes all hexadecimal digits that follow.
    static const std::string tag =
        "\x01"
        "everything";
    return tag;
}

template <class F, class K, class V>
concept TagsOfKeyAndValue = std::invocable<F&, const K&, const V&> &&
                            std::convertible_to<std::invoke_result_t<F&, const K&, const V&>, Tags>;
template <class F, class V>
concept TagsOfValue =
    std::invocable<F&, const V&> && std::convertible_to<std::invoke_result_t<F&, const V&>, Tags>;
template <class F, class K, class V>
concept TagsOf = TagsOfKeyAndValue<F, K, V> || TagsOfValue<F, V>;

/// Empty base: the one thing that can be missing.
template <class P>
struct RequiresTaggingStore {
    static_assert(TaggingStore<typename P::store_type>,
                  "larder: Tagged needs a store that keeps tags, as MemoryStore does");
};

}  // namespace detail

/// A policy whose entries carry tags, and `invalidate_tag`, which reaches all that carry one.
///
/// ```cpp
/// larder::Tagged products{larder::CacheAside{store, ProductTable{db}, {.ttl = 1h}},
///                         [](const Product& p) { return larder::Tags{"category:" + p.category}; }};
/// products.invalidate_tag("category:7");  // as fast for ten entries as for ten million
/// ```
///
/// A tag is one version, not a set of keys: an invalidation takes the same time whatever carries the
/// tag, and wins over loads and writes that are under way. A value's tags are those of the value that
/// is cached; when another program changes what they would be, invalidate the key.
///
/// Thread safety: as the policy's.
///
/// @tparam P  the policy: it is the base, so that all its verbs are there
template <class P>
class Tagged : detail::RequiresTaggingStore<P>, public P {
public:
    using key_type = typename P::key_type;
    using value_type = typename P::value_type;

    /// @param policy    moved in; it has loaded nothing yet
    /// @param tags_of   the tags of an entry, from `(key, value)` or `(value)`. What it throws fails
    ///                  the load; after a write, the copy is dropped instead
    template <class F>
    Tagged(P policy, F tags_of) : Tagged{std::move(policy), std::move(tags_of), no_tags} {}

    /// @param absent_tags_of  the tags of a known absence, from its key
    template <class F, class G>
    Tagged(P policy, F tags_of, G absent_tags_of) : P{std::move(policy)} {
        // Here, not as constraints: those would be "class template argument deduction failed".
        static_assert(detail::TagsOf<F, key_type, value_type>,
                      "larder: tags_of must give larder::Tags, from (key, value) or (value)");
        static_assert(detail::TagsOfValue<G, key_type>,
                      "larder: absent_tags_of must give larder::Tags, from (key)");
        if constexpr (detail::TagsOf<F, key_type, value_type> && detail::TagsOfValue<G, key_type>) {
            this->core().tags_of =
                [tags_of = std::move(tags_of), absent_tags_of = std::move(absent_tags_of)](
                    const key_type& key, const std::optional<value_type>& value) mutable {
                    Tags tags = !value ? Tags(std::invoke(absent_tags_of, key))
                                       : call(tags_of, key, *value);
                    tags.push_back(detail::everything_tag());
                    return tags;
                };
        }
    }

    /// Makes every entry that carries the tag a miss; loads and writes under way leave none.
    ///
    /// @throws StoreError  the entries may still be served: a lost invalidation must not be silent
    void invalidate_tag(const std::string& tag) const { invalidate_tags({&tag, 1}); }

    /// The same for any of several tags, in one step.
    ///
    /// @throws as `invalidate_tag`
    void invalidate_tags(std::span<const std::string> tags) const {
        this->core().store.invalidate_tags(tags);
    }
    /// @copydoc invalidate_tags
    void invalidate_tags(std::initializer_list<std::string> tags) const {
        invalidate_tags(std::span<const std::string>{tags.begin(), tags.size()});
    }

    /// Makes every entry of Tagged policies on this store a miss, known absences too.
    ///
    /// @throws as `invalidate_tag`
    void invalidate_all() const { invalidate_tag(detail::everything_tag()); }

private:
    static Tags no_tags(const key_type&) { return {}; }

    template <class F>
    static Tags call(F& tags_of, const key_type& key, const value_type& value) {
        if constexpr (detail::TagsOfKeyAndValue<F, key_type, value_type>) {
            return std::invoke(tags_of, key, value);
        } else {
            return std::invoke(tags_of, value);
        }
    }
};

LARDER_NS_END

#endif  // LARDER_POLICY_TAGGED_HPP

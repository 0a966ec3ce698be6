// SPDX-License-Identifier: MIT

/// @file
/// One readable error for each function that a store or a loader lacks.
///
/// Class templates assert these in empty bases: a constraint on their head would make CTAD's error
/// hide the reason.

#ifndef LARDER_DETAIL_USER_DIAGNOSTICS_HPP
#define LARDER_DETAIL_USER_DIAGNOSTICS_HPP

#include <larder/concepts.hpp>
#include <larder/version.hpp>

#include <concepts>
#include <functional>
#include <type_traits>

LARDER_NS_BEGIN

namespace detail {

template <class S>
consteval bool compares() {
    if constexpr (HasKeyType<S> && HasValueType<S>) {
        return requires(const typename S::key_type& a) {
            { a == a } -> std::convertible_to<bool>;
        };
    } else {
        return true;
    }
}
template <class S>
consteval bool copies() {
    if constexpr (HasKeyType<S> && HasValueType<S>) {
        return std::copy_constructible<typename S::value_type>;
    } else {
        return true;
    }
}

template <class S>
inline constexpr bool store_ok =
    Store<Unwrapped<S>> && compares<Unwrapped<S>>() && copies<Unwrapped<S>>();

// A later part is asked only when the former is there, so that one gap gives one error.
template <class S>
consteval bool finds() {
    if constexpr (HasKeyType<S> && HasValueType<S>) {
        return !copies<S>() || Findable<S>;
    } else {
        return true;
    }
}
template <class S>
consteval bool puts() {
    if constexpr (HasKeyType<S> && HasValueType<S>) {
        return !Findable<S> || Puttable<S>;
    } else {
        return true;
    }
}
template <class S>
consteval bool erases() {
    if constexpr (HasKeyType<S> && HasValueType<S>) {
        return !Findable<S> || !Puttable<S> || Erasable<S>;
    } else {
        return true;
    }
}

template <class Given>
struct RequiresStore {
    using S = Unwrapped<Given>;
    static_assert(HasKeyType<S>, "larder: a Store needs a member type key_type");
    static_assert(!HasKeyType<S> || HasValueType<S>,
                  "larder: a Store needs a member type value_type");
    static_assert(compares<S>(), "larder: a key needs operator==");
    static_assert(
        copies<S>(),
        "larder: a cache copies its values to whoever asks: keep one that cannot be copied "
        "as a std::shared_ptr<const V>");
    static_assert(finds<S>(),
                  "larder: a Store needs find(key) -> std::optional<larder::Entry<value_type>>");
    static_assert(puts<S>(),
                  "larder: a Store needs put(key, std::optional<value_type>, larder::Lifetime)");
    static_assert(erases<S>(), "larder: a Store needs erase(key) -> bool");
};

/// Deduced in a loader's place where the arguments after it fit no constructor.
struct MistakenOptions {};

/// The loader of a deduction guide that any argument may follow: the last that is chosen.
struct AnyLoader {
    template <class L>
    AnyLoader(const L&);
};

template <class L, class S>
consteval bool loads() {
    if constexpr (store_ok<S> && !std::same_as<L, MistakenOptions>) {
        return CallsAtAll<L, typename Unwrapped<S>::key_type>;
    } else {
        return true;
    }
}
template <class L, class S>
consteval bool loads_right() {
    if constexpr (store_ok<S> && !std::same_as<L, MistakenOptions>) {
        return !loads<L, S>() || LoaderFor<L, Unwrapped<S>>;
    } else {
        return true;
    }
}

// Batch functions need not be there; one that is there and cannot be used is a mistake.
template <class L, class S>
consteval bool loads_many() {
    if constexpr (store_ok<S> && !std::same_as<L, MistakenOptions> && loads<L, S>() &&
                  loads_right<L, S>()) {
        return !HasLoadMany<L, Unwrapped<S>> || BatchLoaderFor<L, Unwrapped<S>>;
    } else {
        return true;
    }
}
template <class L, class S>
consteval bool saves_many() {
    if constexpr (store_ok<S> && !std::same_as<L, MistakenOptions> && loads<L, S>() &&
                  loads_right<L, S>()) {
        return !HasSaveMany<L, Unwrapped<S>> || BatchRepositoryFor<L, Unwrapped<S>>;
    } else {
        return true;
    }
}

template <class L, class S>
inline constexpr bool loader_ok =
    store_ok<S> && !std::same_as<L, MistakenOptions> && loads<L, S>() && loads_right<L, S>() &&
    loads_many<L, S>() && saves_many<L, S>();

template <class L, class S>
struct RequiresLoader {
    static_assert(
        !std::same_as<L, MistakenOptions>,
        "larder: an argument after the loader is not of its type, or an option is misspelt "
        "(a time has a unit: {.ttl = 60s}): write larder::Options{...} to see which");
    static_assert(!std::is_reference_v<L>,
                  "larder: a policy keeps a loader or a repository itself, or a "
                  "std::reference_wrapper<T>, which std::ref makes");
    static_assert(loads<L, S>(), "larder: a loader needs load(key) or operator()(key)");
    static_assert(loads_right<L, S>(),
                  "larder: a loader must give exactly std::optional<value_type>, "
                  "larder::Loaded<value_type>, value_type or std::nullopt_t");
    static_assert(loads_many<L, S>(),
                  "larder: load_many(keys) must give a vector of what a loader may give");
    static_assert(saves_many<L, S>(),
                  "larder: save_many(changes) must give nothing or std::vector<bool>");
};

/// The base of a policy whose store or loader lacks something: RequiresStore and RequiresLoader have said
/// what, and nothing more should be said.
class NoPolicy {
public:
    using key_type = int;
    using value_type = int;

protected:
    template <class... Given>
    explicit NoPolicy(const Given&...) {}
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_USER_DIAGNOSTICS_HPP

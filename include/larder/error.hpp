// SPDX-License-Identifier: MIT

/// @file
/// What larder throws: one category of codes, and the exceptions that carry them.

#ifndef LARDER_ERROR_HPP
#define LARDER_ERROR_HPP

#include <larder/version.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

/// Why an operation failed. Compare with `error.code() == larder::Errc::timed_out`.
enum class Errc {
    timed_out = 1,     ///< the call's time-out passed, and no stale copy was at hand
    cancelled,         ///< the call's stop token was used, and no stale copy was at hand
    recursive_load,    ///< a load asked, itself or through others, for the key it is loading
    store_failed,      ///< the store could not carry out the operation
    store_full,        ///< the queue of invalidations that the store missed is full
    codec_failed,      ///< bytes that do not decode, or a value that does not encode
    tags_unsupported,  ///< a loader gave tags, but the store cannot keep them
    bad_batch,         ///< a batch answered for another number of keys than it was asked for
    partial_write,     ///< some keys of a batch were not written: see PartialWrite
    journal_full,      ///< too many changes wait for the database
    closed,            ///< the policy or its executor went away before the work began
};

/// The enumerator's name.
[[nodiscard]] constexpr std::string_view to_string(Errc code) noexcept {
    switch (code) {
        case Errc::timed_out: return "timed_out";
        case Errc::cancelled: return "cancelled";
        case Errc::recursive_load: return "recursive_load";
        case Errc::store_failed: return "store_failed";
        case Errc::store_full: return "store_full";
        case Errc::codec_failed: return "codec_failed";
        case Errc::tags_unsupported: return "tags_unsupported";
        case Errc::bad_batch: return "bad_batch";
        case Errc::partial_write: return "partial_write";
        case Errc::journal_full: return "journal_full";
        case Errc::closed: return "closed";
    }
    return "unknown";
}

/// The category of Errc, named "larder".
[[nodiscard]] inline const std::error_category& error_category() noexcept {
    class Category final : public std::error_category {
    public:
        [[nodiscard]] const char* name() const noexcept override { return "larder"; }
        [[nodiscard]] std::string message(int code) const override {
            switch (static_cast<Errc>(code)) {
                case Errc::timed_out: return "timed out";
                case Errc::cancelled: return "cancelled";
                case Errc::recursive_load: return "recursive load";
                case Errc::store_failed: return "the store failed";
                case Errc::store_full: return "too many queued invalidations";
                case Errc::codec_failed: return "the codec failed";
                case Errc::tags_unsupported: return "the store cannot keep tags";
                case Errc::bad_batch: return "a batch of the wrong size";
                case Errc::partial_write: return "not everything was written";
                case Errc::journal_full: return "the journal is full";
                case Errc::closed: return "closed";
            }
            return "unknown error " + std::to_string(code);
        }
    };
    static const Category category;
    return category;
}

/// Found by std::error_code's constructor.
[[nodiscard]] inline std::error_code make_error_code(Errc code) noexcept {
    return {static_cast<int>(code), error_category()};
}

LARDER_NS_END

template <>
struct std::is_error_code_enum<larder::Errc> : std::true_type {};

LARDER_NS_BEGIN

/// The base of everything that larder itself throws, `std::invalid_argument` for options apart.
/// What a loader or a repository throws passes through as it is.
class Error : public std::system_error {
public:
    /// @param what  what failed; the text of the exception is this after `larder: `
    Error(Errc code, const std::string& what) : std::system_error{code, "larder: " + what} {}
};

/// A store failed. The entry is as it was, or absent.
class StoreError : public Error {
public:
    using Error::Error;

    /// With the code `store_failed`: what a store of your own throws.
    explicit StoreError(const std::string& what) : Error{Errc::store_failed, what} {}
};

/// Bytes that do not decode, or a value that does not encode.
class CodecError : public Error {
public:
    using Error::Error;

    /// With the code `codec_failed`: what a codec of your own throws.
    explicit CodecError(const std::string& what) : Error{Errc::codec_failed, what} {}
};

/// An empty mark for a repository's exceptions: derive from it to say that nothing was written.
///
/// ```cpp
/// struct UniqueViolation : std::runtime_error, larder::NotWritten { using runtime_error::runtime_error; };
/// ```
struct NotWritten {};

/// What became of one key of a batch write.
enum class Written {
    no,       ///< it was not written
    yes,      ///< it was written
    unknown,  ///< it may have been written, or may be still
};

/// The enumerator's name.
[[nodiscard]] constexpr std::string_view to_string(Written written) noexcept {
    switch (written) {
        case Written::no: return "no";
        case Written::yes: return "yes";
        case Written::unknown: return "unknown";
    }
    return "unknown";
}

/// A batch write of which not everything was written.
template <class K>
class PartialWrite : public Error {
public:
    /// @param keys   what became of each
    /// @param cause  what the repository threw, or null
    PartialWrite(std::vector<std::pair<K, Written>> keys, std::exception_ptr cause)
        : Error{Errc::partial_write, text(keys)},
          keys_{std::make_shared<const std::vector<std::pair<K, Written>>>(std::move(keys))},
          cause_{std::move(cause)} {}

    /// Each key once, in the order in which they were given first.
    [[nodiscard]] const std::vector<std::pair<K, Written>>& keys() const noexcept { return *keys_; }

    /// What the repository threw; null if it answered that some were not applied.
    [[nodiscard]] std::exception_ptr cause() const noexcept { return cause_; }

private:
    static std::string text(const std::vector<std::pair<K, Written>>& keys) {
        std::size_t yes = 0;
        std::size_t unknown = 0;
        for (const auto& [key, written] : keys) {
            yes += written == Written::yes ? 1U : 0U;
            unknown += written == Written::unknown ? 1U : 0U;
        }
        return std::to_string(yes) + " of " + std::to_string(keys.size()) +
               " keys were written, of " + std::to_string(unknown) + " it is not known";
    }

    // Shared: an exception must copy without throwing.
    std::shared_ptr<const std::vector<std::pair<K, Written>>> keys_;
    std::exception_ptr cause_;
};

LARDER_NS_END

#endif  // LARDER_ERROR_HPP

// SPDX-License-Identifier: MIT

// Every public enumerator has a name, its own.

#include "support/catch.hpp"

#include <larder/larder.hpp>

#include <initializer_list>
#include <set>
#include <string_view>

namespace {

/// As many names as enumerators, and a last word for what is none of them.
template <class E>
void named(std::initializer_list<std::string_view> names) {
    std::set<std::string_view> seen;
    const int first = to_string(E{}) == "unknown" ? 1 : 0;  // an error code is never 0
    int at = first;
    for (const std::string_view name : names) {
        CHECK(to_string(static_cast<E>(at)) == name);
        CHECK(seen.insert(name).second);
        ++at;
    }
    CHECK(to_string(static_cast<E>(at)) == "unknown");
}

}  // namespace

TEST_CASE("enumerators have names", "[names]") {
    named<larder::Source>({"hit", "near_hit", "stale", "pending", "loaded", "joined", "bypassed"});
    named<larder::From>({"any", "far", "source"});
    named<larder::Breaker>({"closed", "open", "half_open"});
    named<larder::NearMode>({"none", "tracking", "ttl", "channel"});
    named<larder::NearFlush>({"start", "cut", "silence", "server_flush", "topology", "overflow"});
    named<larder::EventKind>({"load_failed", "refresh_failed", "store_failed", "fill_failed",
                              "invalidation_queued", "lost_ticket", "buried", "not_drained"});
    named<larder::Errc>({"timed_out", "cancelled", "recursive_load", "store_failed", "store_full",
                         "codec_failed", "tags_unsupported", "bad_batch", "partial_write",
                         "journal_full", "closed"});
    named<larder::Written>({"no", "yes", "unknown"});
    named<larder::OnStoreFailure>({"proceed", "fail"});
    named<larder::WhenFull>({"block", "reject"});
    named<larder::RemovalCause>({"replaced", "erased", "expired", "evicted", "cleared"});
    static_assert(to_string(larder::Source::hit) == "hit");
}

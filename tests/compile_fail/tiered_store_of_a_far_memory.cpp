// SPDX-License-Identifier: MIT
// expect: larder: the far store of a TieredStore tells what has changed: it is a larder::RedisStore
#include <larder/larder.hpp>

#include <memory>
#include <string>

struct Far : larder::MemoryStore<int, std::string> {
    Far() = default;
    struct Query : larder::detail::NoQuery {
        bool wants_tags = false;
        larder::Tags tags{};
    };
#ifdef LARDER_FIXED
    std::shared_ptr<larder::detail::NearFeed> watch(larder::detail::NearListener&, larder::Ttl);
#endif
};

auto store() {
    return larder::TieredStore{larder::MemoryStore<int, std::string>{}, Far{}, {}};
}

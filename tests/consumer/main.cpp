// SPDX-License-Identifier: MIT
#include <larder/larder.hpp>
#ifdef WITH_json
#include <larder/json.hpp>
#endif
#ifdef WITH_redis
#include <larder/redis.hpp>

#include <hiredis/hiredis.h>
#endif
#ifdef WITH_sqlite
#include <larder/sqlite.hpp>
#endif
#ifdef WITH_tls
#include <larder/redis.hpp>
#include <larder/tls.hpp>

#include <openssl/ssl.h>
#endif
#ifdef WITH_zstd
#include <larder/zstd.hpp>
#endif

#include <string>

int main() {
    larder::MemoryStore<int, int> store;
    larder::CacheAside cache{store, [](int key) { return key + 1; }};
    bool works = cache.get(1) == 2;
#ifdef WITH_json
    const larder::JsonCodec<int> json;
    works = works && json.decode(json.encode(2)) == 2;
#endif
#ifdef WITH_redis
    redisReader* const reader = redisReaderCreate();  // linked, too
    works = works && reader != nullptr;
    redisReaderFree(reader);
#endif
#ifdef WITH_sqlite
    larder::SqliteJournal<int, std::string, larder::RawCodec<>> journal{"consumer.journal"};
    journal.record({1, "one", 0});
    works = works && journal.pending(1)->value == "one";
#endif
#ifdef WITH_tls
    const larder::redis::Client client{"rediss://127.0.0.1:1"};  // nothing is connected yet
    works = works && client.name() == "127.0.0.1:1" && OpenSSL_version_num() != 0;
#endif
#ifdef WITH_zstd
    const larder::Compressed<larder::RawCodec<>> zstd;
    const std::string text(10'000, 'x');
    works = works && zstd.decode(zstd.encode(text)) == text && zstd.encode(text).size() < 100;
#endif
    return works ? 0 : 1;
}

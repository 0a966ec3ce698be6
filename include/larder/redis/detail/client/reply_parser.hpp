// SPDX-License-Identifier: MIT

/// @file
/// Parses replies, of bytes that need not be well meant.

#ifndef LARDER_REDIS_DETAIL_CLIENT_REPLY_PARSER_HPP
#define LARDER_REDIS_DETAIL_CLIENT_REPLY_PARSER_HPP

#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <hiredis/hiredis.h>

#include <cstddef>
#include <memory>
#include <new>
#include <string>

LARDER_NS_BEGIN

namespace redis::detail {

/// hiredis' parser, with bounds that all its versions lack: how deep arrays are nested (freeing what
/// is nested too deep overflows the stack), how many elements one has (they are allocated before the
/// first is there), and how large a reply is. It throws ConnectionFailure, and must not be used after that.
class ReplyParser {
public:
    /// Within an array within an array … (hiredis 0.14 allows no more).
    static constexpr int max_depth = 7;
    static constexpr long long max_elements = 4 * 1024 * 1024;

    explicit ReplyParser(std::size_t max_bytes)
        : reader_{::redisReaderCreate()}, max_bytes_{max_bytes} {
        if (!reader_) {
            throw std::bad_alloc{};
        }
        reader_->fn = &functions();
    }

    void feed(const char* bytes, std::size_t size) {
        if (::redisReaderFeed(reader_.get(), bytes, size) != REDIS_OK) {
            fail();
        }
        unfinished_ += size;
    }

    /// Takes the next reply, if it is complete.
    [[nodiscard]] bool next(Reply& reply) {
        void* made = nullptr;
        if (::redisReaderGetReply(reader_.get(), &made) != REDIS_OK) {
            fail();
        }
        if (made == nullptr) {
            if (unfinished_ > max_bytes_) {
                throw ConnectionFailure{ConnectionFailure::Kind::broken,
                                        "a reply larger than max_reply_bytes"};
            }
            return false;
        }
        unfinished_ = reader_->len - reader_->pos;
        reply = Reply{static_cast<redisReply*>(made)};
        return true;
    }

    /// Whether everything that came has been taken.
    [[nodiscard]] bool empty() const noexcept { return unfinished_ == 0; }

private:
    struct Free {
        void operator()(redisReader* reader) const noexcept { ::redisReaderFree(reader); }
    };

    // hiredis' own functions, with ours for arrays.
    static redisReplyObjectFunctions& functions() {
        static redisReplyObjectFunctions ours = [] {
            redisReplyObjectFunctions all = original();
            all.createArray = &create_array;
            return all;
        }();
        return ours;
    }
    static const redisReplyObjectFunctions& original() {
        static const redisReplyObjectFunctions theirs = [] {
            const std::unique_ptr<redisReader, Free> reader{::redisReaderCreate()};
            if (!reader) {
                throw std::bad_alloc{};
            }
            return *reader->fn;
        }();
        return theirs;
    }

    // A template, since the number's type depends on the version.
    template <class Number>
    static void* create_array(const redisReadTask* task, Number elements) noexcept {
        int depth = 1;
        for (const redisReadTask* at = task->parent; at != nullptr; at = at->parent) {
            ++depth;
        }
        if (depth > max_depth || static_cast<long long>(elements) > max_elements) {
            return nullptr;
        }
        return original().createArray(task, elements);
    }

    [[noreturn]] void fail() const {
        throw ConnectionFailure{ConnectionFailure::Kind::broken,
                                reader_->err == REDIS_ERR_OOM
                                    ? "a reply that is nested too deep or has too many elements"
                                    : std::string{"not a reply: "} + reader_->errstr};
    }

    std::unique_ptr<redisReader, Free> reader_;
    std::size_t max_bytes_;
    std::size_t unfinished_{0};  // bytes that came after the last complete reply
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_REPLY_PARSER_HPP

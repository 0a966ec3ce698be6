// SPDX-License-Identifier: MIT

/// @file
/// Compressed: another codec's bytes, compressed by zstd where they are many.

#ifndef LARDER_CODEC_ZSTD_HPP
#define LARDER_CODEC_ZSTD_HPP

#include <larder/error.hpp>
#include <larder/version.hpp>

#include <zstd.h>

#include <cstddef>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

LARDER_NS_BEGIN

/// Tuning of a Compressed, written with designated initialisers: `{.above = 4096}`.
struct CompressedOptions {
    /// The most bytes that stay as they are.
    std::size_t above = 1024;

    /// zstd's: from ZSTD_minCLevel() to ZSTD_maxCLevel(). More takes longer and leaves less.
    int level = 3;

    /// The most bytes that a value may have before it is compressed. Neither is more written, nor
    /// is memory for more taken because some bytes say so.
    std::size_t max_bytes = std::size_t{64} << 20U;
};

namespace detail {

struct ZstdFree {
    void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
    void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
};

/// zstd's working memory, kept for this thread's next value: made anew, it would cost more than a
/// value of a few kilobytes takes.
template <class Context, Context* (*create)()>
[[nodiscard]] Context* zstd_context() {
    thread_local const std::unique_ptr<Context, ZstdFree> context{create()};
    if (!context) {
        throw std::bad_alloc{};
    }
    return context.get();
}

/// A zstd frame with a checksum; empty if it would not be smaller.
[[nodiscard]] inline std::string zstd_compress(std::string_view plain, int level) {
    auto* const context = zstd_context<ZSTD_CCtx, ZSTD_createCCtx>();
    ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    std::string frame(plain.size() - 1, '\0');
    const std::size_t size =
        ZSTD_compress2(context, frame.data(), frame.size(), plain.data(), plain.size());
    frame.resize(ZSTD_isError(size) != 0 ? 0 : size);  // it did not fit
    return frame;
}

/// What is in one zstd frame.
/// @throws CodecError  it is none, is damaged, or does not say that it holds at most `max_bytes`
[[nodiscard]] inline std::string zstd_decompress(std::string_view frame, std::size_t max_bytes) {
    const auto fail = [](const std::string& why) {
        throw CodecError{"bytes do not decompress: " + why};
    };
    // zstd itself would also take frames of its older formats.
    if (!frame.starts_with("\x28\xB5\x2F\xFD")) {
        fail("they are neither plain nor a zstd frame");
    }
    const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN) {
        fail("the frame does not say how many they are");
    }
    if (size > max_bytes) {
        fail("the frame holds " + std::to_string(size) + " bytes, more than max_bytes " +
             std::to_string(max_bytes));
    }
    if (size > frame.size() / 4 * ZSTD_BLOCKSIZE_MAX) {  // a block has 4 bytes at least
        fail("the frame is too short for the " + std::to_string(size) + " bytes that it claims");
    }
    std::string plain(static_cast<std::size_t>(size), '\0');
    const std::size_t got =
        ZSTD_decompressDCtx(zstd_context<ZSTD_DCtx, ZSTD_createDCtx>(), plain.data(), plain.size(),
                            frame.data(), frame.size());
    if (ZSTD_isError(got) != 0) {
        fail(ZSTD_getErrorName(got));
    }
    if (got != size) {
        fail("the frame holds fewer than it says");
    }
    return plain;
}

}  // namespace detail

/// Another codec's bytes: after a zero byte as they are, or a zstd frame where that is smaller.
///
/// ```cpp
/// larder::Compressed<larder::JsonCodec<Page>> codec{{.above = 4096}};
/// ```
///
/// Each thread that uses it keeps zstd's working memory: with the default level, at most 1.5 MB.
///
/// Thread safety: that of C.
///
/// @tparam C  the codec whose bytes are compressed
template <class C>
class Compressed {
public:
    using value_type = decltype(std::declval<const C&>().decode(std::string_view{}));

    static constexpr bool textual = false;

    /// With the options as they are.
    Compressed() : Compressed{CompressedOptions{}} {}

    /// @throws std::invalid_argument  a level that zstd does not have, or `max_bytes` 0
    explicit Compressed(CompressedOptions options, C codec = {})
        : options_{options}, codec_{std::move(codec)} {
        if (options.level < ZSTD_minCLevel() || options.level > ZSTD_maxCLevel()) {
            throw std::invalid_argument{"larder: CompressedOptions::level must be " +
                                        std::to_string(ZSTD_minCLevel()) + " to " +
                                        std::to_string(ZSTD_maxCLevel()) + ", but is " +
                                        std::to_string(options.level)};
        }
        if (options.max_bytes == 0) {
            throw std::invalid_argument{
                "larder: CompressedOptions::max_bytes must be positive, but is 0"};
        }
    }

    /// @throws CodecError  C does, or its bytes are more than `max_bytes`
    [[nodiscard]] std::string encode(const value_type& value) const {
        std::string bytes = codec_.encode(value);
        if (bytes.size() > options_.max_bytes) {
            throw CodecError{"a value does not encode: its " + std::to_string(bytes.size()) +
                             " bytes are more than max_bytes " +
                             std::to_string(options_.max_bytes)};
        }
        if (bytes.size() > options_.above) {
            std::string frame = detail::zstd_compress(bytes, options_.level);
            if (!frame.empty()) {
                return frame;
            }
        }
        bytes.insert(bytes.begin(), plain);
        return bytes;
    }

    /// @throws CodecError  C does, or the bytes are neither plain nor a whole zstd frame
    [[nodiscard]] value_type decode(std::string_view bytes) const {
        if (bytes.starts_with(plain)) {
            return codec_.decode(bytes.substr(1));
        }
        return codec_.decode(detail::zstd_decompress(bytes, options_.max_bytes));
    }

private:
    static constexpr char plain = '\0';  // no frame begins with it

    CompressedOptions options_;
    C codec_;
};

LARDER_NS_END

#endif  // LARDER_CODEC_ZSTD_HPP

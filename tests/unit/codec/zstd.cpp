// SPDX-License-Identifier: MIT

// Compressed: what it compresses and what it leaves, frames that lie, and frames that are damaged.

#include "support/catch.hpp"
#include "support/codec_checks.hpp"

#include <larder/codec/raw.hpp>
#include <larder/concepts.hpp>
#include <larder/zstd.hpp>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/resource.h>

using larder::Compressed;
using larder::RawCodec;
using larder_test::codec_error;
using larder_test::mentions;
using larder_test::random_bytes;
using larder_test::round_trip;
using namespace std::string_literals;

namespace {

using Text = Compressed<RawCodec<>>;

static_assert(larder::Codec<Text, std::string>);
static_assert(larder::Codec<Compressed<RawCodec<int>>, int>);
static_assert(larder::Codec<Compressed<Text>, std::string>);
static_assert(!larder::Codec<Text, int>);
static_assert(!Text::textual);

const std::string magic = "\x28\xB5\x2F\xFD";

/// Whatever a frame says or does not say of itself.
std::string frame_of(std::string_view plain, bool says_size) {
    const std::unique_ptr<ZSTD_CCtx, larder::detail::ZstdFree> context{ZSTD_createCCtx()};
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_contentSizeFlag, says_size ? 1 : 0);
    std::string frame(ZSTD_compressBound(plain.size()), '\0');
    frame.resize(
        ZSTD_compress2(context.get(), frame.data(), frame.size(), plain.data(), plain.size()));
    return frame;
}

}  // namespace

TEST_CASE("few bytes stay plain, many are compressed", "[codec][zstd]") {
    const Text codec;
    for (const std::size_t size : {0U, 1U, 1023U, 1024U}) {
        const std::string text(size, 'x');
        CHECK(codec.encode(text) == '\0' + text);
        round_trip(codec, text);
    }
    const std::string text(1025, 'x');
    CHECK(codec.encode(text).starts_with(magic));
    CHECK(codec.encode(text).size() < 50);
    round_trip(codec, text);
    round_trip(codec, std::string(50'000'000, 'x'));
    CHECK(Text{{.above = 0}}.encode("") == "\0"s);
    CHECK(Text{{.above = 2000}}.encode(text) == '\0' + text);
}

TEST_CASE("what does not become smaller stays plain", "[codec][zstd]") {
    const Text codec{{.above = 0}};
    for (const std::size_t size : {1U, 2U, 10U, 5'000U, 300'000U}) {
        const std::string noise = random_bytes(size, 7);
        CHECK(codec.encode(noise) == '\0' + noise);
        round_trip(codec, noise);
    }
    for (std::size_t size = 1; size < 200; ++size) {
        const std::string text(size, 'x');
        CHECK(codec.encode(text).size() <= size + 1);
        round_trip(codec, text);
    }
}

TEST_CASE("all levels decode alike", "[codec][zstd]") {
    std::string text;
    for (int i = 0; i < 5'000; ++i) {
        text += std::to_string(i * i) + ',';
    }
    std::size_t fast = 0;
    for (const int level : {-5, 1, 3, 19}) {
        const std::string bytes = Text{{.level = level}}.encode(text);
        CHECK(Text{}.decode(bytes) == text);
        if (level == -5) {
            fast = bytes.size();
        }
        CHECK((level != 19 || bytes.size() < fast));  // the level arrives
    }
}

TEST_CASE("the codec inside fails as itself", "[codec][zstd]") {
    const Compressed<RawCodec<int>> codec{{.above = 0}};
    round_trip(codec, 1'000'000'000);
    CHECK(codec_error([&] { (void)codec.decode("\0one"s); }) ==
          "larder: text does not decode as a number: the codec failed");
    CHECK(codec_error([&] { (void)codec.decode(Text{}.encode(std::string(5'000, 'x'))); }) ==
          "larder: text does not decode as a number: the codec failed");
}

TEST_CASE("a bomb is refused, and no memory is taken for it", "[codec][zstd]") {
    const std::string zeros(std::size_t{8} << 20U, '\0');
    const std::string bomb = frame_of(zeros, true);
    CHECK(bomb.size() < 1'000);
    CHECK(Text{{.max_bytes = zeros.size()}}.decode(bomb) == zeros);
    CHECK(codec_error([&] { (void)Text{{.max_bytes = zeros.size() - 1}}.decode(bomb); }) ==
          "larder: bytes do not decompress: the frame holds 8388608 bytes, more than max_bytes "
          "8388607: the codec failed");
    CHECK(mentions(codec_error([&] { (void)Text{}.decode(frame_of(zeros, false)); }),
                   "the frame does not say how many they are"));

    // Heads alone, that claim 2^62 bytes, and 60 MiB (fewer than max_bytes).
    rusage before{};
    ::getrusage(RUSAGE_SELF, &before);
    CHECK(mentions(codec_error([&] {
                       (void)Text{}.decode(magic +
                                           "\xE0\x00\x00\x00\x00\x00\x00\x00\x40\x01\x00\x00"s);
                   }),
                   "more than max_bytes"));
    CHECK(mentions(codec_error([&] {
                       (void)Text{}.decode(magic +
                                           "\xE0\x00\x00\xC0\x03\x00\x00\x00\x00\x01\x00\x00"s);
                   }),
                   "too short for the 62914560 bytes that it claims"));
    rusage after{};
    ::getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_maxrss - before.ru_maxrss < 30 * 1024);  // KiB

    CHECK(
        codec_error([&] { (void)Text{{.max_bytes = 10}}.encode("eleven byte"); }) ==
        "larder: a value does not encode: its 11 bytes are more than max_bytes 10: the codec failed");
    CHECK(Text{{.max_bytes = 10}}.encode("ten bytes!") == "\0ten bytes!"s);
}

TEST_CASE("the densest frame that there is passes", "[codec][zstd]") {
    // One byte repeated, by blocks of 4 bytes for 128 KiB each.
    std::string frame = magic + "\xA0\x00\x00\x00\x01"s;  // 16 MiB in one segment
    for (int block = 0; block < 128; ++block) {
        const unsigned head = (128U << 10U) << 3U | 1U << 1U | (block == 127 ? 1U : 0U);
        frame += static_cast<char>(head & 0xFFU);
        frame += static_cast<char>(head >> 8U & 0xFFU);
        frame += static_cast<char>(head >> 16U & 0xFFU);
        frame += 'x';
    }
    CHECK(Text{}.decode(frame) == std::string(std::size_t{16} << 20U, 'x'));
}

TEST_CASE("bytes that are no frame of ours say so", "[codec][zstd]") {
    const Text codec;
    for (const std::string& bytes : {""s, "\x28"s, "\x28\xB5\x2F"s, "text"s, "\x01"s,
                                     "\x27\xB5\x2F\xFD\x00\x00"s,              // zstd 0.7
                                     "\x50\x2A\x4D\x18\x01\x00\x00\x00x"s}) {  // to be skipped
        CHECK(
            codec_error([&] { (void)codec.decode(bytes); }) ==
            "larder: bytes do not decompress: they are neither plain nor a zstd frame: the codec failed");
    }
    CHECK(mentions(codec_error([&] { (void)codec.decode(magic); }), "bytes do not decompress: "));
    const std::string frame = codec.encode(std::string(5'000, 'x'));
    CHECK(mentions(codec_error([&] { (void)codec.decode(frame + frame); }),
                   "bytes do not decompress: "));
    CHECK(mentions(codec_error([&] { (void)codec.decode(frame + "x"); }),
                   "bytes do not decompress: "));
}

TEST_CASE("a frame that was cut or changed anywhere is refused", "[codec][zstd]") {
    std::string text;
    for (int i = 0; i < 2'000; ++i) {
        text += std::to_string(i % 97 * 7919) + ',';
    }
    const Text codec;
    const std::string frame = codec.encode(text);
    CHECK(frame.starts_with(magic));
    std::size_t taken = 0;
    for (std::size_t at = 0; at < frame.size(); ++at) {
        for (const int flip : {0x01, 0x80, 0x10}) {
            std::string changed = frame;
            changed[at] = static_cast<char>(changed[at] ^ flip);
            std::string got;
            if (codec_error([&] { got = codec.decode(changed); }).empty()) {
                CHECK(got == text);  // bits that mean nothing
                ++taken;
            }
        }
        CHECK(!codec_error([&] { (void)codec.decode(frame.substr(0, at)); }).empty());
    }
    CHECK(taken < 10);
}

TEST_CASE("options that make no sense are refused by name", "[codec][zstd]") {
    const auto refusal = [](larder::CompressedOptions options) {
        try {
            const Text codec{options};
        } catch (const std::invalid_argument& error) {
            return std::string{error.what()};
        }
        return std::string{};
    };
    CHECK(mentions(refusal({.level = 1000}), "CompressedOptions::level must be "));
    CHECK(mentions(refusal({.level = 1000}), "but is 1000"));
    CHECK(refusal({.max_bytes = 0}) ==
          "larder: CompressedOptions::max_bytes must be positive, but is 0");
    CHECK(refusal({.level = ZSTD_maxCLevel()}).empty());
}

TEST_CASE("one codec serves many threads", "[codec][zstd]") {
    const Text codec;
    std::vector<std::size_t> wrong(4);
    {
        std::vector<std::jthread> threads;
        for (unsigned t = 0; t < 4; ++t) {
            threads.emplace_back([&, t] {
                for (unsigned i = 0; i < 50; ++i) {
                    const std::string text(2'000 + 1'000 * t + i, static_cast<char>('a' + t));
                    wrong[t] += codec.decode(codec.encode(text)) == text ? 0U : 1U;
                }
            });
        }
    }
    CHECK(wrong == std::vector<std::size_t>(4));
}

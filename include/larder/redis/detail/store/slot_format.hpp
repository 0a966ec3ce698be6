// SPDX-License-Identifier: MIT

/// @file
/// The bytes of a slot in Redis: plain text that any program reads, or a header and what it says.

#ifndef LARDER_REDIS_DETAIL_STORE_SLOT_FORMAT_HPP
#define LARDER_REDIS_DETAIL_STORE_SLOT_FORMAT_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

using larder::detail::Epoch;
using larder::detail::longest_life;

/// 16 hexadecimal digits, as scripts compare ids.
[[nodiscard]] inline std::string hex(std::uint64_t id) {
    std::string text(16, '0');
    for (std::size_t at = text.size(); id != 0; id >>= 4U) {
        text[--at] = "0123456789abcdef"[id & 15U];
    }
    return text;
}

/// The number that exactly 16 hexadecimal digits say, as `hex` writes them.
[[nodiscard]] inline std::optional<std::uint64_t> unhex(std::string_view text) {
    if (text.size() != 16) {
        return std::nullopt;
    }
    std::uint64_t id = 0;
    for (const char c : text) {
        const bool digit = c >= '0' && c <= '9';
        if (!digit && !(c >= 'a' && c <= 'f')) {
            return std::nullopt;
        }
        id = id << 4U | static_cast<std::uint64_t>(digit ? c - '0' : c - 'a' + 10);
    }
    return id;
}

/// A clock or a version as it is kept in Redis: an era in 16 digits, then a count.
[[nodiscard]] inline std::string to_text(const Epoch& epoch) {
    return hex(epoch.era) + std::to_string(epoch.tick);
}
[[nodiscard]] inline std::optional<Epoch> to_epoch(std::string_view text) {
    constexpr std::uint64_t most = std::uint64_t{1} << 53U;  // what a script counts exactly
    const auto era = unhex(text.substr(0, 16));
    if (!era || text.size() < 17 || text.size() > 32) {
        return std::nullopt;
    }
    std::uint64_t tick = 0;
    for (const char c : text.substr(16)) {
        if (c < '0' || c > '9') {
            return std::nullopt;
        }
        tick = tick * 10 + static_cast<std::uint64_t>(c - '0');
        if (tick > most) {
            return std::nullopt;
        }
    }
    return Epoch{*era, tick};
}

/// A slot's bytes, read. Views into them.
///
/// | Bytes                                         | Kind                                       |
/// |-----------------------------------------------|--------------------------------------------|
/// | anything that does not begin with 0x01        | `plain`: a value as its codec wrote it     |
/// | 01 01 'V' length fields bytes                 | `value`, with life, grace, moment and tags |
/// | 01 01 'A' length fields                       | `absence`: known to have no value          |
/// | 01 01 'L' lease                               | `loading`                                  |
/// | 01 01 'W' overlapped, deadline, tickets       | `writing`                                  |
/// | 01, another version                           | `unknown`: perhaps a newer build's         |
/// | anything else                                 | `broken`                                   |
struct SlotBytes {
    enum class Kind : std::uint8_t { plain, value, absence, loading, writing, unknown, broken };

    Kind kind = Kind::broken;
    std::string_view body{};  ///< `plain`, `value`: the codec's bytes
    Ttl life{0};              ///< 0: the usual one
    Ttl grace{0};
    Epoch epoch{};
    std::vector<std::string_view> tags{};
    std::uint64_t lease = 0;  ///< `loading`

    static constexpr char magic = '\x01';
    static constexpr char version = '\x01';
};

/// What `loading` slots of this lease look like.
[[nodiscard]] inline std::string loading_bytes(std::uint64_t lease) {
    return std::string{SlotBytes::magic, SlotBytes::version, 'L'} + hex(lease);
}

/// Reads numbers of fixed size, least byte first; remembers whether there were too few bytes.
class FieldReader {
public:
    explicit FieldReader(std::string_view bytes) noexcept : left_{bytes} {}

    std::uint64_t number(std::size_t bytes) noexcept {
        const std::string_view mine = text(bytes);
        std::uint64_t value = 0;
        for (std::size_t i = mine.size(); i-- > 0;) {
            value = value << 8U | static_cast<unsigned char>(mine[i]);
        }
        return value;
    }
    std::string_view text(std::size_t bytes) noexcept {
        if (bytes > left_.size()) {
            sound_ = false;
            bytes = left_.size();
        }
        const std::string_view mine = left_.substr(0, bytes);
        left_.remove_prefix(bytes);
        return mine;
    }
    [[nodiscard]] bool sound() const noexcept { return sound_; }
    [[nodiscard]] std::string_view rest() const noexcept { return left_; }

private:
    std::string_view left_;
    bool sound_ = true;
};

/// Any bytes give an answer, and none reads beyond them.
[[nodiscard]] inline SlotBytes read_slot(std::string_view bytes) {
    using Kind = SlotBytes::Kind;
    SlotBytes slot;
    if (bytes.empty() || bytes[0] != SlotBytes::magic) {
        slot.kind = Kind::plain;
        slot.body = bytes;
        return slot;
    }
    if (bytes.size() < 2 || bytes[1] != SlotBytes::version) {
        slot.kind = bytes.size() < 2 ? Kind::broken : Kind::unknown;
        return slot;
    }
    const char kind = bytes.size() > 2 ? bytes[2] : '\0';
    FieldReader in{bytes.substr((std::min)(bytes.size(), std::size_t{3}))};
    if (kind == 'L') {
        if (const auto lease = unhex(in.rest()); lease && *lease != 0) {
            slot.kind = Kind::loading;
            slot.lease = *lease;
        }
        return slot;
    }
    if (kind == 'W') {
        const std::size_t size = in.rest().size();
        slot.kind = size >= 17 && (size - 17) % 32 == 0 ? Kind::writing : Kind::broken;
        return slot;
    }
    if (kind != 'V' && kind != 'A') {
        return slot;
    }
    const std::string_view header = in.text(static_cast<std::size_t>(in.number(4)));
    if (!in.sound()) {
        return slot;
    }
    FieldReader fields{header};
    constexpr auto longest = static_cast<std::uint64_t>(longest_life.count());
    const std::uint64_t life = fields.number(8);
    const std::uint64_t grace = fields.number(8);
    slot.epoch.era = fields.number(8);
    slot.epoch.tick = fields.number(8);
    const std::uint64_t count = fields.number(2);
    for (std::uint64_t i = 0; i < count && fields.sound(); ++i) {
        slot.tags.push_back(fields.text(static_cast<std::size_t>(fields.number(2))));
    }
    if (!fields.sound() || !fields.rest().empty() || life > longest || grace > longest ||
        (kind == 'A' && !in.rest().empty())) {
        slot.tags.clear();
        return slot;
    }
    slot.kind = kind == 'V' ? Kind::value : Kind::absence;
    slot.life = Ttl{static_cast<Ttl::rep>(life)};
    slot.grace = Ttl{static_cast<Ttl::rep>(grace)};
    slot.body = in.rest();
    return slot;
}

/// The bytes of a value (empty `body`: of a known absence) that has something to say beside itself.
/// Rule R1.
///
/// @throws std::length_error  a tag or the number of tags is beyond 65,535
[[nodiscard]] inline std::string write_slot(const std::optional<std::string>& body, Ttl life,
                                            Ttl grace, const Epoch& epoch, const Tags& tags) {
    constexpr std::size_t most = 0xffff;
    std::string fields;
    const auto number = [](std::string& to, std::uint64_t value, std::size_t bytes) {
        for (; bytes > 0; --bytes, value >>= 8U) {
            to += static_cast<char>(value & 0xffU);
        }
    };
    number(fields, static_cast<std::uint64_t>(life.count()), 8);
    number(fields, static_cast<std::uint64_t>(grace.count()), 8);
    number(fields, epoch.era, 8);
    number(fields, epoch.tick, 8);
    number(fields, tags.size(), 2);
    bool fits = tags.size() <= most;
    for (const std::string& tag : tags) {
        fits = fits && tag.size() <= most;
        number(fields, tag.size(), 2);
        fields += tag;
    }
    if (!fits) {
        throw std::length_error{"larder: a tag has at most 65,535 bytes, an entry as many tags"};
    }
    std::string bytes{SlotBytes::magic, SlotBytes::version, body ? 'V' : 'A'};
    bytes.reserve(bytes.size() + 4 + fields.size() + (body ? body->size() : 0));
    number(bytes, fields.size(), 4);
    bytes += fields;
    if (body) {
        bytes += *body;
    }
    return bytes;
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_SLOT_FORMAT_HPP

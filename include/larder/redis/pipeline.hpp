// SPDX-License-Identifier: MIT

/// @file
/// Commands that are sent together.

#ifndef LARDER_REDIS_PIPELINE_HPP
#define LARDER_REDIS_PIPELINE_HPP

#include <larder/redis/detail/client/command_table.hpp>
#include <larder/redis/script.hpp>
#include <larder/version.hpp>

#include <hiredis/hiredis.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

LARDER_NS_BEGIN

namespace redis {

class Pipeline;

namespace detail {

/// What may be a word of a command: text, or a whole number.
template <class T>
concept Wordy = std::convertible_to<const T&, std::string_view> ||
                (std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>);

/// One word, as text.
class Word {
public:
    template <Wordy T>
    Word(const T& value) {
        if constexpr (std::convertible_to<const T&, std::string_view>) {
            text_ = value;
        } else {
            const auto [end, error] =
                std::to_chars(digits_.data(), digits_.data() + digits_.size(), value);
            text_ = {digits_.data(), static_cast<std::size_t>(end - digits_.data())};
        }
    }
    Word(const Word&) = delete;
    Word& operator=(const Word&) = delete;

    [[nodiscard]] std::string_view text() const noexcept { return text_; }

private:
    std::array<char, 24> digits_;
    std::string_view text_;
};

/// Appends what the server is sent for a command.
inline void append_command(std::string& bytes, std::span<const std::string_view> words) {
    constexpr std::size_t few = 16;
    std::array<const char*, few> few_texts;
    std::array<std::size_t, few> few_sizes;
    std::vector<const char*> many_texts(words.size() > few ? words.size() : 0);
    std::vector<std::size_t> many_sizes(many_texts.size());
    const char** const texts = many_texts.empty() ? few_texts.data() : many_texts.data();
    std::size_t* const sizes = many_sizes.empty() ? few_sizes.data() : many_sizes.data();
    // hiredis 0.14 says the length as an int.
    std::size_t room = static_cast<std::size_t>((std::numeric_limits<int>::max)());
    for (std::size_t i = 0; i < words.size(); ++i) {
        constexpr std::size_t frame = 32;
        if (words[i].size() > room || room - words[i].size() < frame) {
            throw std::invalid_argument{"larder: a Redis command is too long"};
        }
        room -= words[i].size() + frame;
        texts[i] = words[i].data();
        sizes[i] = words[i].size();
    }
    char* formatted = nullptr;
    const long long size =
        ::redisFormatCommandArgv(&formatted, static_cast<int>(words.size()), texts, sizes);
    if (size < 0) {
        throw std::bad_alloc{};
    }
    const std::unique_ptr<char, decltype(&::redisFreeCommand)> owned{formatted,
                                                                     &::redisFreeCommand};
    bytes.append(formatted, static_cast<std::size_t>(size));
}

struct PipelineAccess;

}  // namespace detail

/// Commands that are sent together, in order, on one connection, with no other's between them.
///
/// ```cpp
/// redis::Pipeline pipeline;
/// pipeline.command("PTTL", "product:42").command("GET", "product:42");
/// std::vector<redis::Reply> replies = client.run(pipeline);
/// ```
///
/// A pipeline can be run any number of times. Commands that would change a connection which others
/// use too (SELECT, AUTH, SUBSCRIBE, WATCH, CLIENT REPLY …) are refused; MULTI must find its EXEC or
/// DISCARD in the same pipeline. One with a blocking command (BLPOP, WAIT, XREAD BLOCK …), and a
/// bulk one, has a connection of its own while it runs.
///
/// Thread safety: as a std::string.
class Pipeline {
public:
    /// Adds a command. Its words are texts and whole numbers.
    ///
    /// @throws std::invalid_argument  it makes no sense on a shared connection; the pipeline is as
    ///                                it was
    template <detail::Wordy... Args>
    Pipeline& command(std::string_view name, const Args&... args) {
        const std::array<detail::Word, sizeof...(Args)> more{detail::Word{args}...};
        std::array<std::string_view, sizeof...(Args) + 1> words;
        words[0] = name;
        for (std::size_t i = 0; i < more.size(); ++i) {
            words[i + 1] = more[i].text();
        }
        return command(std::span<const std::string_view>{words});
    }

    /// Adds a command of at least one word.
    ///
    /// @throws std::invalid_argument  as above, or there is no word
    Pipeline& command(std::span<const std::string_view> words) {
        if (words.empty() || words[0].empty()) {
            throw std::invalid_argument{"larder: a Redis command has no name"};
        }
        const detail::Command known = detail::known(words[0]);
        const bool in_multi = check(known, words);
        detail::append_command(bytes_, words);
        ++commands_;
        in_multi_ = in_multi;
        reads_ = reads_ && known.manner == detail::Manner::read;
        if (!in_multi) {
            blocks_ = detail::block_both(blocks_, detail::blocks_for(known.manner, words));
        }
        return *this;
    }

    /// Adds a script by its name. A server that does not know it is sent its body, after the rest of
    /// the pipeline has been carried out; between MULTI and EXEC the body is sent at once.
    Pipeline& script(const Script& script, std::span<const std::string_view> keys,
                     std::span<const std::string_view> args) {
        const detail::Word count{keys.size()};
        std::vector<std::string_view> words{"EVALSHA", script.sha(), count.text()};
        words.insert(words.end(), keys.begin(), keys.end());
        words.insert(words.end(), args.begin(), args.end());
        if (in_multi_) {
            words[0] = "EVAL";
            words[1] = script.body();
            return command(words);
        }
        scripts_.reserve(scripts_.size() + 1);
        const std::size_t begin = bytes_.size();
        command(words);
        scripts_.push_back({commands_ - 1, begin, bytes_.size(), script});
        return *this;
    }

    /// Says that all of it may be carried out twice: it is sent again when a connection breaks
    /// before the replies are there. Without this only a pipeline of nothing but reads is; of any
    /// other not a byte is sent again once the server may have seen one.
    Pipeline& repeatable() noexcept {
        repeatable_ = true;
        return *this;
    }

    /// Says that its replies are large: it gets a connection of its own while it runs.
    Pipeline& bulk() noexcept {
        bulk_ = true;
        return *this;
    }

    /// How many commands it has.
    [[nodiscard]] std::size_t size() const noexcept { return commands_; }
    [[nodiscard]] bool empty() const noexcept { return commands_ == 0; }
    void clear() { *this = Pipeline{}; }

private:
    friend struct detail::PipelineAccess;

    struct Scripted {
        std::size_t command;
        std::size_t begin;
        std::size_t end;
        Script script;
    };

    // Answers whether the command after this one is within a transaction.
    [[nodiscard]] bool check(const detail::Command& known,
                             std::span<const std::string_view> words) const {
        const auto refuse = [&](const char* why) {
            throw std::invalid_argument{"larder: redis: " + std::string{known.name} + ' ' + why};
        };
        switch (known.manner) {
            case detail::Manner::refused:
                refuse("makes no sense on connections that are shared");
                break;
            case detail::Manner::client:
                for (const std::string_view sub :
                     {"REPLY", "TRACKING", "CACHING", "SETNAME", "NO-TOUCH"}) {
                    if (words.size() > 1 && detail::same_word(words[1], sub)) {
                        refuse(
                            "REPLY, TRACKING, CACHING, SETNAME and NO-TOUCH make no sense on "
                            "connections that are shared");
                    }
                }
                break;
            case detail::Manner::multi:
                if (in_multi_) {
                    refuse("within MULTI");
                }
                return true;
            case detail::Manner::exec:
                if (!in_multi_) {
                    refuse("without MULTI in the same pipeline");
                }
                return false;
            default: break;
        }
        return in_multi_;
    }

    std::string bytes_{};
    std::size_t commands_{0};
    std::vector<Scripted> scripts_{};
    std::chrono::milliseconds blocks_{0};
    bool reads_{true};
    bool repeatable_{false};
    bool bulk_{false};
    bool in_multi_{false};
};

namespace detail {

/// What the client sees of a pipeline.
struct PipelineAccess {
    [[nodiscard]] static std::string_view bytes(const Pipeline& p) noexcept { return p.bytes_; }
    [[nodiscard]] static bool repeatable(const Pipeline& p) noexcept {
        return p.repeatable_ || p.reads_;
    }
    [[nodiscard]] static bool bulk(const Pipeline& p) noexcept { return p.bulk_; }
    [[nodiscard]] static bool in_multi(const Pipeline& p) noexcept { return p.in_multi_; }
    [[nodiscard]] static std::chrono::milliseconds blocks(const Pipeline& p) noexcept {
        return p.blocks_;
    }

    /// The scripts that the server did not know, with their bodies: once each, then by name. Their
    /// places among the replies are appended.
    template <class Replies>
    [[nodiscard]] static Pipeline unknown_scripts(const Pipeline& p, const Replies& replies,
                                                  std::vector<std::size_t>& places) {
        Pipeline again;
        std::vector<std::string_view> sent;
        for (const Pipeline::Scripted& at : p.scripts_) {
            const auto& reply = replies[at.command];
            if (!reply.is_error() || !reply.text().starts_with("NOSCRIPT")) {
                continue;
            }
            const std::string_view command =
                std::string_view{p.bytes_}.substr(at.begin, at.end - at.begin);
            if (std::find(sent.begin(), sent.end(), at.script.sha()) == sent.end()) {
                sent.push_back(at.script.sha());
                // Its first two words are EVALSHA and 40 digits.
                const std::size_t first = command.find('$');
                const std::string& body = at.script.body();
                again.bytes_.append(command.substr(0, first));
                again.bytes_ += "$4\r\nEVAL\r\n$" + std::to_string(body.size()) + "\r\n" + body;
                again.bytes_ += "\r\n";
                again.bytes_.append(command.substr(first + 60));
            } else {
                again.bytes_.append(command);
            }
            ++again.commands_;
            places.push_back(at.command);
        }
        again.reads_ = false;
        again.repeatable_ = p.repeatable_;
        again.bulk_ = p.bulk_;
        return again;
    }
};

}  // namespace detail

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_PIPELINE_HPP

// SPDX-License-Identifier: MIT

/// @file
/// Commands that are sent together.

#ifndef LARDER_REDIS_PIPELINE_HPP
#define LARDER_REDIS_PIPELINE_HPP

#include <larder/redis/detail/client/argument.hpp>
#include <larder/redis/detail/client/blocking_time.hpp>
#include <larder/redis/detail/client/command_bytes.hpp>
#include <larder/redis/detail/client/command_table.hpp>
#include <larder/redis/script.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

LARDER_NS_BEGIN

namespace redis {

class Pipeline;

namespace detail {

struct PipelineAccess;

}  // namespace detail

/// Commands that are sent together, in order, on one connection, with no other's between them; in a
/// cluster, on one to each node.
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
    template <detail::CommandArgument... Args>
    Pipeline& command(std::string_view name, const Args&... args) {
        const std::array<detail::ArgumentText, sizeof...(Args)> more{detail::ArgumentText{args}...};
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
        const detail::CommandSpec known = detail::lookup_command(words[0]);
        const bool in_multi = check(known, words);
        detail::append_command(bytes_, words);
        ++commands_;
        in_multi_ = in_multi;
        reads_ = reads_ && known.kind == detail::CommandKind::read;
        if (!in_multi) {
            blocks_ = detail::block_both(blocks_, detail::blocks_for(known.kind, words));
        }
        return *this;
    }

    /// Adds a script by its name. A server that does not know it is sent its body, after the rest of
    /// the pipeline has been carried out; between MULTI and EXEC the body is sent at once.
    Pipeline& script(const Script& script, std::span<const std::string_view> keys,
                     std::span<const std::string_view> args) {
        const detail::ArgumentText count{keys.size()};
        const std::array<std::string_view, 3> first{
            in_multi_ ? "EVAL" : "EVALSHA", in_multi_ ? script.body() : script.sha(), count.text()};
        if (scripts_.size() == scripts_.capacity()) {
            scripts_.reserve(2 * scripts_.size() + 1);
        }
        const std::size_t begin = bytes_.size();
        detail::append_command(bytes_, first, keys, args);
        if (!in_multi_) {
            scripts_.push_back({commands_, begin, bytes_.size(), script});  // does not throw
        }
        ++commands_;
        reads_ = false;
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

    /// Whether it has none.
    [[nodiscard]] bool empty() const noexcept { return commands_ == 0; }

    /// Makes it as new.
    void clear() { *this = Pipeline{}; }

private:
    friend struct detail::PipelineAccess;

    // A script that was added by its name: which command it is, and where its bytes are.
    struct ScriptCall {
        std::size_t command;
        std::size_t begin;
        std::size_t end;
        Script script;
    };

    // Answers whether the command after this one is within a transaction.
    [[nodiscard]] bool check(const detail::CommandSpec& known,
                             std::span<const std::string_view> words) const {
        const auto refuse = [&](const char* why) {
            throw std::invalid_argument{"larder: redis: " + std::string{known.name} + ' ' + why};
        };
        switch (known.kind) {
            case detail::CommandKind::refused:
                refuse("makes no sense on connections that are shared");
                break;
            case detail::CommandKind::client:
                for (const std::string_view sub :
                     {"REPLY", "TRACKING", "CACHING", "SETNAME", "NO-TOUCH"}) {
                    if (words.size() > 1 && detail::same_word(words[1], sub)) {
                        refuse(
                            "REPLY, TRACKING, CACHING, SETNAME and NO-TOUCH make no sense on "
                            "connections that are shared");
                    }
                }
                break;
            case detail::CommandKind::multi:
                if (in_multi_) {
                    refuse("within MULTI");
                }
                return true;
            case detail::CommandKind::exec:
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
    std::vector<ScriptCall> scripts_{};
    std::chrono::milliseconds blocks_{0};
    bool reads_{true};
    bool repeatable_{false};
    bool bulk_{false};
    bool torn_{false};  // that keys of a command are at two nodes is a reply
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
    /// Says that TRYAGAIN is a reply: whoever asked has another way, and does not wait for a slot that
    /// moves.
    static void take_torn(Pipeline& p) noexcept { p.torn_ = true; }
    [[nodiscard]] static bool takes_torn(const Pipeline& p) noexcept { return p.torn_; }
    [[nodiscard]] static bool in_multi(const Pipeline& p) noexcept { return p.in_multi_; }
    [[nodiscard]] static std::chrono::milliseconds blocks(const Pipeline& p) noexcept {
        return p.blocks_;
    }

    /// Whether a command is a script that was added by its name.
    [[nodiscard]] static bool is_script(const Pipeline& p, std::size_t command) noexcept {
        const auto at = find_script(p, command);
        return at != p.scripts_.end() && at->command == command;
    }

    /// Appends such a script: with its body, but by its name if it is among those that were `sent`.
    static void append_script(const Pipeline& p, std::size_t command, std::string& bytes,
                              std::vector<std::string_view>& sent) {
        const Pipeline::ScriptCall& at = *find_script(p, command);
        const std::string_view words =
            std::string_view{p.bytes_}.substr(at.begin, at.end - at.begin);
        if (std::find(sent.begin(), sent.end(), at.script.sha()) != sent.end()) {
            bytes.append(words);
            return;
        }
        sent.push_back(at.script.sha());
        // Its first two words are EVALSHA and 40 digits.
        const std::size_t first = words.find('$');
        bytes.append(words.substr(0, first));
        append_word(bytes, "EVAL");
        append_word(bytes, at.script.body());
        bytes.append(words.substr(first + 60));
    }

    /// The scripts that the server did not know, with their bodies: once each, then by name. Their
    /// places among the replies are appended.
    template <class Replies>
    [[nodiscard]] static Pipeline unknown_scripts(const Pipeline& p, const Replies& replies,
                                                  std::vector<std::size_t>& places) {
        Pipeline again;
        std::vector<std::string_view> sent;
        for (const Pipeline::ScriptCall& at : p.scripts_) {
            const auto& reply = replies[at.command];
            if (!reply.is_error() || !reply.text().starts_with("NOSCRIPT")) {
                continue;
            }
            append_script(p, at.command, again.bytes_, sent);
            ++again.commands_;
            places.push_back(at.command);
        }
        again.reads_ = false;
        again.repeatable_ = p.repeatable_;
        again.bulk_ = p.bulk_;
        return again;
    }

private:
    [[nodiscard]] static std::vector<Pipeline::ScriptCall>::const_iterator find_script(
        const Pipeline& p, std::size_t command) noexcept {
        return std::lower_bound(
            p.scripts_.begin(), p.scripts_.end(), command,
            [](const Pipeline::ScriptCall& at, std::size_t wanted) { return at.command < wanted; });
    }
};

}  // namespace detail

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_PIPELINE_HPP

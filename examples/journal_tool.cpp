// SPDX-License-Identifier: MIT

// Lists, exports, revives and discards the dead letters of a journal, whatever its keys and values are: it
// shows their text and their bytes. See journal_tool --help.

#include "support/letter_text.hpp"

#include <larder/codec/raw.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>
#include <larder/sqlite.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using examples::Letter;
using Bytes = larder::RawCodec<std::string>;

constexpr std::string_view usage = R"(usage: journal_tool JOURNAL COMMAND [KEY...]

JOURNAL is the file of a SqliteJournal, or the URL of a Redis server and the name of a RedisJournal:
   journal_tool orders.journal list
   journal_tool redis://127.0.0.1:6379 orders list
With RedisJournalOptions::schema the name is orders@3.

COMMAND is one of
   status          how many changes wait and for how long, and how many dead letters there are
   list            a line for each dead letter, the oldest first
   export          the same as JSON, an object a line; bytes that are no text in base64
   revive KEY...   the dead letters are tried again, with their versions
   discard KEY...  they are forgotten
and --all stands for all keys. A KEY is what list shows first.

A SqliteJournal belongs to one process: stop it first. A RedisJournal may be in use.
Ends with 0; with 1 if something has failed, or a key has no dead letter; with 2 if it was called wrongly.
)";

struct UsageError : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

/// What the tool needs of a journal.
struct Opened {
    std::function<std::vector<Letter>()> letters;
    std::function<bool(const std::string&)> revive;
    std::function<bool(const std::string&)> discard;
    std::function<std::size_t()> size;
    std::function<std::optional<larder::Ttl>()> oldest;
};

/// @param forget  a copy of the key's is to go, if anybody keeps one
template <class J>
Opened open(J opened, std::function<void(const std::string&)> forget) {
    const auto journal = std::make_shared<J>(std::move(opened));
    return {[journal] { return journal->dead_letters(); },
            [journal, forget](const std::string& key) {
                const bool revived = journal->revive(key);
                if (revived) {
                    forget(key);
                }
                return revived;
            },
            [journal](const std::string& key) { return journal->discard(key); },
            [journal] { return journal->size(); }, [journal] { return journal->oldest(); }};
}

Opened open_file(const std::string& path) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path, ignored)) {
        throw std::runtime_error{"there is no journal in " + path};  // and none is to be made
    }
    return open(larder::SqliteJournal<std::string, std::string, Bytes>{path},
                [](const std::string&) {});
}

/// Into how many partitions the journal is divided, as its key says; 0 where there is none, or this user
/// may not read it.
std::uint32_t partitions_of(const larder::redis::Client& client, const std::string& name) {
    larder::redis::Pipeline look;
    look.command("GET", "~partitions:" + name);
    const larder::redis::Reply reply = client.run_one(look);
    std::uint32_t count = 0;
    if (!reply.is_nil() && !reply.is_error()) {
        const std::string_view text = reply.text();
        const std::size_t digits = text.rfind('=') + 1;
        std::from_chars(text.data() + digits, text.data() + text.size(), count);
    }
    return count;
}

Opened open_redis(const std::string& url, const std::string& full_name) {
    std::string name = full_name;
    std::uint32_t schema = 0;
    if (const auto at = name.rfind('@'); at != std::string::npos) {
        const char* const end = name.data() + name.size();
        const auto read = std::from_chars(name.data() + at + 1, end, schema);
        if (read.ec == std::errc{} && read.ptr == end) {
            name.resize(at);
        }
    }
    larder::redis::Client client{url};
    const std::uint32_t partitions = partitions_of(client, full_name);
    larder::RedisStore<std::string, std::string, Bytes> copies{
        client, name, {.schema = schema, .partitions = partitions}};
    return open(
        larder::RedisJournal<std::string, std::string, Bytes>{
            client, name, {.assume_no_eviction = true, .schema = schema, .partitions = partitions}},
        [copies](const std::string& key) mutable { copies.erase(key); });
}

/// The key that `list` shows as this text, which may have been escaped.
std::string as_listed(const Opened& journal, const std::string& text) {
    for (Letter& letter : journal.letters()) {
        if (examples::printable(letter.change.key) == text) {
            return std::move(letter.change.key);
        }
    }
    return text;
}

int each_key(const Opened& journal, std::span<const std::string> keys, std::string_view done,
             const std::function<bool(const std::string&)>& act) {
    std::vector<std::string> chosen{keys.begin(), keys.end()};
    if (chosen == std::vector<std::string>{"--all"}) {
        chosen.clear();
        for (const Letter& letter : journal.letters()) {
            chosen.push_back(letter.change.key);
        }
    }
    std::size_t count = 0;
    for (const std::string& key : chosen) {
        if (act(key) || act(as_listed(journal, key))) {
            ++count;
        } else {
            std::cerr << "journal_tool: key " << key << " has no dead letter\n";
        }
    }
    std::cout << count << ' ' << done << '\n';
    return count == chosen.size() ? EXIT_SUCCESS : EXIT_FAILURE;
}

int show_status(const Opened& journal) {
    const auto oldest = journal.oldest();
    std::cout << journal.size() << " pending";
    if (oldest) {
        std::cout << ", the oldest for " << oldest->count() << " ms";
    }
    std::cout << "\n" << journal.letters().size() << " dead letters\n";
    return EXIT_SUCCESS;
}

int run(const std::vector<std::string>& arguments) {
    if (arguments.empty()) {
        throw UsageError{"which journal?"};
    }
    const bool redis = arguments[0].find("://") != std::string::npos;
    const std::size_t where = redis ? 2 : 1;
    if (arguments.size() < where) {
        throw UsageError{"which journal of that server?"};
    }
    if (arguments.size() == where) {
        throw UsageError{"which command?"};
    }
    const std::string& command = arguments[where];
    const auto keys = std::span{arguments}.subspan(where + 1);
    const bool takes_keys = command == "revive" || command == "discard";
    if (!takes_keys && command != "status" && command != "list" && command != "export") {
        throw UsageError{"there is no command \"" + command + '"'};
    }
    if (takes_keys == keys.empty()) {
        throw UsageError{command + (takes_keys ? " needs keys, or --all" : " takes no keys")};
    }
    const Opened journal = redis ? open_redis(arguments[0], arguments[1]) : open_file(arguments[0]);
    if (command == "revive") {
        return each_key(journal, keys, "revived", journal.revive);
    }
    if (command == "discard") {
        return each_key(journal, keys, "discarded", journal.discard);
    }
    if (command == "status") {
        return show_status(journal);
    }
    for (const Letter& letter : journal.letters()) {
        std::cout << (command == "list" ? examples::as_line(letter) : examples::as_json(letter))
                  << '\n';
    }
    return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) try {
    const std::vector<std::string> arguments{argv + 1, argv + argc};
    if (std::count(arguments.begin(), arguments.end(), "--help")) {
        std::cout << usage;
        return EXIT_SUCCESS;
    }
    return run(arguments);
} catch (const UsageError& error) {
    std::cerr << "journal_tool: " << error.what() << '\n' << usage;
    return 2;
} catch (const std::exception& error) {
    std::cerr << "journal_tool: " << error.what() << '\n';
    return EXIT_FAILURE;
}

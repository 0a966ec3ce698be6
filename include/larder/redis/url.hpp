// SPDX-License-Identifier: MIT

/// @file
/// The address of a Redis server as a URL.

#ifndef LARDER_REDIS_URL_HPP
#define LARDER_REDIS_URL_HPP

#include <larder/entry.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/sentinel_options.hpp>
#include <larder/redis/tls_options.hpp>
#include <larder/version.hpp>

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis {

namespace detail {

/// Takes a URL apart. No message shows a part of it but its scheme and the names of its options: a
/// password with a character that should have been encoded could be anywhere else.
class UrlParser {
public:
    [[nodiscard]] static ClientOptions parse(std::string_view url) {
        const auto colon = url.find("://");
        if (colon == std::string_view::npos) {
            refuse("it has no scheme: redis://host:port, or unix:///path");
        }
        const std::string_view scheme = url.substr(0, colon);
        std::string_view rest = url.substr(colon + 3);
        UrlParser parser;
        parser.options_.tls.on = scheme.starts_with("rediss");
        if (scheme == "redis" || scheme == "rediss") {
            parser.tcp(rest);
        } else if (scheme == "redis+sentinel" || scheme == "rediss+sentinel") {
            parser.sentinel(rest);
        } else if (scheme == "unix") {
            parser.unix_socket(rest);
        } else if (scheme == "redis+cluster" || scheme == "rediss+cluster") {
            parser.cluster(rest);
        } else {
            refuse(
                "its scheme is none of redis, redis+cluster, redis+sentinel, the same with rediss, "
                "and unix");
        }
        validate(parser.options_);
        return std::move(parser.options_);
    }

private:
    [[noreturn]] static void refuse(const std::string& why) {
        throw std::invalid_argument{"larder: a Redis URL: " + why};
    }

    void tcp(std::string_view rest) {
        const std::string_view query = cut_query(rest);
        const auto slash = rest.find('/');
        std::string_view authority = rest.substr(0, slash);
        if (slash != std::string_view::npos) {
            const std::string_view database = rest.substr(slash + 1);
            if (database.find('@') != std::string_view::npos) {
                refuse(encode);
            }
            if (!database.empty()) {
                options_.database = number(database, "the database");
                has_database_ = true;
            }
        }
        credentials(authority);
        Endpoint at = endpoint(authority, options_.port);
        options_.host = std::move(at.host);
        options_.port = at.port;
        options(query);
    }

    // user:password@host:port,host:port/name
    void sentinel(std::string_view rest) {
        const std::string_view query = cut_query(rest);
        const auto slash = rest.find('/');
        std::string_view authority = rest.substr(0, slash);
        const std::string_view name =
            slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
        if (name.find_first_of("@/") != std::string_view::npos) {
            refuse(encode);
        }
        if (name.empty()) {
            refuse("after the sentinels comes the name of the primary: …/mymaster");
        }
        options_.sentinel.primary = decoded(name);
        credentials_of_all(authority);
        options_.sentinel.sentinels = endpoints(authority, SentinelOptions::default_port);
        options(query);
    }

    // user:password@host:port,host:port
    void cluster(std::string_view rest) {
        const std::string_view query = cut_query(rest);
        const auto slash = rest.find('/');
        std::string_view authority = rest.substr(0, slash);
        if (slash != std::string_view::npos) {
            const std::string_view path = rest.substr(slash + 1);
            if (path.find_first_of("@/") != std::string_view::npos) {
                refuse(encode);
            }
            if (!path.empty() && path != "0") {
                refuse("a cluster has no databases");
            }
        }
        credentials_of_all(authority);
        options_.cluster.seeds = endpoints(authority, options_.port);
        options(query);
    }

    static std::vector<Endpoint> endpoints(std::string_view authority, std::uint16_t default_port) {
        std::vector<Endpoint> all;
        for (std::size_t comma = 0; comma != std::string_view::npos;) {
            comma = authority.find(',');
            all.push_back(endpoint(authority.substr(0, comma), default_port));
            authority.remove_prefix(comma == std::string_view::npos ? 0 : comma + 1);
        }
        return all;
    }

    static Endpoint endpoint(std::string_view text, std::uint16_t default_port) {
        Endpoint at{{}, default_port};
        std::string_view port;
        if (!text.empty() && text.front() == '[') {
            const auto end = text.find(']');
            if (end == std::string_view::npos) {
                refuse("the bracket of its address is not closed");
            }
            at.host = decoded(text.substr(1, end - 1));
            port = text.substr(end + 1);
            if (!port.empty() && port.front() != ':') {
                refuse("after the address in brackets comes :port or nothing");
            }
        } else {
            const auto colon = text.find(':');
            if (colon != std::string_view::npos && colon != text.rfind(':')) {
                refuse("an IPv6 address needs brackets");
            }
            at.host = decoded(text.substr(0, colon));
            port = colon == std::string_view::npos ? std::string_view{} : text.substr(colon);
        }
        if (at.host.empty()) {
            refuse("it names no host");
        }
        if (!port.empty()) {
            const std::size_t value = number(port.substr(1), "the port");
            if (value == 0 || value > 65535) {
                refuse("the port is not in [1, 65535]");
            }
            at.port = static_cast<std::uint16_t>(value);
        }
        return at;
    }

    void unix_socket(std::string_view rest) {
        const std::string_view query = cut_query(rest);
        const auto slash = rest.find('/');
        if (slash == std::string_view::npos) {
            refuse("unix:// needs the absolute path of a socket: unix:///path");
        }
        std::string_view authority = rest.substr(0, slash);
        credentials(authority);
        if (!authority.empty()) {
            refuse("unix:// has no host: unix:///path, or unix://user:password@/path");
        }
        options_.path = decoded(rest.substr(slash));
        options(query);
    }

    static std::string_view cut_query(std::string_view& rest) {
        if (rest.find('#') != std::string_view::npos) {
            refuse(encode);
        }
        const auto mark = rest.find('?');
        if (mark == std::string_view::npos) {
            return {};
        }
        const std::string_view query = rest.substr(mark + 1);
        if (query.find('@') != std::string_view::npos) {
            refuse(encode);
        }
        rest = rest.substr(0, mark);
        return query;
    }

    // Several servers have them once: another @ would hide the servers before it in the password.
    void credentials_of_all(std::string_view& authority) {
        if (authority.find('@') != authority.rfind('@')) {
            refuse(encode);
        }
        credentials(authority);
    }

    // Leaves what follows the @.
    void credentials(std::string_view& authority) {
        const auto at = authority.rfind('@');
        if (at == std::string_view::npos) {
            return;
        }
        const std::string_view both = authority.substr(0, at);
        const auto colon = both.find(':');
        if (colon == std::string_view::npos) {
            refuse("user and password are written user:password@, a password alone :password@");
        }
        options_.user = decoded(both.substr(0, colon));
        options_.password = decoded(both.substr(colon + 1));
        authority = authority.substr(at + 1);
    }

    void options(std::string_view query) {
        std::string seen = "&";
        while (!query.empty()) {
            const auto end = query.find('&');
            const std::string_view pair = query.substr(0, end);
            query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
            const auto equals = pair.find('=');
            if (equals == std::string_view::npos) {
                refuse("its options are written ?name=value&name=value");
            }
            const std::string name{pair.substr(0, equals)};
            if (seen.find('&' + name + '&') != std::string::npos) {
                refuse("the option " + printable(name) + " is given twice");
            }
            seen += name + '&';
            option(name, decoded(pair.substr(equals + 1)));
        }
    }

    void option(const std::string& name, const std::string& value) {
        if (name == "db") {
            if (std::exchange(has_database_, true)) {
                refuse("the database is given twice");
            }
            options_.database = number(value, "db");
        } else if (name == "name") {
            options_.name = value;
        } else if (name == "connect_timeout") {
            options_.connect_timeout = duration(value, name);
        } else if (name == "command_timeout") {
            options_.command_timeout = duration(value, name);
        } else if (name == "connections") {
            options_.connections = number(value, "connections");
        } else if (std::string* const file = options_.tls.on ? tls_option(name) : nullptr) {
            *file = value;
        } else {
            refuse("unknown option " + printable(name) +
                   ": there are db, name, connect_timeout, command_timeout, connections, and of "
                   "rediss:// ca, certificate, key, server_name");
        }
    }

    std::string* tls_option(std::string_view name) noexcept {
        TlsOptions& tls = options_.tls;
        return name == "ca"            ? &tls.ca
               : name == "certificate" ? &tls.certificate
               : name == "key"         ? &tls.key
               : name == "server_name" ? &tls.server_name
                                       : nullptr;
    }

    static std::string printable(const std::string& name) {
        std::string text;
        for (const char c : name.substr(0, 40)) {
            text += c > ' ' && c <= '~' ? c : '?';
        }
        return text;
    }

    static std::size_t number(std::string_view text, const char* what) {
        std::uint32_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc{} || end != text.data() + text.size()) {
            refuse(std::string{what} + " is not a number");
        }
        return value;
    }

    static Ttl duration(std::string_view text, const std::string& what) {
        const bool milliseconds = text.size() > 2 && text.substr(text.size() - 2) == "ms";
        if (!milliseconds && (text.size() < 2 || text.back() != 's')) {
            refuse(what + " is written with its unit: 500ms or 2s");
        }
        text.remove_suffix(milliseconds ? 2 : 1);
        const std::size_t value = number(text, what.c_str());
        return milliseconds ? Ttl{value} : Ttl{std::chrono::seconds{value}};
    }

    static std::string decoded(std::string_view text) {
        std::string bytes;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] != '%') {
                bytes += text[i];
                continue;
            }
            unsigned value = 0;
            const std::string_view digits = text.substr(i + 1, 2);
            const auto [end, error] =
                std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
            if (digits.size() != 2 || error != std::errc{} || end != digits.data() + 2) {
                refuse("after a % come two hexadecimal digits");
            }
            bytes += static_cast<char>(value);
            i += 2;
        }
        return bytes;
    }

    static constexpr const char* encode =
        "the characters @ / ? # in a user or a password are written %40 %2F %3F %23";

    ClientOptions options_{};
    bool has_database_{false};
};

}  // namespace detail

/// The options that a URL stands for; all others as they are by default.
///
/// `redis://user:password@host:port/db?name=…&connect_timeout=500ms&command_timeout=2s&connections=2`,
/// the same as `rediss://` with `ca=…&certificate=…&key=…&server_name=…` (see TlsOptions),
/// `redis+sentinel://user:password@host:port,host:port/primary?db=2`, where user and password are the
/// primary's (`rediss+sentinel://`: encrypted, both),
/// `redis+cluster://user:password@host:port,host:port` with some of a cluster's nodes
/// (`rediss+cluster://`), `unix:///path/to.sock?db=2`,
/// `unix://user:password@/path/to.sock`. Only the host or the path must be there. An IPv6 address stands in brackets; odd characters are percent-encoded.
///
/// @throws std::invalid_argument  it is none of these, or has an option that is not known; the text
///                                never shows a password
[[nodiscard]] inline ClientOptions parse_url(std::string_view url) {
    return detail::UrlParser::parse(url);
}

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_URL_HPP

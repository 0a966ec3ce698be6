// SPDX-License-Identifier: MIT

// Codes, the exceptions that carry them, and what a batch write tells.

#include "support/catch.hpp"

#include <larder/error.hpp>

#include <exception>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

using larder::Errc;
using larder::Written;

namespace {

constexpr int first = 1;
constexpr int last = static_cast<int>(Errc::closed);

}  // namespace

TEST_CASE("each code has a text of its own", "[error]") {
    std::set<std::string> texts;
    for (int code = first; code <= last; ++code) {
        const std::string text = larder::error_category().message(code);
        CAPTURE(code, text);
        CHECK_FALSE(text.empty());
        CHECK(text.find("unknown") == std::string::npos);
        CHECK(texts.insert(text).second);
    }
    CHECK(larder::error_category().message(last + 1) ==
          "unknown error " + std::to_string(last + 1));
    CHECK(larder::error_category().message(0) == "unknown error 0");
}

TEST_CASE("a code compares as std::error_code does", "[error]") {
    const std::error_code code = Errc::timed_out;  // implicit, as is_error_code_enum says
    CHECK(code == Errc::timed_out);
    CHECK(code != Errc::cancelled);
    CHECK(code);  // 0 would mean success
    CHECK(&code.category() == &larder::error_category());
    CHECK(std::string{code.category().name()} == "larder");
    CHECK(code != std::error_code{static_cast<int>(Errc::timed_out), std::generic_category()});
}

TEST_CASE("an error says who, what and why", "[error]") {
    const larder::Error error{Errc::timed_out, "waiting for the load of key 42"};
    CHECK(error.code() == Errc::timed_out);
    CHECK(std::string{error.what()} == "larder: waiting for the load of key 42: timed out");
}

TEST_CASE("errors are caught by what they are", "[error]") {
    const auto thrown = [](const auto& error) {
        try {
            throw error;
        } catch (const larder::StoreError& e) {
            return std::pair<std::string, std::error_code>{"store", e.code()};
        } catch (const larder::CodecError& e) {
            return std::pair<std::string, std::error_code>{"codec", e.code()};
        } catch (const larder::Error& e) {
            return std::pair<std::string, std::error_code>{"larder", e.code()};
        } catch (const std::system_error& e) {
            return std::pair<std::string, std::error_code>{"system", e.code()};
        }
    };
    CHECK(thrown(larder::StoreError{"down"}) ==
          std::pair{std::string{"store"}, make_error_code(Errc::store_failed)});
    CHECK(thrown(larder::StoreError{Errc::store_full, "full"}).second == Errc::store_full);
    CHECK(thrown(larder::CodecError{"{"}) ==
          std::pair{std::string{"codec"}, make_error_code(Errc::codec_failed)});
    CHECK(thrown(larder::Error{Errc::closed, ""}).first == "larder");
    CHECK(thrown(larder::PartialWrite<int>{{}, nullptr}).first == "larder");
    CHECK(thrown(std::system_error{make_error_code(Errc::closed)}).first == "system");
}

TEST_CASE("a partial write tells for each key what became of it", "[error]") {
    const auto cause = std::make_exception_ptr(std::runtime_error{"deadlock"});
    const larder::PartialWrite<std::string> error{
        {{"a", Written::yes}, {"b", Written::no}, {"c", Written::unknown}, {"d", Written::yes}},
        cause};
    CHECK(error.code() == Errc::partial_write);
    CHECK(error.cause() == cause);
    REQUIRE(error.keys().size() == 4);
    CHECK(error.keys()[1] == std::pair{std::string{"b"}, Written::no});
    CHECK(error.keys()[2] == std::pair{std::string{"c"}, Written::unknown});
    const std::string text = error.what();
    CAPTURE(text);
    CHECK(text.find("2 of 4 keys were written, of 1 it is not known") != std::string::npos);

    const auto copy = error;  // as a catch by value does
    CHECK(&copy.keys() == &error.keys());
    CHECK(copy.cause() == cause);
}

TEST_CASE("no exception can fail while it is copied", "[error]") {
    CHECK(std::is_nothrow_copy_constructible_v<larder::Error>);
    CHECK(std::is_nothrow_copy_constructible_v<larder::StoreError>);
    CHECK(std::is_nothrow_copy_constructible_v<larder::CodecError>);
    CHECK(std::is_nothrow_copy_constructible_v<larder::PartialWrite<std::string>>);
}

TEST_CASE("NotWritten marks an exception of any family", "[error]") {
    struct Duplicate : std::invalid_argument, larder::NotWritten {
        using std::invalid_argument::invalid_argument;
    };
    CHECK_THROWS_AS(throw Duplicate{"id"}, larder::NotWritten);
    CHECK_THROWS_AS(throw Duplicate{"id"}, std::invalid_argument);
    CHECK(std::is_empty_v<larder::NotWritten>);
}

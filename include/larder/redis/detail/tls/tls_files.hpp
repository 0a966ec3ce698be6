// SPDX-License-Identifier: MIT

/// @file
/// The files of the TLS options, read.

#ifndef LARDER_REDIS_DETAIL_TLS_TLS_FILES_HPP
#define LARDER_REDIS_DETAIL_TLS_TLS_FILES_HPP

#include <larder/redis/tls_options.hpp>
#include <larder/version.hpp>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <ios>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

LARDER_NS_BEGIN

namespace redis::detail {

/// What they held when they were read: a child that has given up its rights needs them no more.
struct TlsFiles {
    std::string ca{};
    std::string certificate{};
    std::string key{};

    /// @throws std::invalid_argument  naming the option, the file and why it cannot be read
    [[nodiscard]] static TlsFiles read(const TlsOptions& options) {
        TlsFiles files;
        if (!is_folder(options.ca)) {
            files.ca = read("ca", options.ca);
        }
        files.certificate = read("certificate", options.certificate);
        files.key = read("key", options.key);
        return files;
    }

    [[nodiscard]] static bool is_folder(const std::string& path) {
        std::error_code ignored;
        return std::filesystem::is_directory(path, ignored);
    }

private:
    static std::string read(std::string_view option, const std::string& path) {
        if (path.empty()) {
            return {};
        }
        errno = 0;
        const std::ifstream in{path, std::ios::binary};
        std::ostringstream bytes;
        if (!in || !(bytes << in.rdbuf())) {
            const std::string why =
                errno != 0 ? std::generic_category().message(errno) : "it is empty";
            throw std::invalid_argument{"larder: TlsOptions::" + std::string{option} +
                                        " must be a file of PEM, but is " + path + ": " + why};
        }
        return bytes.str();
    }
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_TLS_TLS_FILES_HPP

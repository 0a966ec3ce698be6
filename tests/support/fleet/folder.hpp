// SPDX-License-Identifier: MIT

/// @file
/// A temporary folder, in memory where the system has one there.

#ifndef LARDER_TESTS_SUPPORT_FLEET_FOLDER_HPP
#define LARDER_TESTS_SUPPORT_FLEET_FOLDER_HPP

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

#include <unistd.h>

namespace larder_test {

/// Made and removed with its contents. On a disk that others keep busy a killed process may take
/// half a minute to end.
class Folder {
public:
    /// @param on_disk  where temporary files are, whatever that is
    explicit Folder(bool on_disk = false) {
        const bool memory = !on_disk && ::access("/dev/shm", W_OK | X_OK) == 0;
        std::string path =
            (memory ? std::filesystem::path{"/dev/shm"} : std::filesystem::temp_directory_path()) /
            "larder-fleet-XXXXXX";
        if (::mkdtemp(path.data()) == nullptr) {
            throw std::runtime_error{"no temporary folder"};
        }
        path_ = path;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FLEET_FOLDER_HPP

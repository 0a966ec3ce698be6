// SPDX-License-Identifier: MIT

/// @file
/// A folder for the files of one run of an example.

#ifndef LARDER_EXAMPLES_SCRATCH_FOLDER_HPP
#define LARDER_EXAMPLES_SCRATCH_FOLDER_HPP

#include <filesystem>
#include <random>
#include <string>
#include <system_error>

namespace examples {

/// A new folder for scratch files, removed with everything in it at the end.
class ScratchFolder {
public:
    ScratchFolder() {
        std::random_device random;
        do {
            path_ = std::filesystem::temp_directory_path() / ("larder-" + std::to_string(random()));
        } while (!std::filesystem::create_directory(path_));
    }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    ~ScratchFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace examples

#endif  // LARDER_EXAMPLES_SCRATCH_FOLDER_HPP

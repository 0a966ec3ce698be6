// SPDX-License-Identifier: MIT

// A store of your own is three functions: here, a folder with a file for each key.

#include "support/scratch_folder.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>

namespace fs = std::filesystem;

struct FileStore {
    using key_type = int;
    using value_type = std::string;
    fs::path folder;

    std::optional<larder::Entry<std::string>> find(int key) const {
        std::ifstream file{path(key)};
        long long until = 0, grace = 0;
        bool known = false;
        if (!(file >> until >> grace >> known) || until + grace <= now()) {
            return std::nullopt;
        }
        std::string text;
        std::getline(file.ignore(), text, '\0');
        return larder::Entry{known ? std::optional{text} : std::nullopt,
                             larder::Ttl{until - now()}};
    }
    void put(int key, const std::optional<std::string>& value, larder::Lifetime life) const {
        static std::atomic<int> drafts;
        const fs::path draft = folder / ("draft" + std::to_string(++drafts));
        std::ofstream{draft} << now() + life.fresh.count() << ' ' << life.grace.count() << ' '
                             << value.has_value() << ' ' << value.value_or("");
        fs::rename(draft, path(key));  // a reader sees the old file or the new one
    }
    bool erase(int key) const { return fs::remove(path(key)); }

    fs::path path(int key) const { return folder / std::to_string(key); }
    static long long now() {  // of the wall: the files outlive this process
        const auto since = std::chrono::system_clock::now().time_since_epoch();
        return std::chrono::floor<larder::Ttl>(since).count();
    }
};

int main() {
    const examples::ScratchFolder scratch;
    const auto load = [](int id) { return "page " + std::to_string(id); };
    for (const char* run : {"first run:  ", "second run: "}) {
        larder::CacheAside pages{FileStore{scratch.path()}, load};
        std::cout << run << *pages.get(7) << ", " << pages.stats().loads << " loads\n";
    }
}

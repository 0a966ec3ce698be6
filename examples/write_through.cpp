// SPDX-License-Identifier: MIT

// Write-through: the database first, then the copy; the next read hits.

#include <larder/larder.hpp>

#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>

// A repository whose save returns the row as stored: that is what is cached.
class Prices {
public:
    std::optional<double> load(const std::string& item) {
        const std::scoped_lock lock{mutex_};
        const auto row = rows_.find(item);
        return row == rows_.end() ? std::nullopt : std::optional{row->second};
    }
    double save(const std::string& item, double price) {
        struct Refused : std::invalid_argument, larder::NotWritten {
            using std::invalid_argument::invalid_argument;
        };
        if (price < 0) {
            throw Refused{"a price is never negative"};
        }
        const std::scoped_lock lock{mutex_};
        return rows_[item] = static_cast<int>(price * 100 + 0.5) / 100.0;
    }
    void remove(const std::string& item) {
        const std::scoped_lock lock{mutex_};
        rows_.erase(item);
    }

private:
    std::mutex mutex_;
    std::map<std::string, double> rows_;
};

int main() {
    Prices table;
    larder::MemoryStore<std::string, double> store;
    larder::WriteThrough prices{store, std::ref(table)};

    prices.put("tea", 3.14159);
    const auto tea = prices.fetch("tea");
    std::cout << "tea: " << *tea.value << " (" << to_string(tea.source) << ")\n";
    try {
        prices.put("tea", -1);
    } catch (const std::invalid_argument& refused) {
        std::cout << "refused: " << refused.what() << '\n';
    }
    const auto again = prices.fetch("tea");
    std::cout << "tea: " << *again.value << " (" << to_string(again.source) << ")\n";
}

// SPDX-License-Identifier: MIT

// A transaction of your own over several rows, with `writing` around it.

#include <larder/larder.hpp>

#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>

class Bank {
public:
    std::optional<int> load(int account) {
        const std::scoped_lock lock{mutex_};
        return balances_.at(account);
    }
    void transfer(int from, int to, int amount) {  // begin … commit
        const std::scoped_lock lock{mutex_};
        if (balances_[from] < amount) {
            throw std::runtime_error{"not enough on account " + std::to_string(from)};
        }
        balances_[from] -= amount;
        balances_[to] += amount;
    }

private:
    std::mutex mutex_;
    std::map<int, int> balances_{{1, 100}, {2, 0}};
};

int main() {
    Bank bank;
    larder::MemoryStore<int, int> store;
    larder::CacheAside balances{store, std::ref(bank)};

    const auto show = [&](const char* when) {
        const auto both = balances.get_many({1, 2});
        std::cout << when << *both[0] << " and " << *both[1] << '\n';
    };
    const auto transfer = [&](int amount) {
        auto write = balances.writing(1, 2);  // from here on both are read from the database
        try {
            bank.transfer(1, 2, amount);
            write.commit();  // the copies of both are dropped
        } catch (const std::runtime_error& error) {
            write.rollback();  // nothing was written
            std::cout << "refused: " << error.what() << '\n';
        }
    };
    show("at first: ");
    transfer(30);
    show("after 30: ");
    transfer(500);
    show("still:    ");
}

// SPDX-License-Identifier: MIT

/// @file
/// One object in memory that a process and those forked from it share, and that survives their end.

#ifndef LARDER_TESTS_SUPPORT_FLEET_SHARED_HPP
#define LARDER_TESTS_SUPPORT_FLEET_SHARED_HPP

#include <memory>
#include <new>
#include <stdexcept>
#include <utility>

#include <sys/mman.h>

namespace larder_test {

/// Owns a `T` that children see under the same address; make it before they are forked.
///
/// Thread safety: that of `T`, whose atomics must be free of locks.
template <class T>
class Shared {
public:
    template <class... Args>
    explicit Shared(Args&&... args) {
        void* const memory = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) {
            throw std::runtime_error{"no shared memory"};
        }
        object_ = ::new (memory) T(std::forward<Args>(args)...);
    }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    ~Shared() {
        std::destroy_at(object_);
        ::munmap(static_cast<void*>(object_), sizeof(T));
    }

    T& operator*() const noexcept { return *object_; }
    T* operator->() const noexcept { return object_; }

private:
    T* object_ = nullptr;
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FLEET_SHARED_HPP

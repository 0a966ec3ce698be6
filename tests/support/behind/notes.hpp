// SPDX-License-Identifier: MIT

/// @file
/// What writers tell of their changes before and after each, through a pipe that outlives them.

#ifndef LARDER_TESTS_SUPPORT_BEHIND_NOTES_HPP
#define LARDER_TESTS_SUPPORT_BEHIND_NOTES_HPP

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace larder_test {

/// A change of a key that has one writer at a time. Numbers of a key grow, from life to life, too.
struct Note {
    enum class Kind : std::uint8_t { begun, acknowledged };

    std::uint64_t number = 0;
    int key = 0;
    Kind kind = Kind::begun;
    bool removes = false;
};

/// The value that the change writes.
inline std::string value_of(int key, std::uint64_t number) {
    return std::to_string(key) + '#' + std::to_string(number);
}

/// @throws std::logic_error  no writer has written that to this key
inline std::uint64_t number_in(int key, const std::string& value) {
    const std::string head = std::to_string(key) + '#';
    std::uint64_t number = 0;
    const char* const end = value.data() + value.size();
    if (!value.starts_with(head) ||
        std::from_chars(value.data() + head.size(), end, number).ptr != end) {
        throw std::logic_error{"key " + std::to_string(key) + " has the value " + value};
    }
    return number;
}

/// Made before the writers are forked. What a writer has told is there, even if it is killed at once.
///
/// Thread safety: any number of processes may `tell`; one reads.
class NotePipe {
public:
    NotePipe() {
        if (::pipe2(ends_.data(), O_CLOEXEC) != 0) {
            throw std::runtime_error{"no pipe"};
        }
        ::fcntl(ends_[0], F_SETFL, O_NONBLOCK);
    }
    NotePipe(const NotePipe&) = delete;
    NotePipe& operator=(const NotePipe&) = delete;
    ~NotePipe() {
        ::close(ends_[0]);
        ::close(ends_[1]);
    }

    /// In one piece: it is smaller than PIPE_BUF. Waits while the pipe is full.
    void tell(const Note& note) const {
        if (::write(ends_[1], &note, sizeof note) != sizeof note) {
            throw std::logic_error{"nobody reads the notes"};
        }
    }

    /// Appends what has been told since.
    void read_to(std::vector<Note>& all) {
        std::array<Note, 1024> notes{};
        for (;;) {
            const ssize_t got = ::read(ends_[0], notes.data(), sizeof notes);
            if (got <= 0) {
                return;
            }
            const auto whole = static_cast<std::size_t>(got) / sizeof(Note);
            all.insert(all.end(), notes.data(), notes.data() + whole);
        }
    }

private:
    std::array<int, 2> ends_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_BEHIND_NOTES_HPP

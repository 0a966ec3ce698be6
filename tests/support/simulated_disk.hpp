// SPDX-License-Identifier: MIT

/// @file
/// A disk of SQLite's in memory: its power is cut, its calls fail, its room ends.

#ifndef LARDER_TESTS_SUPPORT_SIMULATED_DISK_HPP
#define LARDER_TESTS_SUPPORT_SIMULATED_DISK_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <sqlite3.h>

namespace larder_test {

/// What a process has written is seen by itself at once, and is on the disk once it was synced; of what was
/// not, a power cut leaves all, nothing, or any sectors of it. It is SQLite's own disk while it lives.
///
/// Thread safety: one connection at a time uses it.
class SimulatedDisk {
public:
    SimulatedDisk() : real_{sqlite3_vfs_find(nullptr)} {
        vfs_.iVersion = 1;
        vfs_.szOsFile = sizeof(File);
        vfs_.mxPathname = 512;
        vfs_.zName = "simulated";
        vfs_.pAppData = this;
        vfs_.xOpen = open;
        vfs_.xDelete = remove;
        vfs_.xAccess = exists;
        vfs_.xFullPathname = [](sqlite3_vfs*, const char* name, int size, char* out) {
            sqlite3_snprintf(size, out, "%s", name);
            return SQLITE_OK;
        };
        vfs_.xRandomness = [](sqlite3_vfs*, int size, char* out) {
            std::memset(out, 7, static_cast<std::size_t>(size));
            return size;
        };
        vfs_.xSleep = [](sqlite3_vfs*, int micros) { return micros; };
        vfs_.xCurrentTime = [](sqlite3_vfs*, double* now) {
            *now = 2460000.5;
            return SQLITE_OK;
        };
        vfs_.xGetLastError = [](sqlite3_vfs*, int, char*) { return 0; };
        sqlite3_vfs_register(&vfs_, 1);
    }
    SimulatedDisk(const SimulatedDisk&) = delete;
    SimulatedDisk& operator=(const SimulatedDisk&) = delete;
    ~SimulatedDisk() {
        sqlite3_vfs_unregister(&vfs_);
        sqlite3_vfs_register(real_, 1);
    }

    /// The call with that number fails, a write for want of room if `full`; and all after it, if so told.
    void fail_at(std::size_t call, bool lasting, bool full) {
        calls_ = 0;
        fails_ = {call, lasting, full};
    }
    void heal() { fails_ = {}; }
    [[nodiscard]] bool failed() const { return fails_.call > 0 && calls_ >= fails_.call; }

    /// The power goes with the write, sync or other change that has that number.
    void cut_at(std::size_t change) {
        changes_ = 0;
        cut_at_ = change;
    }
    [[nodiscard]] bool is_off() const { return off_; }
    [[nodiscard]] std::size_t changes() const { return changes_; }

    /// It says that it has synced, and has not.
    bool deaf = false;
    /// What can be opened cannot be written.
    bool read_only = false;
    /// So many bytes, and no more.
    std::size_t room = (std::numeric_limits<std::size_t>::max)();

    /// What is there, as the process sees it.
    [[nodiscard]] std::string bytes(const std::string& name) const { return files_.at(name)->seen; }
    void set_bytes(const std::string& name, std::string bytes) {
        auto& file = files_[name];
        file = std::make_shared<Inode>();
        file->kept = file->seen = std::move(bytes);
        file->named = true;
    }
    [[nodiscard]] bool has(const std::string& name) const { return files_.count(name) > 0; }
    [[nodiscard]] std::size_t used() const {
        std::size_t sum = 0;
        for (const auto& [name, file] : files_) {
            sum += file->seen.size();
        }
        return sum;
    }

    /// All of it, to begin from it again.
    struct Image;
    [[nodiscard]] Image image() const;
    /// The power is back. Of what was not synced: nothing (0), all (1), or what chance leaves.
    void power_on(const Image& image, unsigned chance);

private:
    // A write, or, without bytes, a new length.
    struct Change {
        std::size_t at = 0;
        std::string bytes{};
        bool truncates = false;
    };
    struct Inode {
        std::string seen{};
        std::string kept{};
        std::vector<Change> unsynced{};
        bool named = false;  // the disk has its name
    };
    struct File : sqlite3_file {
        SimulatedDisk* disk = nullptr;
        std::shared_ptr<Inode> inode{};
        std::string name{};  // none: it goes when it is closed
    };
    struct Failing {
        std::size_t call = 0;
        bool lasting = false;
        bool full = false;
    };

    static void apply(std::string& bytes, const Change& change) {
        if (change.truncates) {
            bytes.resize(change.at);
        } else {
            bytes.resize((std::max)(bytes.size(), change.at + change.bytes.size()));
            bytes.replace(change.at, change.bytes.size(), change.bytes);
        }
    }

    // What a call is to answer; SQLITE_OK: it is carried out.
    int call(int failure, bool writes = false) {
        ++calls_;
        const bool due =
            fails_.call > 0 && (calls_ == fails_.call || (fails_.lasting && calls_ > fails_.call));
        return off_ ? failure : due ? (writes && fails_.full ? SQLITE_FULL : failure) : SQLITE_OK;
    }
    // The same of a call that changes something.
    int change(int failure, bool writes = false) {
        if (!off_ && ++changes_ == cut_at_) {
            off_ = true;
        }
        return call(failure, writes);
    }

    void sync_folder() {
        if (!deaf) {
            removed_.clear();
            for (const auto& [name, file] : files_) {
                file->named = true;
            }
        }
    }

    static SimulatedDisk& of(sqlite3_vfs* vfs) {
        return *static_cast<SimulatedDisk*>(vfs->pAppData);
    }
    static File& of(sqlite3_file* file) { return *static_cast<File*>(file); }

    static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* at, int flags,
                    int* out_flags) {
        SimulatedDisk& disk = of(vfs);
        at->pMethods = nullptr;
        const bool known = name != nullptr && disk.has(name);
        if (!known && (flags & SQLITE_OPEN_CREATE) == 0) {
            return SQLITE_CANTOPEN;
        }
        if (const int code = known ? disk.call(SQLITE_CANTOPEN) : disk.change(SQLITE_CANTOPEN)) {
            return code;
        }
        if (disk.read_only && (flags & SQLITE_OPEN_MAIN_DB) == 0) {
            return SQLITE_CANTOPEN;
        }
        File& file = *new (at) File;
        file.disk = &disk;
        file.name = name != nullptr ? name : "";
        file.inode = known ? disk.files_[name] : std::make_shared<Inode>();
        if (name != nullptr) {
            disk.files_[name] = file.inode;
        }
        if (out_flags != nullptr) {
            *out_flags = disk.read_only ? SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB : flags;
        }
        at->pMethods = &methods();
        return SQLITE_OK;
    }
    // Not on the disk before the folder is synced, which is not always asked for.
    static int remove(sqlite3_vfs* vfs, const char* name, int sync_folder) {
        SimulatedDisk& disk = of(vfs);
        if (!disk.has(name)) {
            return SQLITE_IOERR_DELETE_NOENT;
        }
        if (const int code = disk.change(SQLITE_IOERR_DELETE)) {
            return code;
        }
        const auto gone = disk.files_.find(name);
        if (gone->second->named) {
            disk.removed_[name] = gone->second;
        }
        disk.files_.erase(gone);
        if (sync_folder != 0) {
            disk.sync_folder();
        }
        return SQLITE_OK;
    }
    static int exists(sqlite3_vfs* vfs, const char* name, int, int* there) {
        *there = of(vfs).has(name) ? 1 : 0;
        return of(vfs).call(SQLITE_IOERR_ACCESS);
    }

    static int close(sqlite3_file* at) {
        of(at).~File();
        return SQLITE_OK;
    }
    static int read(sqlite3_file* at, void* out, int size, sqlite3_int64 offset) {
        File& file = of(at);
        if (const int code = file.disk->call(SQLITE_IOERR_READ)) {
            return code;
        }
        const std::string& bytes = file.inode->seen;
        const auto wanted = static_cast<std::size_t>(size);
        const std::size_t from = (std::min)(static_cast<std::size_t>(offset), bytes.size());
        const std::size_t have = (std::min)(wanted, bytes.size() - from);
        std::memset(out, 0, wanted);
        bytes.copy(static_cast<char*>(out), have, from);
        return have < wanted ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
    }
    static int write(sqlite3_file* at, const void* in, int size, sqlite3_int64 offset) {
        File& file = of(at);
        SimulatedDisk& disk = *file.disk;
        const Change change{static_cast<std::size_t>(offset),
                            {static_cast<const char*>(in), static_cast<std::size_t>(size)}};
        const std::size_t end = change.at + change.bytes.size();
        const std::size_t have = file.inode->seen.size();
        if (end > have && disk.used() + (end - have) > disk.room) {
            return SQLITE_FULL;
        }
        const bool was_on = !disk.off_;
        const int code = disk.change(SQLITE_IOERR_WRITE, true);
        if (code == SQLITE_OK || (was_on && disk.off_)) {
            file.inode->unsynced.push_back(change);  // part of the last one may be on the disk
        }
        if (code == SQLITE_OK) {
            apply(file.inode->seen, change);
        }
        return code;
    }
    static int truncate(sqlite3_file* at, sqlite3_int64 size) {
        File& file = of(at);
        const int code = file.disk->change(SQLITE_IOERR_TRUNCATE);
        if (code == SQLITE_OK) {
            file.inode->unsynced.push_back({static_cast<std::size_t>(size), {}, true});
            apply(file.inode->seen, file.inode->unsynced.back());
        }
        return code;
    }
    static int sync(sqlite3_file* at, int) {
        File& file = of(at);
        const int code = file.disk->change(SQLITE_IOERR_FSYNC);
        if (code == SQLITE_OK && !file.disk->deaf) {
            file.inode->kept = file.inode->seen;
            file.inode->unsynced.clear();
            // As SQLite's own disk does for a log or a journal that is new.
            if (!file.inode->named && file.name.find('-') != std::string::npos) {
                file.disk->sync_folder();
            }
        }
        return code;
    }
    static int size(sqlite3_file* at, sqlite3_int64* bytes) {
        *bytes = static_cast<sqlite3_int64>(of(at).inode->seen.size());
        return of(at).disk->call(SQLITE_IOERR_FSTAT);
    }
    static const sqlite3_io_methods& methods() {
        static const sqlite3_io_methods all = [] {
            sqlite3_io_methods made{};
            made.iVersion = 1;  // no shared memory
            made.xClose = close;
            made.xRead = read;
            made.xWrite = write;
            made.xTruncate = truncate;
            made.xSync = sync;
            made.xFileSize = size;
            made.xLock = [](sqlite3_file*, int) { return SQLITE_OK; };
            made.xUnlock = [](sqlite3_file*, int) { return SQLITE_OK; };
            made.xCheckReservedLock = [](sqlite3_file*, int* held) {
                *held = 0;
                return SQLITE_OK;
            };
            made.xFileControl = [](sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; };
            made.xSectorSize = [](sqlite3_file*) { return 512; };
            made.xDeviceCharacteristics = [](sqlite3_file*) {
                return SQLITE_IOCAP_POWERSAFE_OVERWRITE;  // as SQLite assumes of every disk
            };
            return made;
        }();
        return all;
    }

    sqlite3_vfs* const real_;
    sqlite3_vfs vfs_{};
    std::map<std::string, std::shared_ptr<Inode>> files_{};
    std::map<std::string, std::shared_ptr<Inode>> removed_{};  // the disk may have them still
    Failing fails_{};
    std::size_t calls_ = 0;
    std::size_t changes_ = 0;
    std::size_t cut_at_ = 0;
    bool off_ = false;
};

struct SimulatedDisk::Image {
    std::map<std::string, Inode> files{};
    std::map<std::string, Inode> removed{};
};

inline SimulatedDisk::Image SimulatedDisk::image() const {
    Image image;
    for (const auto& [name, file] : files_) {
        image.files.emplace(name, *file);
    }
    for (const auto& [name, file] : removed_) {
        image.removed.emplace(name, *file);
    }
    return image;
}

inline void SimulatedDisk::power_on(const Image& image, unsigned chance) {
    std::mt19937 random{chance};
    const auto stays = [&] { return chance == 1 || (chance > 1 && random() % 2 == 0); };
    files_.clear();
    removed_.clear();
    off_ = false;
    cut_at_ = 0;
    const auto bring_back = [&](const std::string& name, const Inode& was) {
        std::string bytes = was.kept;
        for (const Change& change : was.unsynced) {
            constexpr std::size_t sector = 512;
            for (std::size_t at = 0; at <= change.bytes.size(); at += sector) {
                if ((change.truncates || at < change.bytes.size()) && stays()) {
                    apply(bytes,
                          {change.at + at,
                           change.truncates ? std::string{} : change.bytes.substr(at, sector),
                           change.truncates});
                }
            }
        }
        set_bytes(name, std::move(bytes));
    };
    for (const auto& [name, was] : image.removed) {
        if (chance != 1 && (chance == 0 || stays())) {
            bring_back(name, was);
        }
    }
    for (const auto& [name, was] : image.files) {
        if (was.named || stays()) {
            bring_back(name, was);
        }
    }
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_SIMULATED_DISK_HPP

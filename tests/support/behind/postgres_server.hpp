// SPDX-License-Identifier: MIT

/// @file
/// A real PostgreSQL server of a test's own: a cluster in a temporary folder, reached by a unix socket in
/// it, stopped by its pid.

#ifndef LARDER_TESTS_SUPPORT_BEHIND_POSTGRES_SERVER_HPP
#define LARDER_TESTS_SUPPORT_BEHIND_POSTGRES_SERVER_HPP

#include "support/fleet/folder.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace larder_test {

/// It dies with the thread that started it. It syncs nothing unless told to: a killed process loses
/// nothing, and neither does the server that is killed alone.
///
/// Thread safety: one thread.
class PostgresServer {
public:
    /// @param options  settings: {"fsync=on"}
    /// @param on_disk  as Folder
    explicit PostgresServer(std::vector<std::string> options = {}, bool on_disk = false)
        : options_{std::move(options)}, folder_{on_disk} {
        if (const passwd* const user = other_user()) {
            user_ = user->pw_uid;
            group_ = user->pw_gid;
            if (::chown(folder_.path().c_str(), user_, group_) != 0) {
                throw std::runtime_error{"cannot give a folder to another user"};
            }
        }
        const pid_t initdb =
            start_program({program("initdb"), "--pgdata", data(), "--username", "larder", "--auth",
                           "trust", "--no-sync", "--encoding", "UTF8", "--no-locale"});
        int status = 0;
        if (::waitpid(initdb, &status, 0) != initdb || status != 0) {
            throw std::runtime_error{"initdb has failed: " + log()};
        }
        start();
    }
    PostgresServer(const PostgresServer&) = delete;
    PostgresServer& operator=(const PostgresServer&) = delete;
    ~PostgresServer() { stop(SIGQUIT); }

    /// For PQconnectdb.
    [[nodiscard]] std::string connection_info() const {
        return "host=" + folder_.path().string() + " user=larder dbname=postgres";
    }

    /// Waits until it answers.
    void start() {
        std::vector<std::string> words{program("postgres"), "-D", data(), "-k",
                                       folder_.path().string()};
        for (const std::string setting :
             {"listen_addresses=", "fsync=off", "max_connections=100", "shared_buffers=16MB",
              "autovacuum=off", "unix_socket_permissions=0777"}) {
            words.insert(words.end(), {"-c", setting});
        }
        for (const std::string& setting : options_) {
            words.insert(words.end(), {"-c", setting});
        }
        pid_ = start_program(words);
        for (int tries = 0; tries < 3000; ++tries) {
            if (PQping(connection_info().c_str()) == PQPING_OK) {
                return;
            }
            if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
                pid_ = -1;
                throw std::runtime_error{"postgres has ended at once: " + log()};
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
        throw std::runtime_error{"postgres does not answer: " + log()};
    }

    /// SIGQUIT: at once, to be recovered at the next start.
    void stop(int signal) noexcept {
        if (pid_ > 0) {
            ::kill(pid_, signal);
            ::waitpid(pid_, nullptr, 0);
            pid_ = -1;
        }
    }

    [[nodiscard]] std::string log() const {
        std::ifstream in{log_path()};
        return {std::istreambuf_iterator<char>{in}, {}};
    }

private:
    [[nodiscard]] std::string data() const { return folder_.path() / "data"; }
    [[nodiscard]] std::string log_path() const { return folder_.path() / "log"; }

    /// PostgreSQL does not run as root.
    static const passwd* other_user() {
        if (::getuid() != 0) {
            return nullptr;
        }
        for (const char* const name : {"postgres", "nobody"}) {
            if (const passwd* const user = ::getpwnam(name)) {
                return user;
            }
        }
        throw std::runtime_error{"PostgreSQL does not run as root, and there is no other user"};
    }

    /// Debian keeps them beside the path, each version in a folder of its own.
    static std::string program(const std::string& name) {
        std::vector<std::string> found;
        std::error_code ignored;
        for (const auto& version :
             std::filesystem::directory_iterator{"/usr/lib/postgresql", ignored}) {
            if (std::filesystem::exists(version.path() / "bin" / name)) {
                found.push_back(version.path() / "bin" / name);
            }
        }
        return found.empty() ? name : *std::max_element(found.begin(), found.end());
    }

    [[nodiscard]] pid_t start_program(const std::vector<std::string>& words) const {
        std::vector<char*> argv;
        for (const std::string& word : words) {
            argv.push_back(const_cast<char*>(word.c_str()));  // which exec leaves alone
        }
        argv.push_back(nullptr);
        const std::string log = log_path();
        const std::string folder = folder_.path();
        const pid_t pid = ::fork();
        if (pid == 0) {
            if (user_ != 0 && (::setgroups(0, nullptr) != 0 || ::setgid(group_) != 0 ||
                               ::setuid(user_) != 0 || ::chdir(folder.c_str()) != 0)) {
                ::_exit(126);
            }
            ::prctl(PR_SET_PDEATHSIG, SIGQUIT);  // a change of user forgets it
            const int nowhere = ::open("/dev/null", O_RDWR);
            const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
            ::dup2(nowhere, 0);
            ::dup2(out, 1);
            ::dup2(out, 2);
            ::execvp(argv[0], argv.data());
            ::_exit(127);
        }
        if (pid < 0) {
            throw std::runtime_error{"no process for " + words.front()};
        }
        return pid;
    }

    std::vector<std::string> options_;
    Folder folder_;
    uid_t user_ = 0;
    gid_t group_ = 0;
    pid_t pid_ = -1;
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_BEHIND_POSTGRES_SERVER_HPP

// SPDX-License-Identifier: MIT

/// @file
/// TLS for the connections of a client.

#ifndef LARDER_REDIS_DETAIL_TLS_TLS_ENCRYPTION_HPP
#define LARDER_REDIS_DETAIL_TLS_TLS_ENCRYPTION_HPP

#include <larder/redis/detail/client/cipher.hpp>
#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/detail/client/encryption.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/client/socket.hpp>
#include <larder/redis/detail/tls/tls_cipher.hpp>
#include <larder/redis/detail/tls/tls_context.hpp>
#include <larder/redis/detail/tls/tls_files.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/tls_options.hpp>
#include <larder/version.hpp>

#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// Has a context, and makes another of the files as they are then once a handshake has failed.
class TlsEncryption final : public Encryption {
public:
    /// @throws std::invalid_argument  an option makes no sense
    explicit TlsEncryption(TlsOptions options)
        : TlsEncryption{TlsFiles::read(options), std::move(options)} {}

    /// @copydoc Encryption::begin
    [[nodiscard]] std::unique_ptr<Cipher> begin(const std::string& host, Socket& socket,
                                                time_point deadline) override {
        try {
            return std::make_unique<TlsCipher>(*context(), socket, name_of(host), deadline);
        } catch (const ConnectionFailure& failed) {
            if (failed.kind == ConnectionFailure::Kind::connect) {
                renew();
            }
            throw;
        }
    }

    /// @copydoc Encryption::renew
    void renew() override {
        try {
            Context made = std::make_shared<const TlsContext>(options_, TlsFiles::read(options_));
            const std::scoped_lock lock{mutex_};
            context_.swap(made);
        } catch (const std::invalid_argument&) {
            // What cannot be read now leaves all as it was.
        }
    }

    /// @copydoc Encryption::for_process
    [[nodiscard]] std::unique_ptr<Encryption> for_process() const override {
        return std::unique_ptr<Encryption>{new TlsEncryption{files_, options_}};
    }

private:
    using Context = std::shared_ptr<const TlsContext>;

    TlsEncryption(TlsFiles files, TlsOptions options)
        : options_{std::move(options)},
          files_{std::move(files)},
          context_{std::make_shared<const TlsContext>(options_, files_)} {}

    // Whom the peer must be.
    [[nodiscard]] std::string name_of(const std::string& host) const {
        return options_.server_name.empty() ? host : options_.server_name;
    }

    [[nodiscard]] Context context() {
        const std::scoped_lock lock{mutex_};
        return context_;
    }

    const TlsOptions options_;
    const TlsFiles files_;
    std::mutex mutex_{};
    Context context_;
};

/// As `Encryption::of` asks for it.
[[nodiscard]] inline std::unique_ptr<Encryption> make_tls(const ClientOptions& options) {
    return std::make_unique<TlsEncryption>(options.tls);
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_TLS_TLS_ENCRYPTION_HPP

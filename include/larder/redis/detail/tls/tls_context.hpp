// SPDX-License-Identifier: MIT

/// @file
/// What all TLS connections of a client have in common.

#ifndef LARDER_REDIS_DETAIL_TLS_TLS_CONTEXT_HPP
#define LARDER_REDIS_DETAIL_TLS_TLS_CONTEXT_HPP

#include <larder/redis/detail/tls/openssl.hpp>
#include <larder/redis/detail/tls/tls_files.hpp>
#include <larder/redis/tls_options.hpp>
#include <larder/version.hpp>

#include <climits>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

LARDER_NS_BEGIN

namespace redis::detail {

/// Whom to trust, and who we are.
///
/// Thread safety: `session` may run concurrently.
class TlsContext {
public:
    /// @throws std::invalid_argument  naming the option that makes no sense
    TlsContext(const TlsOptions& options, const TlsFiles& files)
        : context_{::SSL_CTX_new(::TLS_client_method())} {
        ::ERR_clear_error();
        if (!context_) {
            throw std::invalid_argument{"larder: OpenSSL gives no context: " + openssl_error()};
        }
        ::SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
        // A write that needs a read first would have to be waited for otherwise.
        ::SSL_CTX_set_options(context_.get(), SSL_OP_NO_RENEGOTIATION);
        // What SSL_write says is written must be what the peer may have seen.
        ::SSL_CTX_set_mode(context_.get(),
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        ::SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_OFF);
        ::SSL_CTX_set_read_ahead(context_.get(), 1);  // a record is one system call, not two
        ::SSL_CTX_set_verify(context_.get(), options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                             nullptr);
        trust(options, files);
        if (!files.certificate.empty()) {
            present(options, files);
        }
    }

    /// A session without a peer yet; null: there is no memory.
    [[nodiscard]] OpensslPtr<SSL> session() const noexcept {
        return OpensslPtr<SSL>{::SSL_new(context_.get())};
    }

private:
    [[noreturn]] static void refuse(std::string_view option, const std::string& path,
                                    const std::string& why) {
        throw std::invalid_argument{"larder: TlsOptions::" + std::string{option} + ", which is " +
                                    path + ": " + why};
    }

    static OpensslPtr<BIO> reader(const std::string& pem) noexcept {
        return OpensslPtr<BIO>{::BIO_new_mem_buf(
            pem.data(), pem.size() < INT_MAX ? static_cast<int>(pem.size()) : INT_MAX)};
    }

    // Asked for a passphrase, OpenSSL would read the terminal.
    static int no_passphrase(char*, int, int, void*) noexcept { return -1; }

    static OpensslPtr<X509> next_certificate(const OpensslPtr<BIO>& from) noexcept {
        return OpensslPtr<X509>{::PEM_read_bio_X509(from.get(), nullptr, &no_passphrase, nullptr)};
    }

    // The last try to read one more certificate has failed: at the end, or within one.
    static bool at_end() noexcept {
        const unsigned long error = ::ERR_peek_last_error();
        const bool end =
            ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
        if (end) {
            ::ERR_clear_error();
        }
        return end;
    }

    void trust(const TlsOptions& options, const TlsFiles& files) {
        if (options.ca.empty()) {
            ::SSL_CTX_set_default_verify_paths(context_.get());
            ::ERR_clear_error();  // a system without any trusts nobody
            return;
        }
        if (files.ca.empty()) {
            if (::SSL_CTX_load_verify_locations(context_.get(), nullptr, options.ca.c_str()) != 1) {
                refuse("ca", options.ca, openssl_error());
            }
            return;
        }
        X509_STORE* const store = ::SSL_CTX_get_cert_store(context_.get());
        const OpensslPtr<BIO> from = reader(files.ca);
        std::size_t count = 0;
        while (const OpensslPtr<X509> certificate = next_certificate(from)) {
            if (::X509_STORE_add_cert(store, certificate.get()) != 1) {
                refuse("ca", options.ca, openssl_error());
            }
            ++count;
        }
        if (!at_end()) {
            refuse("ca", options.ca, openssl_error());
        }
        if (count == 0) {
            refuse("ca", options.ca, "it has no certificate in PEM");
        }
    }

    void present(const TlsOptions& options, const TlsFiles& files) {
        const OpensslPtr<BIO> chain = reader(files.certificate);
        const OpensslPtr<X509> own = next_certificate(chain);
        if (!own || ::SSL_CTX_use_certificate(context_.get(), own.get()) != 1) {
            refuse("certificate", options.certificate, openssl_error());
        }
        while (OpensslPtr<X509> between = next_certificate(chain)) {
            if (::SSL_CTX_add_extra_chain_cert(context_.get(), between.get()) != 1) {
                refuse("certificate", options.certificate, openssl_error());
            }
            static_cast<void>(between.release());  // it is the context's now
        }
        if (!at_end()) {
            refuse("certificate", options.certificate, openssl_error());
        }
        const OpensslPtr<BIO> from = reader(files.key);
        const OpensslPtr<EVP_PKEY> key{
            ::PEM_read_bio_PrivateKey(from.get(), nullptr, &no_passphrase, nullptr)};
        if (!key) {
            refuse("key", options.key, "no private key in PEM without a passphrase");
        }
        if (::SSL_CTX_use_PrivateKey(context_.get(), key.get()) != 1) {
            refuse("key", options.key, openssl_error());
        }
    }

    OpensslPtr<SSL_CTX> context_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_TLS_TLS_CONTEXT_HPP

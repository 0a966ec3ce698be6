// SPDX-License-Identifier: MIT

/// @file
/// Handles of OpenSSL's things, and its errors as text.

#ifndef LARDER_REDIS_DETAIL_TLS_OPENSSL_HPP
#define LARDER_REDIS_DETAIL_TLS_OPENSSL_HPP

#include <larder/version.hpp>

#include <memory>
#include <string>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

LARDER_NS_BEGIN

namespace redis::detail {

/// Frees what OpenSSL has made.
struct OpensslFree {
    void operator()(SSL_CTX* context) const noexcept { ::SSL_CTX_free(context); }
    void operator()(SSL* session) const noexcept { ::SSL_free(session); }
    void operator()(BIO* bio) const noexcept { ::BIO_free(bio); }
    void operator()(X509* certificate) const noexcept { ::X509_free(certificate); }
    void operator()(EVP_PKEY* key) const noexcept { ::EVP_PKEY_free(key); }
};

/// Owns one of them.
template <class T>
using OpensslPtr = std::unique_ptr<T, OpensslFree>;

/// What OpenSSL says went wrong in this thread, of which it then knows nothing any more.
[[nodiscard]] inline std::string openssl_error() {
    const unsigned long code = ::ERR_get_error();
    ::ERR_clear_error();
    const char* const reason = ::ERR_reason_error_string(code);
    return reason != nullptr ? reason : "no reason given";
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_TLS_OPENSSL_HPP

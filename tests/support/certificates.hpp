// SPDX-License-Identifier: MIT

/// @file
/// Certificates of a test's own, as files of PEM.

#ifndef LARDER_TESTS_SUPPORT_CERTIFICATES_HPP
#define LARDER_TESTS_SUPPORT_CERTIFICATES_HPP

#include <larder/redis/detail/tls/openssl.hpp>

#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

namespace larder_test {

/// A certification authority in a temporary folder, and what it has signed.
class Certificates {
    template <class T>
    using Ptr = larder::redis::detail::OpensslPtr<T>;

public:
    /// What a certificate says.
    struct Says {
        std::string names{"DNS:localhost,IP:127.0.0.1"};
        long begins = -3600;  // seconds from now
        long ends = 24 * 3600;
    };

    Certificates() {
        std::string folder = std::filesystem::temp_directory_path() / "larder-tls-XXXXXX";
        if (::mkdtemp(folder.data()) == nullptr) {
            throw std::runtime_error{"no temporary folder"};
        }
        folder_ = folder;
        key_ = make_key("ca");
        ca_ = sign("ca", *key_, {"", -3600, 24 * 3600}, true);
    }
    Certificates(const Certificates&) = delete;
    Certificates& operator=(const Certificates&) = delete;
    ~Certificates() { std::filesystem::remove_all(folder_); }

    [[nodiscard]] std::string folder() const { return folder_; }
    [[nodiscard]] std::string ca() const { return certificate("ca"); }
    [[nodiscard]] std::string certificate(const std::string& of) const {
        return folder_ / (of + ".pem");
    }
    [[nodiscard]] std::string key(const std::string& of) const { return folder_ / (of + ".key"); }

    /// A key, and a certificate of it.
    void make(const std::string& of, const Says& says) {
        const Ptr<EVP_PKEY> key = make_key(of);
        (void)sign(of, *key, says, false);
    }
    void make(const std::string& of) { make(of, Says{}); }

private:
    static void require(bool well) {
        if (!well) {
            throw std::runtime_error{"no certificate: " + larder::redis::detail::openssl_error()};
        }
    }

    template <class Write>
    static void write(const std::string& path, Write&& how) {
        std::FILE* const file = std::fopen(path.c_str(), "w");
        require(file != nullptr);
        const bool well = how(file) == 1;
        require(std::fclose(file) == 0 && well);
    }

    [[nodiscard]] Ptr<EVP_PKEY> make_key(const std::string& of) const {
        EVP_PKEY_CTX* const context = ::EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nullptr);
        EVP_PKEY* made = nullptr;
        const bool well =
            ::EVP_PKEY_keygen_init(context) == 1 &&
            ::EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1 &&
            ::EVP_PKEY_keygen(context, &made) == 1;
        ::EVP_PKEY_CTX_free(context);
        Ptr<EVP_PKEY> key{made};
        require(well);
        write(this->key(of), [&](std::FILE* file) {
            return ::PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
        });
        return key;
    }

    Ptr<X509> sign(const std::string& of, EVP_PKEY& key, const Says& says, bool authority) {
        Ptr<X509> made{::X509_new()};
        require(::X509_set_version(made.get(), 2) == 1);
        ::ASN1_INTEGER_set(::X509_get_serialNumber(made.get()), ++serial_);
        ::X509_gmtime_adj(::X509_getm_notBefore(made.get()), says.begins);
        ::X509_gmtime_adj(::X509_getm_notAfter(made.get()), says.ends);
        require(::X509_set_pubkey(made.get(), &key) == 1);
        ::X509_NAME_add_entry_by_txt(::X509_get_subject_name(made.get()), "CN", MBSTRING_ASC,
                                     reinterpret_cast<const unsigned char*>(of.c_str()), -1, -1, 0);
        X509& issuer = authority ? *made : *ca_;
        require(::X509_set_issuer_name(made.get(), ::X509_get_subject_name(&issuer)) == 1);
        add(*made, issuer, NID_basic_constraints, authority ? "critical,CA:TRUE" : "CA:FALSE");
        if (!says.names.empty()) {
            add(*made, issuer, NID_subject_alt_name, says.names);
        }
        require(::X509_sign(made.get(), authority ? &key : key_.get(), ::EVP_sha256()) > 0);
        write(certificate(of), [&](std::FILE* file) { return ::PEM_write_X509(file, made.get()); });
        return made;
    }

    static void add(X509& to, X509& issuer, int what, const std::string& says) {
        X509V3_CTX context{};
        ::X509V3_set_ctx(&context, &issuer, &to, nullptr, nullptr, 0);
        X509_EXTENSION* const made = ::X509V3_EXT_conf_nid(nullptr, &context, what, says.c_str());
        require(made != nullptr && ::X509_add_ext(&to, made, -1) == 1);
        ::X509_EXTENSION_free(made);
    }

    std::filesystem::path folder_{};
    Ptr<EVP_PKEY> key_{};
    Ptr<X509> ca_{};
    long serial_ = 0;
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_CERTIFICATES_HPP

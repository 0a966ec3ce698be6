# SPDX-License-Identifier: MIT
# An overlay port of this checkout: vcpkg install larder --overlay-ports=cmake/packaging/vcpkg
cmake_path(SET SOURCE_PATH NORMALIZE "${CMAKE_CURRENT_LIST_DIR}/../../../..")
vcpkg_check_features(OUT_FEATURE_OPTIONS options FEATURES
    json LARDER_JSON redis LARDER_REDIS sqlite LARDER_SQLITE tls LARDER_TLS zstd LARDER_ZSTD)
vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}"
    OPTIONS ${options} -DLARDER_BUILD_TESTS=OFF -DLARDER_BUILD_EXAMPLES=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(PACKAGE_NAME larder CONFIG_PATH share/cmake/larder)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")

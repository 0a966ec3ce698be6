# SPDX-License-Identifier: MIT
# Findzstd - zstd::libzstd from upstream's config, or from a bare install: not every distribution ships
# the config. Upstream's names its targets after how they were built; this gives them one name.
include(FindPackageHandleStandardArgs)

find_package(zstd ${zstd_FIND_VERSION} CONFIG QUIET)
if(zstd_CONFIG AND NOT TARGET zstd::libzstd)
    foreach(_zstd_target IN ITEMS zstd::libzstd_shared zstd::libzstd_static)
        if(TARGET ${_zstd_target} AND NOT TARGET zstd::libzstd)
            add_library(zstd::libzstd INTERFACE IMPORTED)
            set_target_properties(zstd::libzstd PROPERTIES INTERFACE_LINK_LIBRARIES ${_zstd_target})
        endif()
    endforeach()
    unset(_zstd_target)
endif()
if(TARGET zstd::libzstd)
    find_package_handle_standard_args(zstd CONFIG_MODE)
    return()
endif()

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
    pkg_check_modules(PC_zstd QUIET libzstd)
endif()
find_path(zstd_INCLUDE_DIR zstd.h HINTS ${PC_zstd_INCLUDEDIR} ${PC_zstd_INCLUDE_DIRS})
find_library(zstd_LIBRARY zstd HINTS ${PC_zstd_LIBDIR} ${PC_zstd_LIBRARY_DIRS})
mark_as_advanced(zstd_INCLUDE_DIR zstd_LIBRARY)
if(zstd_INCLUDE_DIR)
    file(STRINGS "${zstd_INCLUDE_DIR}/zstd.h" _zstd_lines REGEX "^#define ZSTD_VERSION_(MAJOR|MINOR|RELEASE) ")
    list(TRANSFORM _zstd_lines REPLACE "^#define ZSTD_VERSION_[A-Z]+ +([0-9]+).*" "\\1")
    list(JOIN _zstd_lines "." zstd_VERSION)
    unset(_zstd_lines)
endif()
find_package_handle_standard_args(zstd
    REQUIRED_VARS zstd_LIBRARY zstd_INCLUDE_DIR
    VERSION_VAR zstd_VERSION)
if(zstd_FOUND)
    add_library(zstd::libzstd UNKNOWN IMPORTED)
    set_target_properties(zstd::libzstd PROPERTIES
        IMPORTED_LOCATION "${zstd_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${zstd_INCLUDE_DIR}")
endif()

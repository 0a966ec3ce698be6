# SPDX-License-Identifier: MIT
include_guard()

# larder_component(<name> <package> <min-version> <target> <pkg-config module> HEADERS <pattern>...
#                  [EXCEPT <regex>] [NEEDS <component>])
#
# Defines larder::<name>, the headers that need one third-party package, if the package is there (or may
# be fetched), the component that it needs is there, and LARDER_<NAME> is not OFF: then adds <name> to larder_components. In any case sets
# larder_with_<name>, larder_package_of_<name>, larder_headers_of_<name> and larder_below_<name>, which is what
# it needs of larder's own: the core, or a component.
function(larder_component name package version target module)
    cmake_parse_arguments(PARSE_ARGV 5 arg "" "EXCEPT;NEEDS" HEADERS)
    string(TOUPPER ${name} upper)
    set(LARDER_${upper} AUTO CACHE STRING "larder::${name}: ON, OFF, or AUTO (when ${package} is found)")
    set_property(CACHE LARDER_${upper} PROPERTY STRINGS AUTO ON OFF)

    file(GLOB_RECURSE headers RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS ${arg_HEADERS})
    if(arg_EXCEPT)
        list(FILTER headers EXCLUDE REGEX ${arg_EXCEPT})
    endif()
    set(larder_all_components ${larder_all_components} ${name} PARENT_SCOPE)
    set(larder_headers_of_${name} ${headers} PARENT_SCOPE)
    set(larder_package_of_${name} ${package} PARENT_SCOPE)
    set(larder_module_of_${name} ${module} PARENT_SCOPE)
    set(below larder)
    if(arg_NEEDS)
        set(below larder_${arg_NEEDS})
    endif()
    set(larder_below_${name} ${below} PARENT_SCOPE)

    set(found FALSE)
    if(arg_NEEDS AND NOT larder_with_${arg_NEEDS})
        if(NOT LARDER_${upper} MATCHES "^(OFF|AUTO)$")
            message(FATAL_ERROR "LARDER_${upper}=${LARDER_${upper}}, but larder::${name} needs larder::${arg_NEEDS},"
                " which is off")
        endif()
    elseif(NOT LARDER_${upper} STREQUAL "OFF")
        if(NOT TARGET ${target})
            find_package(${package} ${version} QUIET)
        endif()
        if(NOT TARGET ${target} AND LARDER_FETCH_DEPS AND package IN_LIST larder_fetchable)
            larder_fetch(${package})
        endif()
        if(TARGET ${target})
            set(found TRUE)
        elseif(NOT LARDER_${upper} STREQUAL "AUTO")
            message(FATAL_ERROR "LARDER_${upper}=${LARDER_${upper}}, but ${package} >= ${version} was not found:"
                " install it, or turn the component off")
        endif()
    endif()
    message(STATUS "larder::${name}: ${found}")
    set(larder_with_${name} ${found} PARENT_SCOPE)
    if(NOT found)
        return()
    endif()

    add_library(larder_${name} INTERFACE)
    add_library(larder::${name} ALIAS larder_${name})
    set_target_properties(larder_${name} PROPERTIES EXPORT_NAME ${name})
    target_link_libraries(larder_${name} INTERFACE ${below} ${target})
    target_sources(larder_${name} INTERFACE FILE_SET HEADERS BASE_DIRS include FILES ${headers})
    set(larder_components ${larder_components} ${name} PARENT_SCOPE)
endfunction()

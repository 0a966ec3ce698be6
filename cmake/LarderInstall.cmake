# SPDX-License-Identifier: MIT
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(dir ${CMAKE_INSTALL_DATADIR}/cmake/larder)  # arch-independent, so share/ not lib/

# One export set for the core and one a component: who uses the core alone needs nothing else installed.
install(TARGETS larder EXPORT larderTargets FILE_SET HEADERS)
install(EXPORT larderTargets NAMESPACE larder:: DESTINATION ${dir})
set(larder_component_packages "")
set(larder_components_below "")
foreach(component IN LISTS larder_components)
    install(TARGETS larder_${component} EXPORT larder_${component}Targets FILE_SET HEADERS)
    install(EXPORT larder_${component}Targets NAMESPACE larder:: DESTINATION ${dir})
    list(APPEND larder_component_packages ${larder_package_of_${component}})
    list(APPEND larder_components_below ${larder_below_${component}})
endforeach()

configure_package_config_file(cmake/larderConfig.cmake.in larderConfig.cmake INSTALL_DESTINATION ${dir})
write_basic_package_version_file(larderConfigVersion.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
file(GLOB find_modules CONFIGURE_DEPENDS cmake/modules/Find*.cmake)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/larderConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/larderConfigVersion.cmake
              ${find_modules} DESTINATION ${dir})
configure_file(cmake/larder.pc.in larder.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/larder.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
foreach(component IN LISTS larder_components)
    set(module ${larder_module_of_${component}})
    string(REPLACE _ - below ${larder_below_${component}})
    configure_file(cmake/larder-component.pc.in larder-${component}.pc @ONLY)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/larder-${component}.pc
            DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
endforeach()

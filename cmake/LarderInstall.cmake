# SPDX-License-Identifier: MIT
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(dir ${CMAKE_INSTALL_DATADIR}/cmake/larder)  # arch-independent, so share/ not lib/
install(TARGETS ${larder_targets} EXPORT larderTargets FILE_SET HEADERS)
install(EXPORT larderTargets NAMESPACE larder:: DESTINATION ${dir})
configure_package_config_file(cmake/larderConfig.cmake.in larderConfig.cmake INSTALL_DESTINATION ${dir})
write_basic_package_version_file(larderConfigVersion.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/larderConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/larderConfigVersion.cmake DESTINATION ${dir})
configure_file(cmake/larder.pc.in larder.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/larder.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)

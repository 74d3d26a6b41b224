# `cmake --install`, and find_package(blackbox_am) for those who use the installed library.

include(CMakePackageConfigHelpers)

set(config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/blackbox_am")
install(TARGETS blackbox_am blackbox_am_protos EXPORT blackbox_am-targets
        ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY include/blackbox_am DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(DIRECTORY "${generated_dir}/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/blackbox_am_protos"
        FILES_MATCHING PATTERN "*.h")
install(EXPORT blackbox_am-targets NAMESPACE blackbox_am:: DESTINATION "${config_dir}")

configure_package_config_file(cmake/blackbox_am-config.cmake.in
  "${CMAKE_CURRENT_BINARY_DIR}/blackbox_am-config.cmake" INSTALL_DESTINATION "${config_dir}")
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/blackbox_am-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/blackbox_am-config.cmake"
              "${CMAKE_CURRENT_BINARY_DIR}/blackbox_am-config-version.cmake"
        DESTINATION "${config_dir}")

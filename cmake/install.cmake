# One export set per component, so that the core's package file mentions no other library.
include(CMakePackageConfigHelpers)

# Nothing here depends on the processor, so the package files go where architecture-independent data goes.
set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/prefer")

function(prefer_install target component)
  install(TARGETS ${target} EXPORT prefer-${component}-targets
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  install(EXPORT prefer-${component}-targets NAMESPACE prefer:: DESTINATION "${package_dir}")
endfunction()

prefer_install(prefer core)
get_property(components GLOBAL PROPERTY PREFER_COMPONENTS)
set(prefer_component_table "set(prefer_components ${components})\n")
foreach(component IN LISTS components)
  prefer_install(prefer_${component} ${component})
  get_property(packages GLOBAL PROPERTY PREFER_${component}_PACKAGES)
  string(APPEND prefer_component_table "set(prefer_${component}_packages ${packages})\n")
endforeach()

configure_package_config_file(cmake/prefer-config.cmake.in "${PROJECT_BINARY_DIR}/prefer-config.cmake"
  INSTALL_DESTINATION "${package_dir}" NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/prefer-config-version.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
    "${PROJECT_BINARY_DIR}/prefer-config.cmake"
    "${PROJECT_BINARY_DIR}/prefer-config-version.cmake"
    cmake/Armadillo_target.cmake
    cmake/FindCBLAS.cmake
    cmake/Finddnnl.cmake
    cmake/FindNCCL.cmake
    cmake/FindPCRE2.cmake
    cmake/misspelt.cmake
  DESTINATION "${package_dir}")

# For pkg-config, and in the Common Package Specification; both find their own prefix, so that an install can be moved. A package
# of that specification requires what any of its components does, so it describes those that require nothing.
set(pkgconfig_dir "${CMAKE_INSTALL_DATADIR}/pkgconfig")
set(cps_dir "${CMAKE_INSTALL_DATADIR}/cps")
if(IS_ABSOLUTE "${CMAKE_INSTALL_DATADIR}")
  set(pkgconfig_prefix "${CMAKE_INSTALL_PREFIX}")
  set(cps_location "\"prefix\": \"${CMAKE_INSTALL_PREFIX}\"")
else()
  file(RELATIVE_PATH up "/${pkgconfig_dir}" "/")
  set(pkgconfig_prefix "\${pcfiledir}/${up}")
  set(cps_location "\"cps_path\": \"@prefix@/${cps_dir}\"")
endif()
cmake_path(APPEND pkgconfig_includedir "\${prefix}" "${CMAKE_INSTALL_INCLUDEDIR}")
cmake_path(APPEND cps_includedir "@prefix@" "${CMAKE_INSTALL_INCLUDEDIR}")
configure_file(cmake/prefer.pc.in "${PROJECT_BINARY_DIR}/prefer.pc" @ONLY)
configure_file(cmake/prefer.cps.in "${PROJECT_BINARY_DIR}/prefer.cps" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/prefer.pc" DESTINATION "${pkgconfig_dir}")
install(FILES "${PROJECT_BINARY_DIR}/prefer.cps" DESTINATION "${cps_dir}")

install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")

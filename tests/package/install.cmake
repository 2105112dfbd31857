# Installs prefer and then moves the install, so that nothing in it can depend on where it was made.
file(REMOVE_RECURSE "${WORK}/install")
set(made "${WORK}/install/made")
execute_process(COMMAND "${CMAKE_COMMAND}" -S "${SOURCE}" -B "${WORK}/install/build" -G "${GENERATOR}"
  "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_INSTALL_PREFIX=${made}"
  -DPREFER_BUILD_TESTS=OFF -DPREFER_BUILD_EXAMPLES=OFF -DPREFER_BUILD_BENCH=OFF
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${WORK}/install/build" COMMAND_ERROR_IS_FATAL ANY)
file(RENAME "${made}" "${WORK}/install/moved")

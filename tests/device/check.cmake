# cmake -DNVCC=... -DSOURCE=... -DINCLUDES=... -DMODE=... -P check.cmake
#
# Compiles a .cu for devices that need not be here.
#   compiles   it must, for sm_90; nvcc warns of branches that templates do not take
#   runs       it must, for sm_90, and its main returns 0: what it does is on the host
#   refused    line 1 is `// expect: <phrase>`: compilation must fail, and the first error says so. DIALECT stands in for
#              the options that our sources are compiled with
#   clang      CLANG as CUDA's compiler finds no fault in it, for whom a call from device code to a function that is not
#              constexpr is an error; nvcc leaves it out without a word
#   system     what is left of our headers for CUDA is marked as a system's, but to our own builds
#   offload    CLANG makes a device image of what is in OpenMP's target regions, and main returns 0 where a device ran it; the
#              runtime is told not to fall back to the host. -O1, because what is constant must be so in the image: clang 14
#              leaves the library's constants out of it
#   hidden     a shared library made of it must export no kernel
#   calls      the PTX must contain the exponential of the device, ex2; with FLAGS -DLEFT_OUT it must not, or this check
#              could not tell a formula from one whose calls nvcc has dropped
#   budget     what SOURCE costs to compile, in what can be counted: at most LINES percent of the lines of an empty file, and
#              KERNELS kernels for one device
#   kernels    every kernel, at least LEAST, for every architecture of ARCHITECTURES, must keep out of memory: no spills, no
#              stack. What they take is written to TABLE
if(NOT DEFINED DIALECT)
  set(DIALECT -std=c++20 --expt-relaxed-constexpr)
endif()
set(common ${DIALECT} -DPREFER_SHOW_WARNINGS ${INCLUDES})

# FATAL_ERROR would wrap the lines.
function(fail text)
  message(NOTICE "${text}")
  message(FATAL_ERROR "the check failed")
endfunction()

get_filename_component(name "${SOURCE}" NAME_WE)
set(work "${CMAKE_CURRENT_BINARY_DIR}/device.${name}.${MODE}")

if(MODE STREQUAL "compiles" OR MODE STREQUAL "refused")
  execute_process(COMMAND "${NVCC}" ${common} -arch=sm_90 -c "${SOURCE}" -o "${work}.o"
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(MODE STREQUAL "compiles")
    if(NOT result EQUAL 0)
      fail("${SOURCE} must compile, but nvcc says:\n${output}")
    endif()
    return()
  endif()
  file(STRINGS "${SOURCE}" first_line LIMIT_COUNT 1)
  string(REGEX REPLACE "^// expect: " "" phrase "${first_line}")
  string(FIND "${output}" "${phrase}" at)
  string(FIND "${output}" "error" first_error)
  string(LENGTH "${phrase}" length)
  math(EXPR last "${first_error} + 400 + ${length}")
  if(result EQUAL 0 OR at EQUAL -1 OR at GREATER last)
    fail("${SOURCE} must be refused with: ${phrase}\nnvcc says:\n${output}")
  endif()
elseif(MODE STREQUAL "runs")
  execute_process(COMMAND "${NVCC}" ${common} -arch=sm_90 "${SOURCE}" -o "${work}"
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0 OR output MATCHES "warning")
    fail("${SOURCE} must compile without a warning, but nvcc says:\n${output}")
  endif()
  execute_process(COMMAND "${work}" RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    fail("${SOURCE} computes something else than it should:\n${output}")
  endif()
elseif(MODE STREQUAL "clang")
  # Its own headers for CUDA want one that newer toolkits do not have, and that nothing here needs.
  file(WRITE "${work}/texture_fetch_functions.h" "")
  get_filename_component(toolkit "${NVCC}" REALPATH)
  get_filename_component(toolkit "${toolkit}/../.." ABSOLUTE)
  execute_process(COMMAND "${CLANG}" -x cuda --cuda-device-only -fsyntax-only -std=c++20 "--cuda-path=${toolkit}"
      --cuda-gpu-arch=sm_90 -Wno-unknown-cuda-version "-I${work}" "-I${toolkit}/include/cccl" ${INCLUDES} "${SOURCE}"
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    fail("${SOURCE} must be device code to clang too, which says:\n${output}")
  endif()
elseif(MODE STREQUAL "system")
  foreach(flags IN ITEMS "-UPREFER_SHOW_WARNINGS" "-DPREFER_SHOW_WARNINGS")
    execute_process(COMMAND "${NVCC}" ${DIALECT} ${flags} ${INCLUDES} -arch=sm_90 -E "${SOURCE}"
      RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE errors)
    if(NOT result EQUAL 0)
      fail("${SOURCE} must be preprocessed, but nvcc says:\n${errors}")
    endif()
    # A line marker ends in 3 where the text after it is a system's.
    string(REGEX MATCH "# [0-9]+ \"[^\n]*adapters/cuda/kernels\\.cuh\" [ 12]*3" marked "${output}")
    if(flags MATCHES "^-U" AND NOT marked)
      fail("nvcc takes our headers for the user's own, and remarks on them")
    elseif(flags MATCHES "^-D" AND marked)
      fail("warnings of our headers are hidden from our own builds: ${marked}")
    endif()
  endforeach()
elseif(MODE STREQUAL "offload")
  execute_process(COMMAND "${CLANG}" -std=c++20 -O1 -Wall -Wextra -Werror -fopenmp -fopenmp-targets=x86_64-pc-linux-gnu
      ${INCLUDES} "${SOURCE}" -o "${work}"
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    fail("${SOURCE} must compile, but clang says:\n${output}")
  endif()
  execute_process(COMMAND "${CMAKE_COMMAND}" -E env OMP_TARGET_OFFLOAD=MANDATORY "${work}"
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  message(NOTICE "${output}")
  if(NOT result EQUAL 0)
    fail("${SOURCE} must run on a device and give the numbers of the host")
  endif()
elseif(MODE STREQUAL "hidden")
  execute_process(COMMAND "${NVCC}" ${common} -arch=sm_90 -Xcompiler -fPIC -shared "${SOURCE}" -o "${work}.so"
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  find_program(NM NAMES nm REQUIRED)
  execute_process(COMMAND "${NM}" -C "${work}.so" OUTPUT_VARIABLE all)
  execute_process(COMMAND "${NM}" -DC "${work}.so" OUTPUT_VARIABLE exported)
  if(NOT result EQUAL 0 OR NOT all MATCHES "map_records" OR NOT all MATCHES "prefer_cuda_[0-9]+_[0-9]+_[0-9]+_900")
    fail("the library of ${SOURCE} must have a kernel, named after version and device:\n${output}")
  elseif(exported MATCHES "map_records|add_up_blocks")
    fail("${SOURCE} exports a kernel, which another library in the process could take for its own")
  endif()
elseif(MODE STREQUAL "budget")
  file(WRITE "${work}.empty.cu" "")
  foreach(unit IN ITEMS "${work}.empty.cu" "${SOURCE}")
    execute_process(COMMAND "${NVCC}" ${common} -arch=sm_90 -E "${unit}" COMMAND grep -v "^#" COMMAND grep -c "."
      OUTPUT_VARIABLE lines_here OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    list(APPEND lines "${lines_here}")
  endforeach()
  execute_process(COMMAND "${NVCC}" ${common} -arch=sm_90 -ptx "${SOURCE}" -o "${work}.ptx" RESULT_VARIABLE result)
  file(STRINGS "${work}.ptx" entries REGEX "\\.entry")
  list(LENGTH entries kernels)
  list(GET lines 0 empty)
  list(GET lines 1 ours)
  math(EXPR percent "100 * ${ours} / ${empty}")
  message(NOTICE "${SOURCE}: ${ours} lines, ${percent} % of an empty file's; ${kernels} kernels")
  if(NOT result EQUAL 0 OR kernels EQUAL 0 OR percent GREATER LINES OR kernels GREATER KERNELS)
    fail("it may have ${LINES} % of the lines and ${KERNELS} kernels: seconds follow them (docs/performance.md)")
  endif()
elseif(MODE STREQUAL "calls")
  foreach(flags IN ITEMS "" "-DLEFT_OUT")
    execute_process(COMMAND "${NVCC}" ${common} ${flags} -arch=sm_90 -ptx "${SOURCE}" -o "${work}.ptx"
      RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(NOT result EQUAL 0 OR NOT output STREQUAL "")
      fail("${SOURCE} must compile without a word, but nvcc says:\n${output}")
    endif()
    file(READ "${work}.ptx" ptx)
    string(FIND "${ptx}" "ex2" at)
    if(flags STREQUAL "" AND at EQUAL -1)
      fail("the kernel of ${SOURCE} holds no exponential: nvcc dropped a call\n${ptx}")
    elseif(NOT flags STREQUAL "" AND NOT at EQUAL -1)
      fail("a call of a host function is not dropped any more: this check has lost its reason\n${ptx}")
    endif()
  endforeach()
else()
  set(targets "")
  foreach(architecture IN LISTS ARCHITECTURES)
    list(APPEND targets -gencode "arch=compute_${architecture},code=sm_${architecture}")
  endforeach()
  execute_process(COMMAND "${NVCC}" ${common} ${targets} -Xptxas -v -c "${SOURCE}" -o "${work}.o"
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0 OR output MATCHES "warning")
    fail("${SOURCE} must compile without a warning, but nvcc says:\n${output}")
  endif()
  # One line of the report per fact; a kernel's facts follow its name.
  string(REPLACE ";" "," output "${output}")
  string(REGEX MATCHALL "[^\n]+" lines "${output}")
  set(rows "")
  foreach(line IN LISTS lines)
    if(line MATCHES "Compiling entry function '([^']+)' for 'sm_([0-9]+)'")
      set(symbol "${CMAKE_MATCH_1}")
      set(architecture "${CMAKE_MATCH_2}")
    elseif(line MATCHES "([0-9]+) bytes stack frame, ([0-9]+) bytes spill stores, ([0-9]+) bytes spill loads")
      if(NOT "${CMAKE_MATCH_1} ${CMAKE_MATCH_2} ${CMAKE_MATCH_3}" STREQUAL "0 0 0")
        fail("${symbol} for sm_${architecture} goes through memory:\n${line}")
      endif()
    elseif(line MATCHES "Used ([0-9]+) registers")
      list(APPEND rows "${architecture} ${CMAKE_MATCH_1} ${symbol}")
      list(APPEND used_${architecture} "${CMAKE_MATCH_1}")
    endif()
  endforeach()
  list(SORT rows COMPARE NATURAL)
  string(REPLACE ";" "\n" table "${rows}")
  find_program(CXXFILT NAMES c++filt)
  if(CXXFILT)
    file(WRITE "${work}.rows" "${table}\n")
    execute_process(COMMAND "${CXXFILT}" INPUT_FILE "${work}.rows" OUTPUT_VARIABLE table)
    string(REGEX REPLACE "prefer::(cuda::[a-z_0-9]+::|detail::)?" "" table "${table}")
    string(REGEX REPLACE "void |\\([^\n]*" "" table "${table}")
  endif()
  file(WRITE "${TABLE}" "architecture registers kernel\n${table}")
  set(counts "")
  foreach(architecture IN LISTS ARCHITECTURES)
    list(LENGTH used_${architecture} count)
    list(SORT used_${architecture} COMPARE NATURAL)
    list(GET used_${architecture} 0 least)
    math(EXPR middle "${count} / 2")
    list(GET used_${architecture} ${middle} median)
    list(GET used_${architecture} -1 most)
    message(NOTICE "sm_${architecture}: ${count} kernels, registers ${least} to ${most}, median ${median}; no spills")
    list(APPEND counts "${count}")
  endforeach()
  message(NOTICE "registers of each kernel: ${TABLE}")
  list(REMOVE_DUPLICATES counts)
  list(LENGTH counts different)
  if(NOT different EQUAL 1 OR counts LESS LEAST)
    fail("kernels of some architecture are missing: ${counts}")
  endif()
endif()

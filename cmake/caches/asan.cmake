# SPDX-License-Identifier: MIT
# cmake -C cmake/caches/asan.cmake -B build/asan: every test, with AddressSanitizer and UndefinedBehaviorSanitizer.
# By clang++, which takes half of g++'s time for it; by g++ where there is no clang++ with its run-time libraries.
# A report names functions; for its lines, which take a sixth of the time, add -DCMAKE_CXX_FLAGS_DEBUG=-g1.
execute_process(COMMAND sh -c "echo 'int main() {}' | clang++ -fsanitize=address,undefined -x c++ - -o /dev/null"
    RESULT_VARIABLE larder_no_clang OUTPUT_QUIET ERROR_QUIET)
if(larder_no_clang)
    set(CMAKE_CXX_COMPILER g++ CACHE STRING "")
else()
    set(CMAKE_CXX_COMPILER clang++ CACHE STRING "")
endif()
set(CMAKE_CXX_FLAGS_DEBUG "" CACHE STRING "")
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(LARDER_SANITIZE address,undefined CACHE STRING "")
set(LARDER_WERROR ON CACHE BOOL "")
set(LARDER_BUILD_TESTS ON CACHE BOOL "")
set(LARDER_BUILD_EXAMPLES OFF CACHE BOOL "")

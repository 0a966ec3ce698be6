# SPDX-License-Identifier: MIT
# larder_dev: the warnings and sanitizers of our own tests and examples; larder_warnings: without sanitizers.
# Never exported.
include_guard()
add_library(larder_warnings INTERFACE)
target_compile_options(larder_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
    -Wold-style-cast -Woverloaded-virtual -Wnon-virtual-dtor $<$<BOOL:${LARDER_WERROR}>:-Werror>)
add_library(larder_dev INTERFACE)
target_link_libraries(larder_dev INTERFACE larder_warnings)
if(LARDER_SANITIZE)
    target_compile_options(larder_dev INTERFACE -fsanitize=${LARDER_SANITIZE} -fno-omit-frame-pointer
        -fno-sanitize-recover=all)
    if(LARDER_SANITIZE MATCHES "address.*undefined|undefined.*address")
        # A check for each access, a third of the whole build, of which AddressSanitizer makes most.
        target_compile_options(larder_dev INTERFACE -fno-sanitize=null,alignment,vptr)
    endif()
    target_link_options(larder_dev INTERFACE -fsanitize=${LARDER_SANITIZE})
endif()

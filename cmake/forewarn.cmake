# How this project's folders become libraries, tests, benches and fuzz targets.
#
# fw_library(name DEPS ...)  src/<name>/**/*.c (and .cpp) -> static library fw_<name>. A folder without sources gives
#                            an interface library, so that the table in CMakeLists.txt stays whole.
# fw_embed(name folder)      the files below <folder> as constant data of fw_<name>.
# A source named *_avx2.c or *_avx512.c is compiled for that set; it is reached through a table chosen at start only.

set(FW_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wdouble-promotion -Wvla -Wundef -Wwrite-strings
    -Wcast-qual -Wformat=2 -Wimplicit-fallthrough)
set(FW_WARNINGS_C -Wstrict-prototypes -Wmissing-prototypes)
set(FW_NUMBERS -ffp-contract=off -fno-math-errno)
set(FW_HARDENING -fstack-protector-strong -fstack-clash-protection -fcf-protection -fno-strict-overflow
    -fno-delete-null-pointer-checks -ftrivial-auto-var-init=zero)

# Assertions stay on in every build: what only this program can do wrong must stop it.
foreach(flags CMAKE_C_FLAGS_RELWITHDEBINFO CMAKE_C_FLAGS_RELEASE CMAKE_CXX_FLAGS_RELWITHDEBINFO CMAKE_CXX_FLAGS_RELEASE)
    string(REPLACE "-DNDEBUG" "" ${flags} "${${flags}}")
endforeach()

add_library(fw_options INTERFACE)
target_include_directories(fw_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_definitions(fw_options INTERFACE _POSIX_C_SOURCE=200809L FW_VERSION="${PROJECT_VERSION}")
target_compile_options(fw_options INTERFACE ${FW_WARNINGS} ${FW_NUMBERS} $<$<COMPILE_LANGUAGE:C>:${FW_WARNINGS_C}>
    $<$<BOOL:${FW_WERROR}>:-Werror>)
if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
    # clang 14 wants this flag beside the option; without it the option is an error.
    target_compile_options(fw_options INTERFACE -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang)
endif()
if(FW_SANITIZE)
    target_compile_options(fw_options INTERFACE -fsanitize=${FW_SANITIZE} -fno-omit-frame-pointer
        -fno-sanitize-recover=all)
    target_link_options(fw_options INTERFACE -fsanitize=${FW_SANITIZE})
    target_compile_definitions(fw_options INTERFACE FW_SANITIZED=1)
else()
    target_compile_options(fw_options INTERFACE ${FW_HARDENING}
        $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE$<SEMICOLON>-D_FORTIFY_SOURCE=3>)
    target_link_options(fw_options INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)
endif()

function(fw_library name)
    cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.c ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
    if(NOT sources)
        add_library(fw_${name} INTERFACE)
        target_link_libraries(fw_${name} INTERFACE fw_options ${ARG_DEPS})
        return()
    endif()
    add_library(fw_${name} STATIC ${sources})
    target_link_libraries(fw_${name} PUBLIC fw_options ${ARG_DEPS})
    foreach(source IN LISTS sources)
        # Kernels are loops over floats: -O3 vectorises what -O2 leaves alone (1.5 times on the plain ones).
        set(options)
        if(source MATCHES "/kernels/" AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
            list(APPEND options -O3)
        endif()
        if(source MATCHES "_avx2\\.c$")
            list(APPEND options -mavx2 -mfma)
        elseif(source MATCHES "_avx512\\.c$")
            list(APPEND options -mavx2 -mfma -mavx512f -mavx512bw -mavx512dq -mavx512vl)
        endif()
        if(options)
            set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${options}")
        endif()
    endforeach()
endfunction()

# The files below `folder` become part of fw_<name> (tools/embed.py).
function(fw_embed name folder)
    find_package(Python3 REQUIRED COMPONENTS Interpreter)
    file(GLOB_RECURSE files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*)
    set(source ${CMAKE_BINARY_DIR}/${name}_embedded.c)
    add_custom_command(OUTPUT ${source}
        COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/tools/embed.py ${CMAKE_SOURCE_DIR}/${folder} ${source}
        DEPENDS ${CMAKE_SOURCE_DIR}/tools/embed.py ${files}
        VERBATIM)
    target_sources(fw_${name} PRIVATE ${source})
endfunction()

function(fw_program name)
    cmake_parse_arguments(ARG "" "DIR" "DEPS" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${ARG_DIR}/*.c)
    if(sources)
        add_executable(${name} ${sources})
        target_link_libraries(${name} PRIVATE fw_options ${ARG_DEPS})
        set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
    endif()
endfunction()

# tests/unit/<folder>/test_*.c links fw_<folder>; tests/{fault,scenario}/test_*.c link the whole daemon. Scripts
# (tests/**/test_*.py, test_*.sh) get the program's path as their first argument. Exit code 77 means "skipped".
function(fw_tests)
    set(everything fw_daemon fw_backfill fw_agent fw_simulate fw_train fw_replay fw_evaluate fw_backtest)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/test_*.c)
    foreach(source IN LISTS sources)
        cmake_path(RELATIVE_PATH source BASE_DIRECTORY ${CMAKE_SOURCE_DIR}/tests OUTPUT_VARIABLE path)
        string(REGEX REPLACE "^unit/" "" target ${path})
        string(REGEX REPLACE "test_(.*)\\.c$" "\\1" target ${target})
        string(REPLACE "/" "_" target "test_${target}")
        string(REGEX REPLACE "^(unit/)?([a-z]+)/.*" "\\2" folder ${path})
        if(path MATCHES "^unit/")
            set(label unit)
            set(libraries fw_${folder})
        else()
            set(label ${folder})
            set(libraries ${everything})
        endif()
        add_executable(${target} ${source})
        target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
        target_link_libraries(${target} PRIVATE fw_options ${libraries} fw::cmocka)
        target_compile_definitions(${target} PRIVATE FW_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
        set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
        add_test(NAME ${target} COMMAND ${target} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
        set_tests_properties(${target} PROPERTIES LABELS ${label} SKIP_RETURN_CODE 77 TIMEOUT 300)
    endforeach()

    find_package(Python3 REQUIRED COMPONENTS Interpreter)
    file(GLOB_RECURSE scripts CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/test_*.py ${CMAKE_SOURCE_DIR}/tests/test_*.sh)
    foreach(script IN LISTS scripts)
        cmake_path(RELATIVE_PATH script BASE_DIRECTORY ${CMAKE_SOURCE_DIR}/tests OUTPUT_VARIABLE path)
        string(REGEX REPLACE "test_(.*)\\.(py|sh)$" "\\1" name ${path})
        string(REPLACE "/" "_" name "script_${name}")
        string(REGEX REPLACE "/.*" "" label ${path})
        if(script MATCHES "\\.py$")
            set(interpreter ${Python3_EXECUTABLE} -B)
        else()
            set(interpreter bash)
        endif()
        add_test(NAME ${name} COMMAND ${interpreter} ${script} $<TARGET_FILE:forewarn>
            WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
        set_tests_properties(${name} PROPERTIES LABELS ${label} SKIP_RETURN_CODE 77 TIMEOUT 300)
    endforeach()
    add_test(NAME layers COMMAND ${Python3_EXECUTABLE} -B tools/check_layers.py WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
endfunction()

# bench/bench_*.c, all by the target "benches"; not part of "all".
function(fw_benches)
    add_custom_target(benches)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/bench_*.c)
    foreach(source IN LISTS sources)
        cmake_path(GET source STEM target)
        file(STRINGS ${source} wants_jansson REGEX "#include <jansson.h>")
        if(wants_jansson AND NOT TARGET PkgConfig::FW_jansson)
            continue()
        endif()
        add_executable(${target} EXCLUDE_FROM_ALL ${source})
        add_dependencies(benches ${target})
        target_link_libraries(${target} PRIVATE fw_options fw_daemon fw_backfill fw_agent fw_simulate fw_train fw_replay fw_evaluate fw_backtest)
        if(wants_jansson)
            target_link_libraries(${target} PRIVATE PkgConfig::FW_jansson)
        endif()
        set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
    endforeach()
endfunction()

# Comparisons are not traced in base: its loops look at every byte of every input, and a third to a half of the time went into telling
# the fuzzer of each. Edges are counted as everywhere, and what memcmp() and strcmp() compare is seen.
#
# fuzz/fuzz_<folder>_<name>.c links fw_<folder>; its corpus is fuzz/corpus/<folder>_<name>, past crashes in fuzz/crashes.
function(fw_fuzzers)
    target_compile_options(fw_base PRIVATE -fno-sanitize-coverage=trace-cmp)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/fuzz/fuzz_*.c)
    foreach(source IN LISTS sources)
        cmake_path(GET source STEM target)
        string(REGEX REPLACE "^fuzz_([a-z]+)_.*" "\\1" folder ${target})
        add_executable(${target} ${source})
        target_link_libraries(${target} PRIVATE fw_options fw_${folder})
        target_compile_options(${target} PRIVATE -fsanitize=fuzzer)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer)
        set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
    endforeach()
endfunction()

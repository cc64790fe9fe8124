# The parts of the extension that need no PostgreSQL, as libraries: unit tests and benchmarks link them.
include_guard(GLOBAL)
get_filename_component(KOMBO_SOURCES ${CMAKE_CURRENT_LIST_DIR}/../src ABSOLUTE)

file(GLOB KOMBO_PROTOCOL_SOURCES CONFIGURE_DEPENDS ${KOMBO_SOURCES}/kombo/*.cpp)
add_library(kombo_protocol STATIC ${KOMBO_PROTOCOL_SOURCES})
# Only src itself: time.h and error.h in src/kombo would hide the C library's.
target_include_directories(kombo_protocol PUBLIC ${KOMBO_SOURCES})
target_link_libraries(kombo_protocol PUBLIC curl jansson simdjson crypto)

file(GLOB KOMBO_CORE_SOURCES CONFIGURE_DEPENDS ${KOMBO_SOURCES}/syncer/*.cpp)
add_library(kombo_core STATIC ${KOMBO_CORE_SOURCES})
target_link_libraries(kombo_core PUBLIC kombo_protocol)

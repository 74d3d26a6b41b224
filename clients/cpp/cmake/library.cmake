# The library. Its version is that of the project; the API's is MAJOR.MINOR of it.

add_library(blackbox_am
  src/artifacts.cpp src/ask_tell.cpp src/asking.cpp src/catalog.cpp src/chunks.cpp src/client.cpp
  src/client_name.cpp src/connection.cpp src/crc32c.cpp src/descriptions.cpp src/events.cpp
  src/interrupt.cpp src/observing.cpp src/oracle_server.cpp src/oracle_service.cpp src/pem.cpp
  src/progress.cpp src/reconnecting.cpp src/rendering.cpp src/specs.cpp src/status.cpp
  src/study.cpp src/teller.cpp src/tensor.cpp src/units.cpp src/values.cpp src/watch.cpp)
add_library(blackbox_am::blackbox_am ALIAS blackbox_am)
set_target_properties(blackbox_am PROPERTIES VERSION ${PROJECT_VERSION}
                      SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
target_compile_features(blackbox_am PUBLIC cxx_std_20)
target_compile_definitions(blackbox_am PUBLIC
  BLACKBOX_AM_VERSION="${PROJECT_VERSION}"
  BLACKBOX_AM_API_VERSION="${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}")
target_include_directories(blackbox_am
  PUBLIC "$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>"
         "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>"
  PRIVATE src)
target_link_libraries(blackbox_am PUBLIC blackbox_am_protos Threads::Threads)

# What our own code is compiled with, here and in the programs.
add_library(blackbox_am_warnings INTERFACE)
target_compile_options(blackbox_am_warnings INTERFACE -Wall -Wextra -Werror)
if(BLACKBOX_AM_SANITIZE)
  target_compile_options(blackbox_am_warnings INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g)
  target_link_options(blackbox_am_warnings INTERFACE -fsanitize=address,undefined)
endif()
target_link_libraries(blackbox_am PRIVATE "$<BUILD_INTERFACE:blackbox_am_warnings>")

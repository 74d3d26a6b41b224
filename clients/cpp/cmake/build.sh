#!/bin/sh
# Builds the library, the examples, the tests and the conformance driver in build/. The number of
# jobs is BUILD_JOBS; one where it is unset: the generated code takes much memory.
set -e
cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DBLACKBOX_AM_TESTS=ON
cmake --build build --parallel "${BUILD_JOBS:-1}"

#!/bin/sh
# Says in one line which Debian package is missing, and fails then.
missing=""
for pair in grpcpp/grpcpp.h:libgrpc++-dev google/protobuf/message.h:libprotobuf-dev \
            openssl/ssl.h:libssl-dev nlohmann/json.hpp:nlohmann-json3-dev; do
    echo "#include <${pair%%:*}>" | ${CXX:-g++} -E -x c++ - >/dev/null 2>&1 ||
        missing="$missing ${pair##*:}"
done
[ -z "$missing" ] && exit 0
echo "missing headers: apt-get install$missing"
exit 1

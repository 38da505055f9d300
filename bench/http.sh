#!/bin/sh
# Requests per second and latencies of the HTTP server, measured with wrk (Debian package wrk) on the same machine:
#   bench/http.sh BUILD_DIR [SECONDS] [CONNECTIONS]
# One line per case: name, requests/s, p50 and p99 in milliseconds, server CPU in microseconds per request. The client
# shares the cores with the server, so trust ratios: "bare" is libmicrohttpd with nothing of ours, in the same run.
set -eu
build=${1:?usage: bench/http.sh BUILD_DIR [SECONDS] [CONNECTIONS]}
seconds=${2:-5}
connections=${3:-64}
program=$build/bench/bench_http_static
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

to_ms() { # wrk prints 812.00us, 1.20ms, 1.01s
    echo "$1" | awk '/us$/ { print $1 / 1000; next } /ms$/ { print $1 + 0; next } { print $1 * 1000 }'
}

measure() { # name, path, program's argument, wrk's arguments...
    name=$1 path=$2 argument=$3
    shift 3
    rm -f "$dir/in" "$dir/out"
    mkfifo "$dir/in"
    "$program" $argument <"$dir/in" >"$dir/out" &
    pid=$!
    exec 3>"$dir/in"
    while ! [ -s "$dir/out" ]; do sleep 0.05; done
    url=http://127.0.0.1:$(head -n 1 "$dir/out")$path
    wrk -t2 -c"$connections" -d1s "$@" "$url" >/dev/null
    wrk -t2 -c"$connections" -d"${seconds}s" --latency "$@" "$url" >"$dir/wrk"
    exec 3>&-
    wait "$pid"
    rate=$(awk '/^Requests\/sec/ { print $2 }' "$dir/wrk")
    total=$(awk '/requests in/ { print $1 }' "$dir/wrk")
    cpu=$(tail -n 1 "$dir/out" | awk -v n="$total" -v s="$seconds" '{ printf "%.1f", $1 / (n * (s + 1) / s) * 1e6 }')
    printf '%-24s %10.0f req/s  p50 %7.2f ms  p99 %7.2f ms  cpu %6s us\n' "$name" "$rate" \
        "$(to_ms "$(awk '$1 == "50%" { print $2 }' "$dir/wrk")")" \
        "$(to_ms "$(awk '$1 == "99%" { print $2 }' "$dir/wrk")")" "$cpu"
    awk '/Non-2xx|Socket errors/ { print "    " $0 }' "$dir/wrk"
}

measure "bare libmicrohttpd" / --bare
measure "small GET" /small ""
measure "small GET, with a key" /small bench-key-0123456789 -H "X-API-Key: bench-key-0123456789"
measure "304 of the megabyte" /big "" -H 'If-None-Match: W/"bench-1"'
measure "megabyte, gzip" /big "" -H 'Accept-Encoding: gzip'
measure "megabyte, plain" /big ""

#!/bin/sh
# Has libFuzzer try to break what reads the bytes of others: each target of fuzz/ for a while, on
# stable Rust, without cargo-fuzz. What it finds is put into fuzz/seeds/<target>/, which every run of
# the tests goes through: mend, and commit both.
#
#   --seconds N    for each target (60)
#   --only NAME    this target; more than once for several
#   --jobs N       as many at once (1)
set -eu
cd "$(dirname "$0")/.."

seconds=60
only=
jobs=1
while [ $# -gt 0 ]; do
    case ${2+$1} in
    --seconds) seconds=$2 ;;
    --only) only="$only $2" ;;
    --jobs) jobs=$2 ;;
    *)
        echo "not understood: $*"
        echo "  help: scripts/fuzz.sh [--seconds N] [--only NAME]... [--jobs N]"
        exit 64
        ;;
    esac
    shift 2
done

targets=$(cd fuzz/seeds && echo *)
for name in $only; do
    if [ ! -d "fuzz/seeds/$name" ]; then
        echo "there is no target $name"
        echo "  help: it is one of $targets"
        exit 64
    fi
done
[ -z "$only" ] || targets=$only

# What cargo-fuzz asks of the compiler, less the address sanitizer: no unsafe code is in here, and
# that one takes a nightly compiler. A target is named so that build scripts are built as ever.
host=$(rustc -vV | sed -n 's/^host: //p')
flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
flags="$flags -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
flags="$flags -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS=$flags ${CARGO:-cargo} build --release --locked --manifest-path fuzz/Cargo.toml \
    --target "$host" --target-dir target/fuzz
built=target/fuzz/$host/release

# One target. What it learns stays in target/, so that the next run begins where this one ended.
try() {
    name=$1
    learnt=target/fuzz/learnt/$name
    found=target/fuzz/found/$name
    mkdir -p "$learnt" "$found"
    case $name in
    # Whole files. The setup of a Vorbis stream alone may be 5 kB.
    vorbis | mp3) longest=16384 ;;
    *) longest=4096 ;;
    esac
    "$built/$name" "$learnt" "fuzz/seeds/$name" -fork=0 -max_total_time="$seconds" \
        -max_len="$longest" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 \
        -print_final_stats=1 -artifact_prefix="$found/" >"$found.log" 2>&1 || {
        echo "$name: found something:"
        grep -a -A 4 "panicked at\|ERROR: libFuzzer" "$found.log" | head -20
        for input in "$found"/*; do
            [ -f "$input" ] || continue
            cp "$input" "fuzz/seeds/$name/"
            echo "  now in fuzz/seeds/$name/$(basename "$input")"
        done
        echo "  help: $built/$name FILE runs it once; the whole story is in $found.log"
        rm -f "$found"/*
        return 1
    }
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$found.log")
    cover() { grep -a "$1" "$found.log" | "$2" -n 1 | sed -n 's/.* cov: \([0-9]*\) ft: \([0-9]*\).*/\1 (\2)/p'; }
    echo "$name: $runs runs, edges (features) $(cover INITED head) -> $(cover DONE tail)"
}

running=0
bad=0
pids=
for name in $targets; do
    try "$name" &
    pids="$pids $!"
    running=$((running + 1))
    if [ "$running" -ge "$jobs" ]; then
        for pid in $pids; do wait "$pid" || bad=1; done
        pids=
        running=0
    fi
done
for pid in $pids; do wait "$pid" || bad=1; done
exit "$bad"

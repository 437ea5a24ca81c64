#!/bin/sh
# Writes contrib/link/functions.txt: the functions of the release binary in the order of their use.
# build.rs hands the list to the linker. To be made anew when the compiler or the dependencies
# change. Needs valgrind; takes some minutes.
set -eu
cd "$(dirname "$0")/.."

list=contrib/link/functions.txt
work=$PWD/target/order
rm -rf "$work"
mkdir -p "$work"

# The very flags of the release, but with its names.
cargo rustc --release --locked --bin siskin -- -C strip=none
# A traced program that starts its own file anew would start the tracer: it is led to a link (of a name
# as long) which the walk makes.
sed 's|/proc/self/exe|./order-engine|g' target/release/siskin > "$work/siskin"
chmod +x "$work/siskin"
rm target/release/siskin
cargo test --locked --test it --no-run

# Every piece of code is named when it is run for the first time; nothing else is done to it. The
# daemon is the first process: its pages are wanted in both.
SISKIN_BIN="$work/siskin" scripts/as-root.sh env \
    SISKIN_TRACER="valgrind -q --tool=none --trace-children=yes --demangle=no --vex-guest-chase=no
        --trace-notbelow=0 --trace-flags=00000010 --log-file=$work/walk.%p" \
    cargo test --locked --test it -- --ignored --test-threads 1 tour::
{
    for walk in $(ls -tr --time=birth "$work"/walk.*); do
        sed -nE 's/^==== SB .*\] 0x[0-9a-f]+ ([^ (]+) .*siskin-under-test.*/\1/p' "$walk"
    done | sed -E 's/\+[0-9]+$//' | grep -v UNKNOWN_FUNCTION
    # What a newer processor than valgrind's uses instead.
    nm --defined-only "$work/siskin" | awk '{print $3}' \
        | grep -E 'sha(256|512)_block_data_order|_gcm_|aes_hw|digest_blocks|pclmulqdq|_adx$|bn_(mul|sqr)x|aes_gcm|4aead3gcm' || true
    # The loader's door, and what only a kernel newer than valgrind knows leads to.
    echo _start
    nm --defined-only "$work/siskin" | awk '{print $3}' | grep -E 'pidfd_reaper|io12registration12Registration|4task3raw7dealloc' || true
} | awk '!seen[$0]++' > "$work/list"

count=$(wc -l < "$work/list")
if [ "$count" -lt 1000 ]; then
    echo "only $count functions were seen; see $work"
    exit 1
fi
mv "$work/list" "$list"
echo "$count functions in $list; the next build goes by them"

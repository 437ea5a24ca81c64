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
mv target/release/siskin "$work/siskin"
cargo test --locked --test it --no-run

# The daemon first: its pages are wanted in both processes.
for who in daemon engine; do
    SISKIN_BIN="$work/siskin" scripts/as-root.sh env \
        SISKIN_TRACER="valgrind -q --tool=callgrind --demangle=no --callgrind-out-file=$work/$who.%p" \
        cargo test --locked --test it -- --ignored --exact "tour::the_${who}_walks_through_its_life"
    # A function is written as "fn=(7) name" the first time, by its number afterwards.
    cat "$work/$who".* | sed -nE "s/^c?fn=\([0-9]+\) ([^' ]+).*/\1/p"
done | grep -E '^(_ZN|_R)' | awk '!seen[$0]++' > "$work/list" || true

count=$(wc -l < "$work/list")
if [ "$count" -lt 1000 ]; then
    echo "only $count functions were seen; see $work"
    exit 1
fi
mv "$work/list" "$list"
echo "$count functions in $list; the next build goes by them"

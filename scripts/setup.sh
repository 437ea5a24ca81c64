#!/bin/sh
# Brings a Debian-like machine to where siskin builds (and with "test": to where its tests run).
# With "fuzz": to where libFuzzer builds. With "chaos": to where everything can be broken that make chaos breaks.
# Installs what is missing, says so first, and does nothing where nothing is missing.
set -eu

build="gcc libc6-dev pkg-config libasound2-dev ca-certificates"
tests="alsa-utils libasound2-plugins pulseaudio pulseaudio-utils iproute2 systemd util-linux procps dbus playerctl"
tests="$tests mosquitto mosquitto-clients"
tests="$tests shellcheck python3-prometheus-client"
tests="$tests chromium chromium-driver"
tests="$tests python3 python3-venv"
# A clock that can be set, a firewall, another responder for mDNS, and what makes a process that runs
# exit or panic.
chaos="faketime nftables avahi-daemon gdb binutils"

# libFuzzer is C++.
fuzz="g++"

packages=$build
case ${1:-build} in
test) packages="$build $tests" ;;
chaos) packages="$build $tests $chaos" ;;
fuzz) packages="$build $fuzz" ;;
esac

missing=
if command -v dpkg-query >/dev/null; then
    for package in $packages; do
        state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
        case $state in
        "install ok installed") ;;
        *) missing="$missing $package" ;;
        esac
    done
else
    # Not Debian: the two things without which nothing builds.
    for tool in cc pkg-config; do
        command -v "$tool" >/dev/null || missing="$missing $tool"
    done
    if [ -z "$missing" ] && ! pkg-config --exists alsa; then
        missing=" alsa-lib (with its headers)"
    fi
    if [ -n "$missing" ]; then
        echo "missing:$missing"
        echo "  help: install them with this system's package manager, then run make again"
        exit 1
    fi
fi

if [ -n "$missing" ]; then
    sudo=
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "missing packages:$missing"
            echo "  help: as root: apt-get install$missing"
            exit 1
        fi
        sudo=sudo
    fi
    echo "installing:$missing"
    # The lists of a fresh machine may be old or empty. Nothing is removed to make room.
    # One list of words on purpose.
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive sh -c '
        set -- -q install -y --no-install-recommends --no-remove "$@"
        apt-get "$@" 2>/dev/null || { apt-get -q update && apt-get "$@"; }' install $missing || {
        echo "apt could not install:$missing"
        echo "  help: see what it said above; it may not remove anything by itself"
        exit 1
    }
fi

# What tries the API out, in an environment of its own below target/.
fuzzer="schemathesis==4.32.5"
venv="$(dirname "$0")/../target/fuzzer"
if [ "${1:-build}" = test ] && [ "$(cat "$venv/is" 2>/dev/null || true)" != "$fuzzer" ]; then
    echo "installing: $fuzzer (into target/fuzzer)"
    rm -rf "$venv"
    mkdir -p "$(dirname "$venv")"
    if ! python3 -m venv "$venv" || ! "$venv/bin/pip" install -q --disable-pip-version-check "$fuzzer"; then
        echo "pip could not install $fuzzer"
        echo "  help: see what it said above; it needs python3-venv and the package index"
        exit 1
    fi
    echo "$fuzzer" >"$venv/is"
fi

# The edition and the dependencies need this much.
needed=89
if ! command -v cargo >/dev/null && [ -r "$HOME/.cargo/env" ]; then
    echo "cargo is installed, but not on the PATH"
    echo "  help: . ~/.cargo/env"
    exit 1
fi
version=$(cargo --version 2>/dev/null | cut -d' ' -f2 || true)
minor=$(echo "$version" | cut -d. -f2)
if [ "${minor:-0}" -lt "$needed" ]; then
    echo "siskin needs cargo 1.$needed or later; this machine has ${version:-none}"
    if command -v rustup >/dev/null; then
        echo "  help: rustup update stable"
    else
        echo "  help: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . ~/.cargo/env"
    fi
    exit 1
fi

#!/bin/sh
# Runs a command as root, or as the root of a user namespace of its own: tests make networks.
set -eu

if [ "$(id -u)" -eq 0 ]; then
    exec "$@"
fi
if unshare --map-root-user --mount true 2>/dev/null; then
    exec unshare --map-root-user --mount "$@"
fi
echo "the tests make networks of their own, which this kernel allows to root only"
echo "  help: run make test as root, or allow user namespaces:"
echo "        sudo sysctl kernel.unprivileged_userns_clone=1          (Debian)"
echo "        sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0  (Ubuntu)"
exit 1

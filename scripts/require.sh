#!/usr/bin/env bash
# Makes sure that the programs named are installed: as root on Debian it installs them, elsewhere it says what is missing.
#
#     scripts/require.sh python mariadb kafka
set -euo pipefail

# mariadb-server-core is mariadb-server without the system service: nothing is started on the machine.
declare -A packages=(
    [python]="python3 python3-venv"
    [mariadb]="mariadb-server-core mariadb-client-core"
    [chromium]="chromium"
    [kafka]="default-jre-headless maven"
    [softhsm]="softhsm2"
    [faketime]="libfaketime"
)

on_path() { PATH="$PATH:/usr/sbin" command -v "$1" >/dev/null; }

has() {
    case $1 in
        python) "${PYTHON:-python3}" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ;;
        mariadb) on_path mariadbd && on_path mariadb-install-db ;;
        chromium) on_path chromium ;;
        kafka) on_path java && on_path mvn ;; # Kafka itself comes as jars, by Maven
        faketime) compgen -G "/usr/lib/*/faketime/libfaketimeMT.so.1" >/dev/null ;;
        softhsm) on_path softhsm2-util ;;
    esac
}

for name in "$@"; do
    if has "$name"; then continue; fi
    if [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
        echo "installing ${packages[$name]} ..." >&2
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ${packages[$name]}; } >/dev/null
    fi
    if ! has "$name"; then
        echo "error: missing $name" >&2
        echo "hint: install it, as with: apt-get install ${packages[$name]}" >&2
        exit 1
    fi
done

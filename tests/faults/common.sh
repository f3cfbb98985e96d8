# shellcheck shell=sh disable=SC2034
# What the fault tests share: a folder that goes away, runs with their output
# kept, results as TAP.  Called as: TEST WOODSHED FIXTURES

set -u
woodshed=$(realpath "$1")
fixtures=$(realpath "$2")
scratch=$(mktemp -d "${TMPDIR:-/tmp}/woodshed-faults.XXXXXX") || exit 99
mounted=''
server=''
trap 'finish 99' INT TERM HUP
export WOODSHED_LIBRARY="$scratch/library"
export LC_ALL=C
export HF_HOME="$scratch/huggingface"
unset NO_COLOR TERM XDG_DATA_HOME HF_TOKEN HF_ENDPOINT
n_tests=0
n_failed=0

finish()
{
	[ -z "$mounted" ] || umount "$mounted"
	[ -z "$server" ] || kill "$server"
	rm -rf "$scratch"
	exit "$1"
}

done_testing()
{
	echo "1..$n_tests"
	finish "$((n_failed > 0))"
}

skip_all()
{
	echo "1..0 # SKIP $1"
	finish 0
}

# check NAME COMMAND...: one result; on failure, what the last run said.
check()
{
	n_tests=$((n_tests + 1))
	name=$1
	shift
	if "$@"; then
		echo "ok $n_tests - $name"
	else
		n_failed=$((n_failed + 1))
		echo "not ok $n_tests - $name"
		echo "failed: $*" | sed 's/^/# /'
		echo "# status $status"
		sed 's/^/# out: /' "$scratch/out" | head -n 20
		sed 's/^/# err: /' "$scratch/err" | head -n 20
	fi
}

# skip NAME REASON: a check that cannot be made here.
skip()
{
	n_tests=$((n_tests + 1))
	echo "ok $n_tests - $1 # SKIP $2"
}

# run COMMAND...: keeps $status, $scratch/out and $scratch/err.
run()
{
	status=0
	"$@" >"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
}

render()
{
	run "$woodshed" render "$@"
}

status_is()
{
	[ "$status" = "$1" ]
}

# One line on stderr, beginning with our name and holding $1.
says()
{
	[ "$(wc -l <"$scratch/err")" = 1 ] && grep -q '^woodshed: ' "$scratch/err" &&
		grep -qF -e "$1" "$scratch/err"
}

# Exit status $1 and the words $2.
fails_with()
{
	status_is "$1" && says "$2" && [ ! -s "$scratch/out" ]
}

succeeds()
{
	status_is 0 && [ ! -s "$scratch/err" ]
}

# $1 holds nothing, hidden or not, but the names that follow.
holds_only()
{
	held=$1
	shift
	[ "$(ls -A "$held")" = "$(if [ $# -gt 0 ]; then printf '%s\n' "$@"; fi)" ]
}

same()
{
	cmp -s "$1" "$2"
}

# The same, but for what the recipe says.
same_samples()
{
	[ -s "$1" ] && [ -s "$2" ] && python3 -c '
import struct, sys

def samples(path):
    data, at = open(path, "rb").read(), 12
    while data[at:at + 4] != b"data":
        size = struct.unpack_from("<I", data, at + 4)[0]
        at += 8 + size + size % 2
    return data[at:]

sys.exit(samples(sys.argv[1]) != samples(sys.argv[2]))' "$1" "$2"
}

differ()
{
	[ -s "$1" ] && [ -s "$2" ] && ! cmp -s "$1" "$2"
}

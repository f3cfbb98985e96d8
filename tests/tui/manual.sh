#!/bin/sh
# The manual's keys, commands and settings are those of the tables.
#	manual.sh PRINT-KEYS WOODSHED.1 [--update]
set -eu
begin='.\" Begin of what tests/tui/manual.sh writes.'
end='.\" End of it.'
new=$(mktemp)
trap 'rm -f "$new"' EXIT
{
	sed '/^\.\\" Begin of what/,$d' "$2"
	echo "$begin"
	"$1"
	sed -n '/^\.\\" End of it\./,$p' "$2"
} >"$new"
grep -qF "$end" "$new" || { echo "no line '$end' in $2" && exit 1; }
if [ "${3:-}" = --update ]; then
	cat "$new" >"$2"
fi
diff -u "$2" "$new"
# What a reader of mdoc(7) complains of, but for lines as long as ours and manuals not yet installed.
if command -v mandoc >/dev/null; then
	! mandoc -T lint "$2" 2>/dev/null | grep -v 'longer than 80 bytes\|referenced manual not found'
fi

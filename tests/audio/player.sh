#!/bin/sh
# The player on devices that come and go: test-audio-player on a server of its own.
# Called as: TEST WOODSHED FIXTURES PROGRAM
# shellcheck source=tests/audio/common.sh
. "$(dirname "$0")/common.sh"

start_server
SERVER_PID=$server "$3" 2>"$scratch/err"
status=$?
[ $status = 0 ] || sed 's/^/# err: /' "$scratch/err"
end_server
finish "$status"

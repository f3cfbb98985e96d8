# shellcheck shell=sh disable=SC2034,SC2154,SC2317
# What the tests of the workstation share, beside common.sh and tmux.sh, which it reads:
# settings of its own, a library with a model, what is typed on the `:` line.
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/../faults/common.sh"
command -v tmux >/dev/null 2>&1 || skip_all 'there is no tmux'
# shellcheck source=tests/tui/tmux.sh
. "$(dirname "$0")/tmux.sh"

export XDG_CONFIG_HOME="$scratch/config"
# Not libgpm, which ncurses loads for TERM=linux: it loses ten bytes.
export NCURSES_GPM_TERMS=none
status=0
child=''
: >"$scratch/err"

# $child: a process of the test that must not outlive it.
finish()
{
	end_tmux
	[ -z "$child" ] || kill "$child" 2>/dev/null
	rm -rf "$scratch"
	exit "$1"
}

# The library gets the model `mono`, which is the default.
install_mono()
{
	mkdir -p "$WOODSHED_LIBRARY/models"
	cp -r "$fixtures/mono" "$WOODSHED_LIBRARY/models/mono"
	"$woodshed" models --default mono >/dev/null
}

# No sound from this test; the clock runs without a device.
no_sound()
{
	export ALSA_CONFIG_PATH="$scratch/asound.conf" PULSE_SERVER=none JACK_DEFAULT_SERVER=none
	echo 'pcm.!default { type hw card 99 }' >"$ALSA_CONFIG_PATH"
}

# command_line TEXT: on the `:` line.
command_line()
{
	keys :
	typed "$1"
	keys Enter
}

# Esc, and nothing at once with it, which would be Alt.
escape()
{
	keys Escape
	sleep 0.2
}

# soon COMMAND...: true within half a minute.
soon()
{
	i=0
	until "$@"; do
		i=$((i + 1))
		[ $i -lt 600 ] || return 1
		sleep 0.05
	done
}

# shows_row PATTERN: a line of the screen is like that.
shows_row()
{
	t capture-pane -p -t t >"$scratch/out" && grep -qE -- "$1" "$scratch/out"
}

shows_no()
{
	t capture-pane -p -t t >"$scratch/out" && ! grep -qF -- "$1" "$scratch/out"
}

# The screen without a text, within half a minute.
sees_no()
{
	soon shows_no "$1"
}

# elsewhere SQL...: what another workstation does; what it reads.
elsewhere()
{
	python3 -c '
import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("PRAGMA foreign_keys = ON")
for sql in sys.argv[2:]:
    for row in c.execute(sql):
        print(*row)' "$WOODSHED_LIBRARY/library.db" "$@"
}

# lock: another program writes to the library, until unlock.
lock()
{
	[ -p "$scratch/held" ] || mkfifo "$scratch/held"
	: >"$scratch/lock" # what was said the last time
	python3 -c '
import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
try:
    c.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError:
    sys.exit(print("refused", flush=True))
print("locked", flush=True)
open(sys.argv[2]).read()
c.execute("ROLLBACK")' "$WOODSHED_LIBRARY/library.db" "$scratch/held" >"$scratch/lock" &
	child=$!
	until grep -q locked "$scratch/lock"; do
		if grep -q refused "$scratch/lock"; then # somebody has had it for five seconds
			wait "$child"
			child=''
			return 1
		fi
		sleep 0.05
	done
}

# freeze PID: stops a program, but not where it would keep all others from the database.
freeze()
{
	kill -STOP "$1"
	until lock; do
		kill -CONT "$1"
		sleep 0.1
		kill -STOP "$1"
	done
	unlock
}

unlock()
{
	: >"$scratch/held"
	wait "$child"
	child=''
	rm "$scratch/held"
}

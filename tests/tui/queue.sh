#!/bin/sh
# The queue's screen: order, holds, pauses, failures; and what else goes on while the
# database is another program's, or the worker stands still.
#	queue.sh WOODSHED FIXTURES
# shellcheck disable=SC2317,SC2086 # functions are called by check
# shellcheck source=tests/tui/screen.sh
. "$(dirname "$0")/screen.sh"

# Sound to nowhere: plug-ins of ALSA that find no server keep what they have allocated.
export ALSA_CONFIG_PATH="$scratch/asound"
printf 'pcm.null { type null }\npcm.!default { type null }\n' >"$ALSA_CONFIG_PATH"

# row PATTERN: a line of the screen is like that, within half a minute.
row()
{
	soon shows_row "$1"
}

# state ID STATE
state()
{
	row "^ *$1 $2 "
}

shows_order()
{
	t capture-pane -p -t t >"$scratch/out" &&
		[ "$(grep -oE '^ +[0-9]+ (waiting|held)' "$scratch/out" | awk '{ print $1 }' | tr '\n' ' ')" = "$*" ]
}

# order ID ID...: jobs stand below one another in this order.
order()
{
	soon shows_order "$@"
}

# Its error is longer than a line.
gone='gone-and-not-seen-again-by-anybody-who-was-asked'

worker_pid()
{
	pgrep -f "woodshed-engine.*--library $WOODSHED_LIBRARY worker" | head -n 1
}

works_another()
{
	pid_now=$(worker_pid)
	[ -n "$pid_now" ] && [ "$pid_now" != "$1" ]
}

install_mono
cp -r "$fixtures/mono" "$WOODSHED_LIBRARY/models/$gone"

# ---- order ------------------------------------------------------------------------

start 80 24
sees 'No takes yet'
keys 3
check 'nothing is queued' sees 'Nothing is queued'
keys p
check 'paused' sees '[paused]'
for prompt in one two three four; do
	"$woodshed" queue -m mono -s 0.2 "$prompt" >/dev/null
done
check 'four wait' sees ' Queue  4 to do'
check 'in their order' order 1 2 3 4 ''
keys g g J
check 'one later' order 2 1 3 4 ''
keys u
check 'taken back' order 1 2 3 4 ''
keys C-r
check 'and done again' order 2 1 3 4 ''
keys J J
check 'and to the end' order 2 3 4 1 ''
keys K
check 'one earlier' order 2 3 1 4 ''
keys g K
check 'the first' order 1 2 3 4 ''
keys g J
check 'the last' order 2 3 4 1 ''
keys H
check 'held' state 1 held
keys g g j
command_line 'priority 5'
check 'a higher priority goes first' order 3 2 4 1 ''
keys j j x
check 'cancelled' state 4 cancelled
check 'and said' sees 'cancelled · u takes it back'
keys u
check 'in its place again' order 3 2 4 1 ''
check 'and said' sees 'taken back: cancelled job 4'
keys C-r
check 'cancelled again' state 4 cancelled

# ---- at work ------------------------------------------------------------------------

keys p
check 'those that wait are done' state 2 'done'
check 'both' state 3 'done'
check 'the held one is not' state 1 held
keys g g H
check 'until it is released' state 1 'done'
command_line 'hide-ended'
check 'nothing is left to see' sees 'Nothing is queued'
command_line 'show-ended'
check 'and again' state 1 'done'
keys g g Enter
check 'Enter: its take in the library' sees '3 takes'
check 'is the one under the cursor' sees '─ one'

# ---- what fails -----------------------------------------------------------------------

keys 3 p
check 'paused again' sees '[paused]'
"$woodshed" queue -m "$gone" -s 0.2 'a choir' >/dev/null
rm -r "$WOODSHED_LIBRARY/models/$gone"
keys p
check 'a job that fails' state 5 failed
keys g g
check 'says why' sees "no model '$gone"
check 'all of it, and what to do' sees 'these: mono'
keys g g Enter
check 'its log' sees ' Job 5'
check 'tells all of it' sees 'R on the queue'
keys q
check 'back' sees ' Queue  0 to do'
keys 1
check 'a row in the library' sees '✗ a choir'
keys g g
check 'with what to do' sees 'R queues it again'
check 'and why, all of it' sees 'these: mono'
keys D
check 'and why it has no take' sees 'a job that failed has no take'
cp -r "$fixtures/mono" "$WOODSHED_LIBRARY/models/$gone"
keys R
check 'done the second time' sees ' 4 takes'

# ---- others are in the way --------------------------------------------------------------

# The database is locked: keys go on, and what they change comes.
lock
keys g g f 3 1 '?' q /
typed choir
check 'a filter while it is locked' sees ' 1 of 4 '
keys Escape
unlock
check 'the change comes' sees 'favourite: 1 take'

# A worker that stands still, then dies.
model=starter
"$woodshed" queue -m starter -s 20 --count 2 'a long one' >/dev/null 2>&1 || {
	model=mono
	"$woodshed" queue -m mono -s 20 --count 8 'a long one' >/dev/null
}
keys 3
if row ' rendering '; then
	pid=$(worker_pid)
	freeze "$pid"
	check 'what is in memory is told before the first take is there' row "cpu $model "
	keys 1 3 j k
	check 'keys while the worker stands still' sees ' Queue  '
	keys 1
	check 'another screen' sees ' takes'
	# Nobody can be looked for who goes on, while another program writes.
	lock
	kill -KILL "$pid"
	keys 3 1 '?' q 3
	check 'keys while another worker is looked for' sees ' Queue  '
	unlock
	check 'another worker goes on' soon works_another "$pid"
	check 'which is told' sees 'the worker died and is started again'
	check 'with what is left' row ' (rendering|claimed) +a long one'
	keys g g x
	check 'what is at work is asked about' sees 'is at work'
	keys y
	check 'and is stopped' row ' cancelled +a long one'
else
	skip 'a worker that stands still' 'it was too quick'
fi

keys Q
check 'Q leaves' has_left 0
check 'nothing on stderr' test ! -s "$scratch/err"
done_testing

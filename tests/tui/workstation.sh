#!/bin/sh
# The workstation as somebody uses it, inside tmux: a first take from a prompt,
# the list, the queue, sizes down to one cell, and every way to end.
#	workstation.sh WOODSHED FIXTURES
# shellcheck disable=SC2317,SC2086 # functions are called by check
# shellcheck source=tests/tui/screen.sh
. "$(dirname "$0")/screen.sh"

install_mono

# ---- a first take ---------------------------------------------------------------

start 80 24
check 'an empty library says what to do' sees 'No takes yet. Press i'
check 'and only what can be done' sees ' i new  q quit   '
keys Space
check 'there is nothing to play' sees 'no take yet that could be played'
keys i
check 'a form to type into' sees '>Prompt'
typed 'slow piano'
check 'what is typed is seen' sees '>Prompt      slow piano'
keys F5
check 'it is queued' sees 'queued as job 1'
keys Escape
check 'the library is shown' sees 'Created'
check 'the take is there' sees ' 1 take'
check 'and can be played' sees ' Space play  i new'
check 'with its prompt and model' sees 'slow piano'
check 'and what it is' sees '32 kHz mono'
check 'and in the library' test "$("$woodshed" takes --json | wc -l)" = 1
keys f
check 'a favourite' sees '  *'
check 'said so' sees 'favourite: 1 take · u takes it back'
keys u
check 'taken back' sees 'taken back: favourite'
keys D
check 'the trash takes it' sees ' 0 takes'
check 'the last one: nothing to play' sees ' i new  q quit   '
keys u
check 'and gives it back' sees ' 1 take'
keys 3
check 'the queue' sees 'done'
keys '?'
check 'the keys of the queue' sees 'cancel the job'
keys q q
keys 1 i
typed 'a b 日本'
keys F5
sees 'queued as job 2' && keys Escape
check 'wide text' sees 'a b 日本'
check 'two takes' sees ' 2 takes'

# ---- the filter -----------------------------------------------------------------

keys /
typed piano
check 'narrows while one types' sees ' 1 of 2 '
keys Escape
check 'as it was, after Esc' sees ' 2 takes'
keys /
typed 'dur>9'
keys Enter
check 'nothing matches' sees 'Nothing matches'
command_line 'save-filter long'
check 'a filter is saved' sees 'saved; F and long'
keys Escape
check 'cleared' sees ' 2 takes'
keys F
check 'which are saved' sees 'saved: long'
typed long
keys Enter
check 'set again' sees 'Nothing matches'
keys Escape
check 'cleared again' sees ' 2 takes'
keys /
typed 'nonsense:3'
check 'a wrong filter is told' sees 'is none of dur rating'
escape
check 'and harmless' sees 'i new'
command_line 'frobnicate'
check 'no such command' sees "there is no command 'frobnicate'"
keys c
check 'a key that does nothing says so' sees 'c does nothing here; ? lists the keys'
keys j
check 'until the next one' sees_no 'does nothing here'
keys '?' x
check 'in the help it is typed' sees ' /x'
keys C-u
check 'and ^U clears that' sees ' Keys and commands'
typed 'keep it'
check 'by the word of the hints' sees ' favourite '
escape
escape

# ---- another program changes the library ------------------------------------------

"$woodshed" render -m mono -s 0.5 'from elsewhere' >/dev/null 2>&1
check 'a take that another program made' sees 'from elsewhere'

# ---- sizes ------------------------------------------------------------------------

for size in '160 48' '40 10' '20 3' '5 2' '1 1' '3 30' '250 5' '80 24'; do
	t resize-window -t t -x "${size% *}" -y "${size#* }"
	keys j k G g g PageDown
	sleep 0.2
done
check 'after all sizes down to one cell' sees ' 3 takes'

# ---- ends -------------------------------------------------------------------------

keys q
check 'q leaves, the terminal is as it was' is_restored 0
check 'nothing on stderr' test ! -s "$scratch/err"

for number in 15 1 2 11; do
	start 80 24
	sees ' 3 takes' && kill -$number "$(workstation_pid)"
	check "the terminal after signal $number" is_restored $((128 + number))
done

start 80 24
sees ' 3 takes' && stty -F "$(t display -p -t t '#{pane_tty}')" isig intr '^C'
keys C-c
check 'Ctrl-C of a terminal that has come back from elsewhere' sees ' 3 takes'
keys ?
check 'ends nothing' sees 'Keys and commands'
keys q Q
check 'and Q leaves' is_restored 0

start 80 24
sees ' 3 takes' && keys C-z
check 'Ctrl-Z' is_restored 148
typed fg
keys Enter
check 'and fg' sees ' 3 takes'
kill -STOP "$(workstation_pid)"
sees Stopped && typed fg && keys Enter
check 'stopped by others: fg draws over what the shell wrote' sees_no Stopped
check 'and gives the terminal back' sees ' 3 takes'
keys Q
check 'Q leaves' is_restored 0

for term in xterm-256color screen linux vt100; do
	start 80 24 $term
	check "TERM=$term" sees ' 3 takes'
	keys Q
	check 'and its end' has_left 0
done
start 80 24 no-such-terminal
check 'an unknown TERM is refused' has_left 1
check 'with a remedy' grep -q TERM "$scratch/err"

start 80 24
sees ' 3 takes' && mv "$WOODSHED_LIBRARY" "$scratch/elsewhere"
check 'a library that is moved away is told' sees 'was moved or removed'
keys Q
check 'and no reason to stay' has_left 0
cp -r "$scratch/elsewhere" "$WOODSHED_LIBRARY"
start 80 24
sees ' 3 takes' && rm -rf "$WOODSHED_LIBRARY"
check 'one that is removed as well' sees 'was moved or removed'
keys i
typed 'into nothing'
keys F5
check 'what is typed stays on the screen' sees 'into nothing'
escape
command_line 'tag lost'
sleep 2 # by then a worker would have been started
keys Q
check 'it still ends' has_left 0
check 'and none is made in its place' test ! -e "$WOODSHED_LIBRARY"
mkdir "$WOODSHED_LIBRARY"
cp -r "$scratch/elsewhere/." "$WOODSHED_LIBRARY"
start 80 24
sees ' 3 takes' && find "$WOODSHED_LIBRARY" -mindepth 1 -delete
check 'nor where its folder is left' sees 'was moved or removed'
keys i
typed 'into nothing'
keys F5 Escape
sleep 2
keys Q
check 'and ends' has_left 0
check 'and nothing is written' test -z "$(find "$WOODSHED_LIBRARY" -name 'library.db')"
rm -rf "$WOODSHED_LIBRARY"
mv "$scratch/elsewhere" "$WOODSHED_LIBRARY"

mkdir "$scratch/aside"
mv "$WOODSHED_LIBRARY"/library.db* "$scratch/aside"
start 80 24
check 'takes whose library is gone are found by their files' \
	sees 'library.db was missing: it was made anew from 3 files'
check 'all of them' sees ' 3 takes'
keys Q
check 'and its end' has_left 0
rm "$WOODSHED_LIBRARY"/library.db*
mv "$scratch/aside"/* "$WOODSHED_LIBRARY"

# ---- what others left ---------------------------------------------------------------

half="$WOODSHED_LIBRARY/takes/.half.wav.0123456789abcdef.tmp"
: >"$half"
start 80 24
check 'half a take of a render that was killed is removed' soon test ! -e "$half"
check 'and nothing else' sees ' 3 takes'
keys Q
has_left 0

# ---- two of them -------------------------------------------------------------------

# Of the one that is seen, until it has the socket.
answers()
{
	i=0
	until "$woodshed" remote 'screen queue' >/dev/null 2>&1 && sees 'done'; do
		i=$((i + 1))
		[ $i -lt 100 ] || return 1
		sleep 0.05
	done
}

for number in 15 9; do
	start 80 24
	sees ' 3 takes'
	first=$(workstation_pid)
	t new-session -d -s second "env TERM=tmux-256color '$woodshed'"
	i=0
	until t capture-pane -p -t second 2>/dev/null | grep -q 'open too; remote goes there'; do
		i=$((i + 1))
		[ $i -lt 200 ] || break
		sleep 0.05
	done
	check 'a second workstation says that remote goes to the first' [ $i -lt 200 ]
	t rename-session -t t first && t rename-session -t second t
	check 'where it goes' "$woodshed" remote 'screen help'
	check 'and not to the second' sees ' 3 takes'
	kill -$number "$first"
	check "after signal $number remote goes to the second" sees 'remote comes here now'
	check 'which does what it is told' answers
done

# ---- a terminal on which nothing can be drawn over ----------------------------------

lacks_escapes()
{
	grep -q 'exit status 3' "$1" && ! grep -qF "$(printf '\033')" "$1"
}

start 80 24 dumb
check 'TERM=dumb: the screen as text' sees '>'
check 'with its list' sees ' 3 takes'
typed '?'
keys Enter
check 'a line may be a key' sees 'Keys and commands'
typed 'close'
keys Enter
typed 'screen queue'
keys Enter
check 'commands line by line' sees 'done'
typed 'keys ?undo'
keys Enter
check 'and keys' sees 'take back what was done last'
typed 'screen library'
keys Enter
sees ' 3 takes'
typed trash
keys Enter
check 'what was done is told at once' sees 'moved 1 take to the trash'
check 'and is in the list' sees ' 2 takes'
t pipe-pane -t t "cat >$scratch/piped"
typed '!echo from a shell; exit 3'
keys Enter
sees '[Enter]'
keys Enter
check 'a command of the shell' sees 'exit status 3'
t pipe-pane -t t
check 'sends no sequences' lacks_escapes "$scratch/piped"
typed quit
keys Enter
check 'and an end' has_left 0

done_testing

#!/bin/sh
# What surrounds the screens: woodshedrc, themes, the socket, the line at the foot,
# clicks, the shell, two columns, doing nothing.
#	frame.sh WOODSHED MAKE-LIBRARY
# shellcheck disable=SC2317,SC2086 # functions are called by check
# shellcheck source=tests/tui/screen.sh
. "$(dirname "$0")/screen.sh"
make_library=$(realpath "$2")

export HOME="$scratch/home" XDG_STATE_HOME="$scratch/state"
export XDG_RUNTIME_DIR="$scratch/run" SHELL=/bin/sh
mkdir -p "$scratch/home" "$scratch/run" "$scratch/bin" "$scratch/config/woodshed/themes"
# Alone: nothing is rendered without woodshed-engine beside it.
cp "$woodshed" "$scratch/bin/woodshed"
woodshed=$scratch/bin/woodshed
rc=$scratch/config/woodshed/woodshedrc
"$make_library" "$WOODSHED_LIBRARY" full || finish 99

remote()
{
	run "$woodshed" remote "$@"
}

answers()
{
	remote "$@"
	status_is 0
}

refuses()
{
	text=$1
	shift
	remote "$@"
	fails_with 1 "$text"
}

# hostile: what python3 sends is answered by that.
hostile()
{
	python3 -c '
import glob, os, socket, sys
path = [p for p in glob.glob(os.environ["XDG_RUNTIME_DIR"] + "/woodshed/*") if not p.endswith("lock")]
s = socket.socket(socket.AF_UNIX)
s.connect(path[0])
s.sendall(eval(sys.argv[1]))
print(s.recv(4096).decode())' "$1" >"$scratch/out" 2>"$scratch/err"
	grep -qF -- "$2" "$scratch/out"
}

is_back()
{
	sees '60 takes'
}

# click BUTTON COLUMN LINE, from 1, as terminals send it by SGR.
click()
{
	typed "$(printf '\033[<%d;%d;%dM\033[<%d;%d;%dm' "$1" "$2" "$3" "$1" "$2" "$3")"
}

# ---- woodshedrc ------------------------------------------------------------------

cat >"$rc" <<'END'
# keys
map library x screen setup   # not a comment: it is the command's
map any X screen queue
unmap any u
frobnicate
set columns perhaps
set volume 40 # a comment
quit
END
printf 'map any <F9> screen help\n\377\n' >"$scratch/more"
start 80 24 xterm-256color
check 'a wrong line is told by file and number' sees 'woodshedrc:5 (the first of 3 wrong lines): a line begins with'
keys X
check 'a mapped key' sees '[paused]'
keys 1
sees '60 takes' && keys '?'
sees 'Keys and commands' && typed 'screen'
check 'is in the help' sees 'X'
escape
typed 'cancel'
check 'what is of another screen, by its name' sees 'queue: cancel the job'
keys Enter
check 'is not run, but shown there' sees 'here, x: cancel the job'
keys 1
is_back && keys u
sleep 0.2
check 'an unmapped key does nothing' is_back
answers set volume
check 'what comes after a wrong line is read' grep -q 'volume is 40' "$scratch/out"
check 'source: a line that is no text' refuses 'more:2: the line is no text' source "$scratch/more"
keys F9
check 'and the one before is done' sees 'Keys and commands'
keys q
check 'a file that is not there' refuses 'cannot read' source /nowhere
printf 'source %s\n' "$scratch/self" >"$scratch/self"
check 'a file that sources itself' refuses 'sources itself' source "$scratch/self"
printf 'map any x keys x\n' >"$rc"
answers reload
keys x
check 'keys that type themselves' sees 'type themselves'
printf '# mine\nset volume 10\nmap any X screen queue\n' >"$rc"
answers reload
answers set mouse off
check 'settings are saved' answers save-settings
check 'beside what else is in the file' test "$(cat "$rc")" = '# mine
map any X screen queue
set mouse off
set volume 10'
: >"$rc"
answers reload

# ---- themes ----------------------------------------------------------------------

printf '[theme]\nname = mine\ntext = #ffffff on #101010\n' \
	>"$scratch/config/woodshed/themes/mine.theme"
printf '[theme]\nname = bad\nrow.playing = mauve\n' \
	>"$scratch/config/woodshed/themes/bad.theme"
check "a user's theme" answers theme mine
remote screendump "$scratch/dump"
check 'is seen at once' grep -q '48;5;233' "$scratch/dump"
check 'a bad theme names file, line and role' refuses 'bad.theme, line 3: row.playing' theme bad
remote screendump "$scratch/dump"
check 'and leaves the default' sh -c "! grep -q '48;5;233' '$scratch/dump'"
answers screen setup
check 'which Setup says' sees 'cannot be used, the default is; r says why'
answers screen library
check 'no such theme' refuses "theme" theme ../../../etc/passwd
answers theme default
keys C-t
check '^T: the next' sees 'theme '
answers theme default

# ---- the socket ------------------------------------------------------------------

check 'status is JSON' sh -c "'$woodshed' remote status | python3 -m json.tool >/dev/null"
check 'a command that fails' refuses 'there is no command' frobnicate
check 'a negative number' answers move -3
remote 'move 1
quit'
check 'more than a line' fails_with 2 'a command is one line'
check 'control characters' hostile 'b"filter \x1b[31mred\n"' '1 a command holds no control'
check 'no UTF-8' hostile 'b"filter \xff\n"' '1 a command is UTF-8'
check 'too long' hostile 'b"x" * 5000' '1 the command is too long'
check 'no escape comes back' hostile '"filter \u009b31m\n".encode()' '0 '
remote clear
python3 -c '
import glob, os, socket, time
path = [p for p in glob.glob(os.environ["XDG_RUNTIME_DIR"] + "/woodshed/*") if not p.endswith("lock")][0]
idle = [socket.socket(socket.AF_UNIX) for i in range(20)]
for s in idle: s.settimeout(1); s.connect(path)
' 2>/dev/null
check 'those who say nothing keep nobody out' answers status
check 'nobody else may talk to it' \
	test "$(find "$scratch/run/woodshed" -type s -perm 600 | wc -l)" = 1
kill -9 "$(workstation_pid)"
has_left 137
check 'nobody is there' refuses 'no workstation has this library open' status
start 80 24 xterm-256color
check 'what a dead one left is replaced' sees '60 takes'
check 'and answers' answers status

# ---- the line at the foot --------------------------------------------------------

keys :
typed 'sor'
keys Tab
check 'completion of a command' sees ':sort'
typed 'rating'
keys Enter
check 'and the command is done' sees 'takes  best'
keys :
typed 'set mo'
keys Tab
check 'completion of an argument' sees ':set mouse'
keys C-c
check '^C leaves the line' sees 'i new'
keys :
keys Up
check 'history' sees ':sort rating'
keys C-c
keys g
sees 'go to the first row'
check 'a chord shows how it may go on' sees 'go to the first row'
keys C-c
check '^C leaves it' is_back
keys S
check 'another one' sees 'sort newest'
escape
check 'Esc leaves it' is_back
check 'and says nothing' sees_no 'does nothing here'
keys Q
has_left 0
start 80 24 xterm-256color
is_back && keys : Up
check 'history is kept' sees ':sort rating'
keys C-c

# ---- clicks ----------------------------------------------------------------------

click 0 25 1
check 'a tab' sees '[paused]'
click 0 3 1
is_back && click 0 10 8
remote screendump "$scratch/dump"
check 'a row' sh -c "sed -n 8p '$scratch/dump' | grep -q '7m'"
click 65 10 8
click 65 10 8
check 'the wheel' sees 'choir'
keys g
sees 'go to the first row'
line=$(grep -n 'race-sheet' "$scratch/out" | cut -d : -f 1)
click 0 10 "$line"
check 'a row of the menu of a chord' sees 'No race yet'
keys 1
is_back && keys g
click 0 25 1
sees '[paused]' && keys t
sleep 0.2
check 'a click elsewhere leaves the chord' sees '[paused]'
keys 1
is_back
click 0 78 24
check 'a hint' sees 'Keys and commands'
keys q
is_back && keys /
sees 'heard  -heard'
click 0 42 24
check 'a word that a filter may have' sees '/heard'
click 0 31 24
check 'and one more' sees '/heard fav'
keys C-c
is_back
# ---- a filter that is typed while somebody else goes elsewhere --------------------

keys /
typed cho
sees '/cho'
answers screen trash
typed ir
check 'it is typed on' sees '/choir'
keys C-c
check 'the trash is shown' sees ' Trash'
check 'which has no filter' sees_no choir
keys 1
check 'nor has the library' is_back

# ---- the shell -------------------------------------------------------------------

is_back && keys '!'
typed 'echo out of the shell'
keys Enter
check 'the shell runs it' sees 'out of the shell'
keys Enter
check 'and the screen is back' is_back
command_line '!exit 3'
sees '[Enter]' && keys C-c
keys Enter
check 'what became of it' sees 'exit status 3'

# ---- leaving, and two columns ----------------------------------------------------

answers screen queue
keys p
sleep 0.5
keys 1
is_back && keys q
check 'q asks while jobs are left' sees 'in the background; leave? (y or n)'
keys n
check 'no' is_back
t resize-window -t t -x 160 -y 48
check 'two columns' sees 'newest x'
keys Tab
answers status
check 'Tab moves the focus' grep -q '"screen": "listen"' "$scratch/out"
keys BTab
answers status
check 'and S-Tab back' grep -q '"screen": "library"' "$scratch/out"
keys Tab Tab
answers status
check 'the queue beside the library' grep -q '"screen": "queue"' "$scratch/out"
keys L
sees ' Job '
keys q
check 'from a log back to both' sees 'newest x'
answers status
check 'and to the queue' grep -q '"screen": "queue"' "$scratch/out"
keys BTab BTab
t resize-window -t t -x 80 -y 24
answers screen queue
keys p
answers screen library
sleep 2

# ---- notices -----------------------------------------------------------------------

command_line 'set volume'
check 'a notice' sees 'volume is 10'
sleep 5.5
check 'stays while nothing is done' sees 'volume is 10'
keys j
check 'and goes with the next key after a while' sees_no 'volume is 10'

# ---- nothing -----------------------------------------------------------------------

switches()
{
	awk '/voluntary_ctxt/ {n += $2} END {print n}' "/proc/$(workstation_pid)/status"
}

is_idle()
{
	before=$(switches)
	sleep 3
	[ -n "$before" ] && [ "$(switches)" = "$before" ]
}

check 'idle: it does not wake up' is_idle
keys Q
check 'Q leaves without a question' is_restored 0

done_testing

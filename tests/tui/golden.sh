#!/bin/sh
# Every screen and overlay, as it must look: compared exactly with golden/.
#	golden.sh WOODSHED MAKE-LIBRARY ON-PTY GOLDEN [--update]
#
# A screen more is a line in `screens` below; --update writes what is missing or has
# changed, to be looked at before it is committed.
# shellcheck disable=SC2317 # functions are called by check
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/../faults/common.sh"
# common.sh takes two arguments of its own
make_library=$(realpath "$2")
on_pty=$(realpath "$3")
golden=$(realpath "$4")
update=${5:-}
export LC_ALL=C.UTF-8 TZ=UTC HOME="$scratch/home" XDG_RUNTIME_DIR="$scratch/run"
export XDG_CONFIG_HOME="$scratch/config" XDG_STATE_HOME="$scratch/state"
unset COLORTERM TERMINFO TERMINFO_DIRS TMUX SHELL
# No sound: the clock runs without a device.
export ALSA_CONFIG_PATH="$scratch/asound.conf" PULSE_SERVER=none JACK_DEFAULT_SERVER=none
echo 'pcm.!default { type hw card 99 }' >"$ALSA_CONFIG_PATH"
mkdir -p "$scratch/run" "$scratch/home"
status=0
: >"$scratch/err"
: >"$scratch/out"
running=''

# name: library, size, terminal, then the commands that lead there, divided by ';'; `wait
# TEXT` until the screen has it.  What is played is paused at a fixed moment.
screens()
{
	for size in 80x24 160x48; do
		cat <<-END
			library-empty-$size: empty $size 256
			library-$size: full $size 256 last; move -3
			library-wide-$size: wide $size 256
			library-filter-$size: full $size 256 filter cello
			queue-empty-$size: empty $size 256 screen queue
			queue-$size: full $size 256 screen queue
			queue-wide-$size: wide $size 256 screen queue
			compare-empty-$size: empty $size 256 screen compare
			race-empty-$size: empty $size 256 screen race
			triage-empty-$size: empty $size 256 triage
			setup-$size: full $size 256 screen setup
			help-$size: full $size 256 screen help
			command-$size: full $size 256 command sort rating
			error-$size: full $size 256 frobnicate
			chord-$size: full $size 256 set chord-menu 1; keys g
			completion-$size: full $size 256 keys :set<Space>c<Tab>
			help-filter-$size: full $size 256 keys ?undo
			prompt-$size: full $size 256 keys islow<Space>jazz
		END
	done
	for size in 40x10 20x3 10x2; do
		cat <<-END
			library-$size: full $size 256 move 2
			library-wide-$size: wide $size 256
			queue-$size: full $size 256 screen queue
			setup-$size: full $size 256 screen setup
			help-$size: full $size 256 screen help
			command-$size: full $size 256 command sort rating
		END
	done
	for size in 80x24 160x48 40x10; do
		cat <<-END
			listen-$size: sound $size 256 move 1; screen listen
			listen-paused-$size: sound $size 256 move 1; play; wait ▶ slow; play; wait ‖ slow; seek-to 2; loop-start; seek-to 4.5; loop-end; seek-to 3; screen listen
			listen-zoomed-$size: sound $size 256 move 1; screen listen; scale mel; colours viridis; zoom 4
			compare-$size: sound $size 256 screen race; compare; wait ▶ slow; play; wait ‖ slow; seek-to 5
			race-$size: sound $size 256 screen race; move 1
			triage-$size: sound $size 256 triage; wait ▶ slow; play; wait ‖ slow; seek-to 7
		END
	done
	for colors in mono 8 16 rgb plain; do
		echo "listen-$colors: sound 80x24 $colors move 1; screen listen"
	done
	echo "listen-quadrant: sound 80x24 rgb move 1; screen listen; glyphs quadrant"
	for colors in mono 8 16 rgb; do
		cat <<-END
			library-$colors: full 80x24 $colors move 2
			queue-$colors: full 80x24 $colors screen queue
			setup-$colors: full 80x24 $colors screen setup
		END
	done
	for theme in dark light gruvbox nord solarized-dark solarized-light high-contrast mono; do
		echo "theme-$theme: full 80x24 rgb theme $theme; move 2"
	done
	echo "library-focus-160x48: full 160x48 256 pane 1"
	echo "library-plain: full 160x48 plain move 2"
}

# open LIBRARY SIZE COLOURS: the workstation, on a terminal that nobody sees.
open_workstation()
{
	export WOODSHED_LIBRARY="$scratch/$1"
	options=''
	unset NO_COLOR COLORTERM
	export TERM=xterm-256color
	case $3 in
	mono) export NO_COLOR=1 ;;
	8) export TERM=xterm ;;
	16) export TERM=xterm-16color ;;
	rgb) export COLORTERM=truecolor ;;
	plain) options=--plain ;;
	esac
	# shellcheck disable=SC2086 # one option or none
	"$on_pty" "$2" "$woodshed" $options >"$scratch/out" 2>"$scratch/err" &
	running=$!
	i=0
	until "$woodshed" remote status >"$scratch/out" 2>&1; do
		i=$((i + 1))
		[ $i -lt 200 ] || return 1
		sleep 0.05
	done
}

remote()
{
	# shellcheck disable=SC2086 # words
	"$woodshed" remote $1 >"$scratch/out" 2>&1 || :
}

# wait_for TEXT: until the screen has it, five seconds at most
wait_for()
{
	i=0
	while [ $i -lt 100 ]; do
		rm -f "$scratch/dump"
		remote "screendump $scratch/dump"
		! grep -qaF -- "$1" "$scratch/dump" || return 0
		i=$((i + 1))
		sleep 0.05
	done
}

close_workstation()
{
	remote quit
	wait "$running"
	running=''
}

# Paths of this run, and the version, are not what is compared.
settle()
{
	sed -e "s|$scratch|/scratch|g" "$1"
}

compare()
{
	settle "$scratch/dump" >"$scratch/settled"
	if [ "$update" = --update ] && ! cmp -s "$scratch/settled" "$golden/$1.txt"; then
		cp "$scratch/settled" "$golden/$1.txt"
	fi
	diff -a "$golden/$1.txt" "$scratch/settled" >"$scratch/out" 2>&1
}

# show LIBRARY SIZE COLOURS COMMANDS NAME
show()
{
	rm -rf "$scratch/dump" "$scratch/config" "$scratch/state"
	if [ "$1" = sound ]; then # what was heard there is remembered
		rm -rf "$scratch/sound"
		cp -r "$scratch/sound.new" "$scratch/sound"
	fi
	open_workstation "$1" "$2" "$3" || return 1
	rest=$4
	while [ -n "$rest" ]; do
		case $rest in
		'wait '*) wait_for "$(echo "${rest%%; *}" | cut -d ' ' -f 2-)" ;;
		*) remote "${rest%%; *}" ;;
		esac
		case $rest in
		*'; '*) rest=${rest#*; } ;;
		*) rest='' ;;
		esac
	done
	# What a thread counts, such as tokens, may come a moment later.
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		rm -f "$scratch/dump"
		remote "screendump $scratch/dump"
		settle "$scratch/dump" | cmp -s - "$golden/$5.txt" && break
		sleep 0.1
	done
	close_workstation
	[ -s "$scratch/dump" ]
}

finish()
{
	[ -z "$running" ] || kill "$running" 2>/dev/null
	rm -rf "$scratch"
	exit "$1"
}

for library in empty full wide sound; do
	"$make_library" "$scratch/$library" $library || finish 99
done
mv "$scratch/sound" "$scratch/sound.new"
# Debian's xterm-16color is in ncurses-term, which need not be there.
mkdir -p "$HOME/.terminfo"
printf '%s\n' 'xterm-16color|x, colors#16, pairs#256, setab=\E[%?%p1%{8}%<%t%p1%{40}%+%e%p1%{92}%+%;%dm, setaf=\E[%?%p1%{8}%<%t%p1%{30}%+%e%p1%{82}%+%;%dm, use=xterm-256color,' >"$scratch/16.ti"
tic -x -o "$HOME/.terminfo" "$scratch/16.ti" || skip_all 'there is no tic'

screens >"$scratch/screens"
while read -r name library size colors commands; do
	name=${name%:}
	if show "$library" "$size" "$colors" "$commands" "$name"; then
		check "$name" compare "$name"
	else
		check "$name is shown" false
	fi
done <"$scratch/screens"

# Nothing that no line asks for.
for file in "$golden"/*.txt; do
	name=$(basename "$file" .txt)
	grep -q "^$name:" "$scratch/screens" || check "$name.txt is of no screen" false
done

done_testing

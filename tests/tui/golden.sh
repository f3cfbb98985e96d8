#!/bin/sh
# Every screen and overlay, as it must look: compared exactly with golden/.
#	golden.sh WOODSHED MAKE-LIBRARY ON-PTY GOLDEN [--update] [--only PATTERN] [--part I/N]
#
# A screen more is a line in `screens` below; --update writes what is missing or has
# changed, to be looked at before it is committed.  --only: screens whose names match;
# --part: every N-th of them, from the I-th on, for those who have several processors.
# shellcheck disable=SC2317 # functions are called by check
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/../faults/common.sh"
# common.sh takes two arguments of its own
make_library=$(realpath "$2")
on_pty=$(realpath "$3")
golden=$(realpath "$4")
shift 4
update='' only='' part=1/1
while [ $# -gt 0 ]; do
	case $1 in
	--update) update=yes ;;
	--only) shift && only=$1 ;;
	--part) shift && part=$1 ;;
	esac
	shift
done
# For a screen to be as it must, a tenth of a second each.
tries=${update:+10}
tries=${tries:-100}
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
worker=''
# A path that no screen's width depends on.
cd "$scratch" || finish 99
export WOODSHED_LIBRARY=library

# name: library, size, terminal, then the commands that lead there, divided by ';'; `wait
# TEXT` until the screen has it.  What is played is paused at a fixed moment.
screens()
{
	# Once it is heard, then no more.
	slow='wait ▶ slow; play; wait ‖ slow' wide='wait ▶ 日; play; wait ‖ 日'
	for size in 80x24 160x48; do
		cat <<-END
			library-empty-$size: empty $size 256
			library-$size: full $size 256 last; move -3
			library-wide-$size: wide $size 256
			library-details-$size: made $size 256 move 3
			library-filter-$size: full $size 256 filter cello
			library-nothing-$size: full $size 256 filter nonesuch
			library-wrong-$size: full $size 256 filter dur>x
			library-marks-$size: full $size 256 unfold; move 2; mark; move 3; mark-range; move 2
			library-notice-$size: full $size 256 move 2; favourite
			library-sort-$size: full $size 256 set chord-menu 1; keys S
			library-saved-$size: made $size 256 keys F
			library-note-$size: made $size 256 move 3; keys n
			library-tag-$size: made $size 256 move 3; keys t
			library-export-$size: full $size 256 export-options
			trash-empty-$size: empty $size 256 screen trash
			trash-$size: made $size 256 screen trash
			trash-purge-$size: made $size 256 screen trash; purge
			lineage-$size: made $size 256 move 2; lineage
			compose-$size: empty $size 256 screen compose; wait tokens
			compose-musicgen-$size: made $size 256 move 3; edit; wait Temperature
			compose-stable-audio-$size: made $size 256 move 2; edit; wait Negative
			compose-audioldm2-$size: made $size 256 move 1; edit; wait Negative
			compose-wide-$size: empty $size 256 new 日本語の歌 テスト, 琴と尺八, café acoustic, and a prompt that goes on, with strings, brass, woodwinds, two drummers, hand claps, bells from the village, rain on the roof; wait tokens
			compose-wildcards-$size: empty $size 256 new slow {piano|guitar|harp}, soft; keys <Tab><Tab>0:20<Tab>2; wait takes
			compose-wrong-$size: empty $size 256 new slow piano; keys <Tab><Tab>1:75; wait no length
			compose-completion-$size: made $size 256 keys islow<Space>j; wait Tab completes
			compose-models-$size: empty $size 256 new slow piano; keys <Tab><Enter>
			compose-resting-$size: empty $size 256 tab 1; wait tokens
			queue-empty-$size: empty $size 256 screen queue
			queue-$size: full $size 256 screen queue
			queue-wide-$size: wide $size 256 screen queue
			queue-failed-$size: made $size 256 screen queue
			queue-cancelled-$size: full $size 256 screen queue; cancel
			queue-stop-$size: busy $size 256 screen queue; wait  0 %; cancel
			log-$size: made $size 256 screen queue; log
			log-wide-$size: wide $size 256 screen queue; last; log
			compare-empty-$size: empty $size 256 screen compare
			compare-wide-$size: heard $size 256 screen race; compare; $wide; seek-to 5
			compare-blind-$size: sound $size 256 screen race; compare; $slow; seek-to 5; blind; swap A
			compare-chosen-$size: sound $size 256 screen race; compare; $slow; seek-to 5; choose
			race-empty-$size: empty $size 256 screen race
			race-wide-$size: heard $size 256 screen race
			triage-empty-$size: empty $size 256 triage
			triage-wide-$size: heard $size 256 triage; $wide; seek-to 7
			listen-empty-$size: empty $size 256 screen listen
			listen-wide-$size: heard $size 256 move 1; play; $wide; seek-to 3; screen listen
			listen-removed-$size: sound $size 256 move 1; play; $slow; seek-to 3; screen listen; removed; wait removed
			setup-$size: full $size 256 screen setup
			help-$size: full $size 256 screen help
			help-filter-$size: full $size 256 keys ?undo
			help-others-$size: full $size 256 keys ?cancel
			help-nothing-$size: full $size 256 keys ?nonesuch
			command-$size: full $size 256 command sort rating
			completion-$size: full $size 256 keys :set<Space>c<Tab>
			error-$size: full $size 256 frobnicate
			chord-$size: full $size 256 set chord-menu 1; keys g
			quit-$size: busy $size 256 close
			prompt-$size: full $size 256 keys islow<Space>jazz
		END
	done
	for size in 40x10 20x3 10x2; do
		cat <<-END
			library-$size: full $size 256 move 2
			library-wide-$size: wide $size 256
			compose-$size: made $size 256 move 3; edit
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
		[ $colors != plain ] || slow='wait playing: slow; play; wait paused: slow'
		cat <<-END
			library-$colors: full 80x24 $colors move 2
			trash-$colors: made 80x24 $colors screen trash
			lineage-$colors: made 80x24 $colors move 2; lineage
			compose-$colors: made 80x24 $colors move 3; edit; wait Temperature
			queue-$colors: full 80x24 $colors screen queue
			log-$colors: made 80x24 $colors screen queue; log
			listen-$colors: sound 80x24 $colors move 1; screen listen
			compare-$colors: sound 80x24 $colors screen race; compare; $slow; seek-to 5
			race-$colors: sound 80x24 $colors screen race; move 1
			triage-$colors: sound 80x24 $colors triage; $slow; seek-to 7
			setup-$colors: full 80x24 $colors screen setup
			help-$colors: full 80x24 $colors screen help
			chord-$colors: full 80x24 $colors set chord-menu 1; keys g
			error-$colors: full 80x24 $colors frobnicate
		END
	done
	echo "listen-quadrant: sound 80x24 rgb move 1; screen listen; glyphs quadrant"
	for theme in dark light gruvbox nord solarized-dark solarized-light high-contrast mono; do
		echo "theme-$theme: full 80x24 rgb theme $theme; move 2"
	done
	echo "library-focus-160x48: full 160x48 256 pane 1"
	echo "library-plain-160x48: full 160x48 plain move 2"
}

# Each question is a program, which takes long with a sanitizer: none before there is a socket.
listens()
{
	for socket in "$XDG_RUNTIME_DIR"/woodshed/*; do
		[ ! -S "$socket" ] || return 0
	done
	return 1
}

# open SIZE COLOURS: the workstation, on a terminal that nobody sees.
open_workstation()
{
	options=''
	unset NO_COLOR COLORTERM
	export TERM=xterm-256color
	case $2 in
	mono) export NO_COLOR=1 ;;
	8) export TERM=xterm ;;
	16) export TERM=xterm-16color ;;
	rgb) export COLORTERM=truecolor ;;
	plain) options=--plain ;;
	esac
	# shellcheck disable=SC2086 # one option or none
	"$on_pty" "$1" "$woodshed" $options >"$scratch/out" 2>"$scratch/err" &
	running=$!
	i=0
	until listens && "$woodshed" remote status >"$scratch/out" 2>&1; do
		i=$((i + 1))
		[ $i -lt 600 ] || return 1
		sleep 0.05
	done
}

remote()
{
	# shellcheck disable=SC2086 # words
	"$woodshed" remote $1 >"$scratch/out" 2>&1 || :
}

# wait_for TEXT: until the screen has it, half a minute at most
wait_for()
{
	i=0
	while [ $i -lt 600 ]; do
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
	sed -e "\|$scratch|{s|$scratch|/scratch|g; s|  *| |g}" "$1"
}

compare()
{
	settle "$scratch/dump" >"$scratch/settled"
	if [ -n "$update" ] && ! cmp -s "$scratch/settled" "$golden/$1.txt"; then
		cp "$scratch/settled" "$golden/$1.txt"
	fi
	diff -a "$golden/$1.txt" "$scratch/settled" >"$scratch/out" 2>&1
}

# show LIBRARY SIZE COLOURS COMMANDS NAME
show()
{
	rm -rf "$scratch/dump" "$scratch/config" "$scratch/state" library
	# However long a busy machine takes.
	mkdir -p "$XDG_CONFIG_HOME/woodshed"
	echo 'set notice 0' >"$XDG_CONFIG_HOME/woodshed/woodshedrc"
	cp -r "$1" library
	if [ "$1" = busy ]; then
		"$make_library" library worker &
		worker=$!
		until [ -e library/at-work ]; do sleep 0.05; done
	fi
	open_workstation "$2" "$3" || return 1
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
	i=0
	while [ $i -lt "$tries" ]; do
		i=$((i + 1))
		rm -f "$scratch/dump"
		remote "screendump $scratch/dump"
		settle "$scratch/dump" | cmp -s - "$golden/$5.txt" && break
		sleep 0.1
	done
	close_workstation
	[ -z "$worker" ] || kill "$worker"
	worker=''
	[ -s "$scratch/dump" ]
}

finish()
{
	for pid in $running $worker; do
		kill "$pid" 2>/dev/null
	done
	rm -rf "$scratch"
	exit "$1"
}

for library in empty full busy wide made sound heard; do
	"$make_library" $library $library || finish 99
done
# What its forms are drawn from.
"$(dirname "$woodshed")/woodshed-engine" --library made tokens </dev/null || finish 99
# Debian's xterm-16color is in ncurses-term, which need not be there.
mkdir -p "$HOME/.terminfo"
printf '%s\n' 'xterm-16color|x, colors#16, pairs#256, setab=\E[%?%p1%{8}%<%t%p1%{40}%+%e%p1%{92}%+%;%dm, setaf=\E[%?%p1%{8}%<%t%p1%{30}%+%e%p1%{82}%+%;%dm, use=xterm-256color,' >"$scratch/16.ti"
tic -x -o "$HOME/.terminfo" "$scratch/16.ti" || skip_all 'there is no tic'

screens >"$scratch/screens"
grep -E -- "^[^:]*($only).*:" "$scratch/screens" |
	awk -v first="${part%/*}" -v each="${part#*/}" 'NR % each == first % each' >"$scratch/part"
while read -r name library size colors commands; do
	name=${name%:}
	if show "$library" "$size" "$colors" "$commands" "$name"; then
		check "$name" compare "$name"
	else
		check "$name is shown" false
	fi
done <"$scratch/part"

# Nothing that no line asks for.
for file in "$golden"/*.txt; do
	name=$(basename "$file" .txt)
	grep -q "^$name:" "$scratch/screens" || check "$name.txt is of no screen" false
done

done_testing

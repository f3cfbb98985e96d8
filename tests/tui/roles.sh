#!/bin/sh
# Every role on the terminals that matter, inside tmux: which colours arrive there,
# and that nothing crashes.   roles.sh DRAW_ROLES TERMINFO THEMES
set -u
draw=$(realpath "$1")
entries=$(realpath "$2")
themes=$(realpath "$3")
command -v tmux >/dev/null 2>&1 || { echo 'skipped: there is no tmux'; exit 77; }

scratch=$(mktemp -d "${TMPDIR:-/tmp}/woodshed-tui.XXXXXX") || exit 99
# shellcheck source=tests/tui/tmux.sh
. "$(dirname "$0")/tmux.sh"
n_failed=0

finish()
{
	end_tmux
	rm -rf "$scratch"
	exit "$1"
}
trap 'finish 99' INT TERM HUP

# start TERM THEME [VARIABLE=VALUE...]: draws, until the roles are there or it ended.
start()
{
	label="$*"
	term=$1
	theme=$2
	shift 2
	end_tmux
	new_window 80 26 env "TERM=$term" "$@" \
		sh -c '"$@"; echo "status $?" >"$0"' "$scratch/status" \
		"$draw" "$entries" "$themes" "$theme" "${when:-auto}" \; set -g status off
	sees ready
	t capture-pane -p -e -t t >"$scratch/shot"
}

press()
{
	t send-keys -t t "$1"
	sees "$2" || fail "'$2' after the key $1"
	t capture-pane -p -e -t t >"$scratch/shot"
}

# Ends the program, which must say 0.
stop()
{
	t send-keys -t t q
	i=0
	until [ -s "$scratch/status" ] || [ $i -ge 200 ]; do
		i=$((i + 1))
		sleep 0.05
	done
	grep -qx 'status 0' "$scratch/status" || fail "it ended with $(cat "$scratch/status" 2>&1)"
	rm -f "$scratch/status"
}

fail()
{
	n_failed=$((n_failed + 1))
	echo "not ok: $label: $1"
	sed 's/\x1b/^[/g; s/^/# /' "$scratch/shot"
}

# Colours of the screen, each once: 31, 97, 38;5;208, 48;2;1;2;3 ...
colors()
{
	grep -o "$(printf '\033')"'\[[0-9;]*m' "$scratch/shot" | tr -d '\033[m' | awk -F';' '{
		for (i = 1; i <= NF; i++) {
			if (($i == 38 || $i == 48) && $(i + 1) == 5) {
				print $i ";5;" $(i + 2)
				i += 2
			} else if (($i == 38 || $i == 48) && $(i + 1) == 2) {
				print $i ";2;" $(i + 2) ";" $(i + 3) ";" $(i + 4)
				i += 4
			} else if (($i >= 30 && $i <= 37) || ($i >= 40 && $i <= 47) || $i >= 90)
				print $i
		}
	}' | sort -u
}

# has PATTERN, lacks PATTERN: of whole colours.
has()
{
	colors | grep -qxE "$1" || fail "no colour like $1"
}

lacks()
{
	! colors | grep -qxE "$1" || fail "a colour like $1"
}

# row ROLE: its line, with escapes.
row()
{
	grep -E "(^|m)$1( |\$)" "$scratch/shot"
}

# Each role with the colours and attributes that its first letter has, whatever
# the way in which they were reached.
names()
{
	head -n 22 "$scratch/shot" | tr '\033' '~' | awk '
	function sgr(text, p, n, i) {
		n = split(text == "" ? 0 : text, p, ";")
		for (i = 1; i <= n; i++) {
			if (p[i] == 0)
				fg = bg = marks = ""
			else if (p[i] == 38 || p[i] == 48) {
				value = p[i + 1] == 5 ? p[i + 2] : p[i + 2] "/" p[i + 3] "/" p[i + 4]
				if (p[i] == 38) fg = value; else bg = value
				i += p[i + 1] == 5 ? 2 : 4
			} else if ((p[i] >= 30 && p[i] <= 39) || (p[i] >= 90 && p[i] <= 97))
				fg = p[i] == 39 ? "" : p[i]
			else if ((p[i] >= 40 && p[i] <= 49) || p[i] >= 100)
				bg = p[i] == 49 ? "" : p[i]
			else
				marks = marks " " p[i]
		}
	}
	{
		shown = ""
		while (match($0, /~\[[0-9;]*m/)) {
			if (RSTART > 1 && shown == "")
				shown = fg " on " bg marks " " substr($0, 1, RSTART - 1)
			sgr(substr($0, RSTART + 2, RLENGTH - 3))
			$0 = substr($0, RSTART + RLENGTH)
		}
		if (shown == "")
			shown = fg " on " bg marks " " $0
		sub(/  .*/, "", shown)
		print shown
	}'
}

level()
{
	grep -qE "(^|m)$1( |\$)" "$scratch/shot" || fail "level is not $1"
}

esc=$(printf '\033')
value='[34]8;2;.*'
place='[34]8;5;.*'
plain='[349].|10.'

# 256 colours: the theme's, nearest or as given; and the user's own 16.
for term in xterm-256color tmux-256color screen-256color; do
	start $term gruvbox
	level 256
	has '38;5;223'
	has '48;5;235'
	lacks "$value"
	stop
	start $term default
	has 32
	has 43
	lacks "$value|$place"
	stop
done

# True colour where COLORTERM promises it.
for term in xterm-256color tmux-256color screen-256color screen xterm-kitty; do
	start $term gruvbox COLORTERM=truecolor
	level rgb
	has '38;2;235;219;178'
	has '48;2;40;40;40'
	lacks "$plain|$place"
	stop
done
# The palette stays the user's there.
start xterm-256color default COLORTERM=24bit
level rgb
has 32
has 43
has 90
lacks "$value|$place"
# Another theme while it runs: light, then nord.
press 4 light
has '38;2;36;41;47'
has '48;2;252;252;252'
press 6 nord
has '38;2;216;222;233'
lacks '48;2;252;252;252'
stop

# Without our entries, and in screen, which promises what it has not.
kept=$entries
entries=$scratch/none
start xterm-256color gruvbox COLORTERM=truecolor
level 256
stop
entries=$kept
start screen-256color gruvbox COLORTERM=truecolor TMUX=
level 256
stop

# Eight colours.
for term in screen linux; do
	start $term gruvbox
	level 8
	has '3[0-7]'
	has '4[0-7]'
	row row.selected | grep -qE "$esc\[([01];)?7m" || fail 'the selected row is not marked'
	lacks "$value|$place|9.|10."
	stop
done
start linux gruvbox COLORTERM=truecolor
lacks "$value"
stop

# None: attributes only, whatever the theme.
no_color()
{
	start "$@"
	level mono
	lacks '.*'
}
no_color vt100 gruvbox
row row.selected | grep -qE "$esc\[(0;)?7m" || fail 'the selected row is not reversed'
stop
no_color vt100 gruvbox COLORTERM=truecolor
stop
for term in xterm-256color tmux-256color screen linux; do
	no_color $term gruvbox NO_COLOR=1
	stop
done
no_color xterm-256color gruvbox NO_COLOR=1 COLORTERM=truecolor
row title | grep -qE "$esc\[(0;)?1m" || fail 'the title is not bold'
stop
when=never
no_color xterm-256color gruvbox COLORTERM=truecolor
stop
when=always
start xterm-256color gruvbox NO_COLOR=1
level 256
stop
when=auto

# A terminal that cannot move its cursor: words arrive, nothing else.
start dumb gruvbox
lacks '.*'
stop

# Pictures take all pairs there are; roles keep their colours.
for term in screen xterm-256color; do
	for colorterm in none truecolor; do
		start $term default COLORTERM=$colorterm
		names >"$scratch/before"
		press p picture
		names >"$scratch/after"
		grep -q '▀' "$scratch/shot" || fail 'no picture'
		cmp -s "$scratch/before" "$scratch/after" ||
			fail "roles changed their colours: $(diff "$scratch/before" "$scratch/after")"
		if [ $colorterm = truecolor ]; then
			[ "$(colors | grep -c '^48;2')" -ge 22 ] || fail 'the picture lost colours'
		fi
		stop
	done
done

[ $n_failed = 0 ] && echo 'ok: all roles on all terminals'
finish $((n_failed > 0))

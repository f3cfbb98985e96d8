# shellcheck shell=sh disable=SC2154,SC2086
# What the tests of screens share: a tmux of their own, in $scratch, with one
# window `t`; the workstation in it, its keys, what is seen of it, and how it ends.
export LC_ALL=C.UTF-8 TMUX_TMPDIR="$scratch"
unset TMUX NO_COLOR COLORTERM TERMINFO TERMINFO_DIRS

t()
{
	tmux -u -L woodshed -f /dev/null "$@"
}

# The window of before is gone.
end_tmux()
{
	t kill-server 2>/dev/null
	while t has-session 2>/dev/null; do
		sleep 0.05
	done
}

# new_window COLUMNS ROWS COMMAND [ARGUMENT...]: after end_tmux.  A server that was told to end may still
# take the first request with it.
new_window()
{
	width=$1
	height=$2
	shift 2
	i=0
	until t new-session -d -x "$width" -y "$height" -s t "$@"; do
		i=$((i + 1))
		[ $i -lt 5 ] || return 1
		sleep 0.2
	done
}

# Half a minute for a text to be seen, less when the program has told its status;
# $scratch/out: the screen then.
sees()
{
	i=0
	until t capture-pane -p -t t >"$scratch/out" 2>/dev/null && grep -qF -- "$1" "$scratch/out"; do
		i=$((i + 1))
		[ $i -lt 600 ] && [ ! -e "$scratch/status" ] || return 1
		sleep 0.05
	done
}

keys()
{
	t send-keys -t t "$@"
}

typed()
{
	t send-keys -t t -l -- "$1"
}

# start COLUMNS ROWS [TERM [VARIABLE=VALUE...]]: a shell, and in it the workstation.
start()
{
	columns=$1
	rows=$2
	terminal=${3:-tmux-256color}
	shift "$(($# < 3 ? $# : 3))"
	end_tmux
	new_window "$columns" "$rows" "env PS1='\$ ' TERM=$terminal $* bash --norc" \
		\; set -g status off \; set -sg escape-time 0 || return
	sees '$' && typed "'$woodshed' 2>$scratch/err" && keys Enter
}

# The shell is back, and tells the status when it is asked.
has_left()
{
	i=0
	until [ "$(t display -p -t t '#{pane_current_command}')" = bash ]; do
		i=$((i + 1))
		[ $i -lt 600 ] || return 1
		sleep 0.05
	done
	# shellcheck disable=SC2016 # for the other shell
	typed 'echo "left $?"' && keys Enter && sees "left $1"
}

# What the terminal is left with: the shell's screen, a cursor, no mouse.
is_restored()
{
	has_left "$1" || return 1
	modes=$(t display -p -t t '#{alternate_on} #{cursor_flag} #{keypad_flag} #{mouse_any_flag}')
	[ "$modes" = '0 1 0 0' ]
}

# Of this window: other tests have theirs at the same time.
workstation_pid()
{
	pgrep -P "$(t display -p -t t '#{pane_pid}')" | head -n 1
}
